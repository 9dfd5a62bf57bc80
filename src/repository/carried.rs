//! The `common/` that floe carries: what missions share, for a repository that has none of its own.
//!
//! A repository with `common/Dockerfile` has its own, and nothing of floe's is put into it. In any other, floe lays what the
//! repository has of `common/` over its own and works with the result, which it keeps beside its state; so a frozen spec of the
//! base environment, or a list for all environments, needs no copy of the rest.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{COMMON, DefinitionError, Repository};

/// A file that floe carries: its path, its text, and whether it is a program.
pub type Carried = (&'static str, &'static str, bool);

macro_rules! carried {
    ($($path:literal $program:literal,)*) => {
        /// The files of `common/`.
        pub const FILES: &[Carried] = &[$((
            $path,
            include_str!(concat!("../../", $path)),
            $program,
        ),)*];
    };
}

carried! {
    "common/Dockerfile" false,
    "common/Dockerfile.trailer" false,
    "common/base/Dockerfile" false,
    "common/base/fix-permissions" true,
    "common/base/jupyter_server_config.py" false,
    "common/base/requirements.txt" false,
    "common/base/start-notebook.py" true,
    "common/base/start-singleuser.py" true,
    "common/common-env/base-frozen.lock" false,
    "common/common-env/base-frozen.yml" false,
    "common/common-env/jupyter.pip" false,
    "common/common-env/science.pip" false,
    "common/common-scripts/apt-install" true,
    "common/common-scripts/env-activate" false,
    "common/common-scripts/home-setup" true,
}

/// What a repository's own `common/` begins with.
const OWN: &str = "Dockerfile";

impl Repository {
    /// The repository, whose `common/` is kept below `state` with floe's own beneath it, unless it has a whole one. The frozen
    /// spec that floe carries is of the base environment `of_debian`.
    pub fn completed(mut self, state: &Path, of_debian: bool) -> Result<Self, DefinitionError> {
        if !self.root.join(COMMON).join(OWN).exists() {
            // Nothing of it is read before it has been looked at.
            self.inspect(COMMON)?;
            let wanted = laid_over(&self.root, of_debian)?;
            write(state, &wanted)?;
            self.common = Some(state.to_owned());
        }
        Ok(self)
    }
}

/// A file to be there: its bytes and its mode.
type File = (Vec<u8>, u32);

/// floe's own files, with those of the repository over them.
fn laid_over(root: &Path, of_debian: bool) -> Result<BTreeMap<PathBuf, File>, DefinitionError> {
    let is_meant = |path: &str| of_debian || !path.contains("/base-frozen.");
    let own = FILES
        .iter()
        .filter(|(path, ..)| is_meant(path))
        .map(|(path, text, program)| {
            let mode = if *program { 0o755 } else { 0o644 };
            (PathBuf::from(path), (text.as_bytes().to_vec(), mode))
        });
    let mut wanted = own.collect::<BTreeMap<_, _>>();
    let directory = root.join(COMMON);
    if !directory.is_dir() {
        return Ok(wanted);
    }
    for entry in WalkDir::new(&directory) {
        let entry = entry.map_err(|error| failed(&directory)(error.into()))?;
        let path = entry.path();
        // A link that stays inside is as good as what it leads to.
        if !path.is_file() {
            continue;
        }
        let bytes = fs::read(path).map_err(failed(path))?;
        let mode = fs::metadata(path).map_err(failed(path))?.permissions().mode() & 0o777;
        wanted.insert(path.strip_prefix(root).unwrap_or(path).to_owned(), (bytes, mode));
    }
    Ok(wanted)
}

/// Makes the files below `state` those that are wanted. What is as it should be is not touched: its time says so to others.
fn write(state: &Path, wanted: &BTreeMap<PathBuf, File>) -> Result<(), DefinitionError> {
    let directory = state.join(COMMON);
    for entry in WalkDir::new(&directory).into_iter().flatten() {
        let known = entry
            .path()
            .strip_prefix(state)
            .is_ok_and(|path| wanted.contains_key(path));
        if entry.file_type().is_file() && !known {
            fs::remove_file(entry.path()).map_err(failed(entry.path()))?;
        }
    }
    for (path, (bytes, mode)) in wanted {
        let file = state.join(path);
        let is_there = fs::metadata(&file).is_ok_and(|about| about.permissions().mode() & 0o777 == *mode);
        if is_there && fs::read(&file).is_ok_and(|known| known == *bytes) {
            continue;
        }
        let parent = file.parent().unwrap_or(&directory);
        fs::create_dir_all(parent).map_err(failed(parent))?;
        // Another floe may read it at this moment.
        let mut draft = tempfile::NamedTempFile::new_in(parent).map_err(failed(&file))?;
        io::Write::write_all(&mut draft, bytes).map_err(failed(&file))?;
        fs::set_permissions(draft.path(), fs::Permissions::from_mode(*mode)).map_err(failed(&file))?;
        draft.persist(&file).map_err(|error| failed(&file)(error.error))?;
    }
    Ok(())
}

fn failed(path: &Path) -> impl Fn(io::Error) -> DefinitionError + '_ {
    move |source| DefinitionError::Read {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floe_carries_the_common_files_of_this_repository_and_no_others() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let there = WalkDir::new(root.join(COMMON)).into_iter().map(Result::unwrap);
        let there = there.filter(|entry| entry.file_type().is_file()).map(|entry| {
            let mode = entry.metadata().unwrap().permissions().mode();
            let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            (path, mode & 0o100 != 0)
        });
        let mut there = there.collect::<Vec<_>>();
        there.sort();
        let mut carried = FILES
            .iter()
            .map(|(path, _, program)| ((*path).to_owned(), *program))
            .collect::<Vec<_>>();
        carried.sort();
        assert_eq!(there, carried);
    }

    #[test]
    fn what_a_repository_has_of_common_lies_over_what_floe_carries() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join(".floe");
        let list = root.path().join("common/common-env/site.pip");
        fs::create_dir_all(list.parent().unwrap()).unwrap();
        fs::write(&list, "six\n").unwrap();
        let completed = || Repository::at(root.path()).completed(&state, true).unwrap();
        let repository = completed();
        let read = |path: &str| fs::read_to_string(repository.path(path));
        assert_eq!(read("common/common-env/site.pip").unwrap(), "six\n");
        assert!(read("common/Dockerfile").unwrap().contains("FROM"));
        assert_eq!(
            repository.relative(&repository.path("common/Dockerfile")),
            Path::new("common/Dockerfile")
        );
        let time = |path: &str| fs::metadata(repository.path(path)).unwrap().modified().unwrap();
        let before = time("common/Dockerfile");
        fs::remove_file(&list).unwrap();
        completed();
        assert!(read("common/common-env/site.pip").is_err());
        assert_eq!(time("common/Dockerfile"), before);
    }

    #[test]
    fn a_repository_with_a_common_image_of_its_own_gets_nothing_of_floes() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(COMMON)).unwrap();
        fs::write(root.path().join("common/Dockerfile"), "FROM x\n").unwrap();
        let repository = Repository::at(root.path())
            .completed(&root.path().join(".floe"), true)
            .unwrap();
        assert_eq!(repository, Repository::at(root.path()));
        assert!(!root.path().join(".floe").exists());
    }
}
