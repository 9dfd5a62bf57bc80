//! The digest of what defines a mission's tests: by it, results are known to be those of the tests as they are now.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::discover::DiscoverError;
use crate::reference::{Digest, Hasher};

/// Directories that running tests or editing notebooks leaves behind.
const LEFT_BEHIND: &[&str] = &[".ipynb_checkpoints", "__pycache__"];

/// The digest of the test definitions below `environments`: the mission's own script `test`, and everything in the
/// environments' `tests` directories.
///
/// Names, content and links count, and whether a file is executable; of its mode that is all that git keeps, so two
/// checkouts of one commit agree.
pub fn digest(environments: &Path) -> Result<Digest, DiscoverError> {
    let mut hasher = Hasher::default();
    for path in files(environments)? {
        let name = path.strip_prefix(environments).unwrap_or(&path);
        let failed = |source| DiscoverError::Read {
            path: path.clone(),
            source,
        };
        let metadata = fs::symlink_metadata(&path).map_err(failed)?;
        hasher.part("name", name.as_os_str().as_encoded_bytes());
        if metadata.is_symlink() {
            let target = fs::read_link(&path).map_err(failed)?;
            hasher.part("link", target.as_os_str().as_encoded_bytes());
        } else if metadata.is_file() {
            let executable = metadata.permissions().mode() & 0o111 != 0;
            hasher.part("executable", &[u8::from(executable)]);
            hasher.part("size", &metadata.len().to_le_bytes());
            let mut file = fs::File::open(&path).map_err(failed)?;
            let mut piece = vec![0; 64 * 1024];
            while let length @ 1.. = file.read(&mut piece).map_err(failed)? {
                hasher.raw(&piece[..length]);
            }
        }
    }
    Ok(hasher.finish())
}

/// The files and links that count, in the order of their names.
fn files(environments: &Path) -> Result<Vec<PathBuf>, DiscoverError> {
    let counts = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        match entry.depth() {
            // An environment, or the mission's script.
            1 => entry.path().is_dir() || name == "test",
            2 => name == "tests",
            _ => !LEFT_BEHIND.contains(&name.as_ref()),
        }
    };
    let walk = walkdir::WalkDir::new(environments).sort_by_file_name().into_iter();
    let mut found = Vec::new();
    for entry in walk.filter_entry(counts) {
        let entry = entry.map_err(|error| DiscoverError::Read {
            path: error.path().unwrap_or(environments).to_owned(),
            source: error.into(),
        })?;
        if !entry.file_type().is_dir() {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn whatever_defines_tests_counts_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let now = || digest(directory.path()).unwrap();
        write("a/tests/imports", "numpy\n");
        let mut seen = vec![now()];
        write("a/a.pip", "numpy\n");
        write("a/tests/.ipynb_checkpoints/x-checkpoint.ipynb", "{}");
        write("a/tests/sub/__pycache__/x.pyc", "");
        write("notes", "");
        let touched = fs::File::options()
            .write(true)
            .open(directory.path().join("a/tests/imports"));
        touched.unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(seen, [now()], "a file that defines no test counts");
        let changes: [&dyn Fn(); 6] = [
            &|| write("a/tests/imports", "scipy\n"),
            &|| write("a/tests/sub/data.csv", "1"),
            &|| write("test", "#!/bin/sh\n"),
            &|| fs::set_permissions(directory.path().join("test"), fs::Permissions::from_mode(0o755)).unwrap(),
            &|| symlink("imports", directory.path().join("a/tests/link")).unwrap(),
            &|| fs::rename(directory.path().join("a"), directory.path().join("b")).unwrap(),
        ];
        for change in changes {
            change();
            let after = now();
            assert!(!seen.contains(&after), "a change does not count: {seen:?}");
            seen.push(after);
        }
    }
}
