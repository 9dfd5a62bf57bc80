//! A private copy of a notebook's directory, so that no notebook finds or overwrites what another left, with the
//! surroundings that it had: `..` holds what it held.
//!
//! The copy lies at the same path as the directory, below a directory of its own. Whatever else lies beside the
//! directory, or beside one above it, is a link to where it is: to copy it, too, would often be to copy a home directory.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::links::Links;
use crate::suite::pattern::CHECKPOINTS;

/// A notebook in a directory with more than this is most likely in one that was never meant to be copied.
const LARGEST: u64 = 8 * 1024 * 1024 * 1024;

/// The most files and directories that are copied.
const MOST: usize = 100_000;

/// The most entries of a directory above the one that is copied that are linked.
const MOST_BESIDE: usize = 10_000;

/// How many files are named that cannot be read.
const LISTED: usize = 5;

/// The owner may read and write.
const OWNERS: u32 = 0o600;

/// How many characters the name of a temporary directory has after what says whose it is.
const RANDOM: usize = 6;

/// A directory that was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Something in it cannot be read or written.
    #[error("cannot copy {path}: {source}")]
    File {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds too much.
    #[error("{path} holds too much to be copied for each notebook: give the notebook a directory of its own")]
    TooLarge {
        /// The directory.
        path: PathBuf,
    },
}

/// A copy.
#[derive(Debug)]
pub struct Copied {
    /// Where it is.
    pub directory: PathBuf,
    /// What of it is not copied, since it cannot be read: a link to where it is, which cannot be read either.
    pub unreadable: Vec<PathBuf>,
    /// Directories above it that hold so much that not all of it is beside the copy, too.
    pub crowded: Vec<PathBuf>,
}

/// Copies `from`, a path without links, to the same path below `to`, which does not exist yet: directories, files and
/// links, but no checkpoints, sockets or pipes. `scratch` is where floe makes its temporary directories.
///
/// What is copied can be read and written. A link inside the directory leads into the copy, any other to where it led;
/// links are never followed.
pub fn copy(from: &Path, to: &Path, scratch: &Path, links: &Links) -> Result<Copied, CopyError> {
    let (directory, crowded) = surround(from, to, scratch, links)?;
    let mut copied = Copied {
        directory,
        unreadable: Vec::new(),
        crowded,
    };
    let mut bytes = 0;
    let mut walk = walkdir::WalkDir::new(from).into_iter();
    let mut count = 0;
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            // It was there a moment ago.
            Err(error)
                if error
                    .io_error()
                    .is_some_and(|error| error.kind() == io::ErrorKind::NotFound) =>
            {
                continue;
            }
            Err(error) => {
                let path = error.path().unwrap_or(from).to_owned();
                copied.stays(&path, from, error.into())?;
                continue;
            }
        };
        let path = entry.path();
        if entry.depth() > 0 && (entry.file_name() == CHECKPOINTS || is_own(path, scratch)) {
            if entry.file_type().is_dir() {
                walk.skip_current_dir();
            }
            continue;
        }
        match copy_one(&entry, from, &copied.place(path, from)) {
            Ok(size) => bytes += size,
            Err(error) => copied.stays(path, from, error)?,
        }
        count += 1;
        if bytes > LARGEST || count > MOST {
            return Err(CopyError::TooLarge { path: from.to_owned() });
        }
    }
    Ok(copied)
}

impl Copied {
    /// What a notebook does not find in the copy of `from`, a sentence each.
    #[must_use]
    pub fn lacks(&self, from: &Path) -> Vec<String> {
        let crowded = self.crowded.iter().map(|directory| {
            format!(
                "{} holds more than {MOST_BESIDE} entries, of which notebooks do not find all",
                directory.display()
            )
        });
        let mut told = crowded.collect::<Vec<_>>();
        if !self.unreadable.is_empty() {
            told.push(format!(
                "what cannot be read in {} is not copied for its notebooks: {}",
                from.display(),
                listed(&self.unreadable)
            ));
        }
        told
    }

    /// Where the copy of `path` lies.
    fn place(&self, path: &Path, from: &Path) -> PathBuf {
        self.directory.join(path.strip_prefix(from).unwrap_or(Path::new("")))
    }

    /// Links what cannot be read to where it is. Another error stays one.
    fn stays(&mut self, path: &Path, from: &Path, error: io::Error) -> Result<(), CopyError> {
        let failed = |source| CopyError::File {
            path: path.to_owned(),
            source,
        };
        match error.kind() {
            io::ErrorKind::NotFound => return Ok(()),
            io::ErrorKind::PermissionDenied if path != from => {}
            _ => return Err(failed(error)),
        }
        let place = self.place(path, from);
        // The directory was made before it could not be listed.
        let _ = fs::remove_dir(&place);
        symlink(path, &place).map_err(failed)?;
        self.unreadable.push(path.strip_prefix(from).unwrap_or(path).to_owned());
        Ok(())
    }
}

/// Makes the directories above the copy below `to`, with links to what else lies in them. Returns where the copy is to be, and
/// the directories of which not everything is linked.
fn surround(from: &Path, to: &Path, scratch: &Path, links: &Links) -> Result<(PathBuf, Vec<PathBuf>), CopyError> {
    let mut names = from.iter().skip(1);
    let (mut real, mut place) = (PathBuf::from("/"), to.to_owned());
    let mut crowded = Vec::new();
    loop {
        let Some(name) = names.next() else {
            return Ok((place, crowded));
        };
        let linked =
            fs::create_dir(&place).and_then(|()| link_others((&real, &place), name, (scratch, links), MOST_BESIDE));
        let all = linked.map_err(|source| CopyError::File {
            path: place.clone(),
            source,
        })?;
        if !all {
            crowded.push(real.clone());
        }
        real.push(name);
        place.push(name);
    }
}

/// Links everything in `real` but `name` from `place`, `most` entries of it. Returns whether that is all. A directory that
/// cannot be listed has nothing that could be linked.
fn link_others(
    (real, place): (&Path, &Path),
    name: &OsStr,
    (scratch, links): (&Path, &Links),
    most: usize,
) -> io::Result<bool> {
    let Ok(entries) = fs::read_dir(real) else {
        return Ok(true);
    };
    let others = entries.flatten().filter(|entry| entry.file_name() != name);
    let mut others = others.filter(|entry| !is_own(&entry.path(), scratch));
    for entry in others.by_ref().take(most) {
        links.link(entry.path(), &place.join(entry.file_name()))?;
    }
    Ok(others.next().is_none())
}

/// The first of some paths, in the order of their names, and how many more there are.
fn listed(paths: &[PathBuf]) -> String {
    let mut names = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    names.sort();
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    names.join(", ") + &rest
}

/// Whether this is one of floe's own temporary directories, which hold the copy itself and those of others.
fn is_own(path: &Path, scratch: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let random = name
        .strip_prefix("floe-")
        .map(|name| name.strip_prefix("test-").unwrap_or(name));
    let is_random = |text: &str| text.len() == RANDOM && text.chars().all(|c| c.is_ascii_alphanumeric());
    path.parent() == Some(scratch) && random.is_some_and(is_random)
}

/// Copies one entry and says how many bytes that took.
fn copy_one(entry: &walkdir::DirEntry, root: &Path, target: &Path) -> io::Result<u64> {
    let kind = entry.file_type();
    if kind.is_dir() || entry.depth() == 0 {
        fs::create_dir(target)?;
    } else if kind.is_symlink() {
        symlink(link(entry.path(), root)?, target)?;
    } else if kind.is_file() {
        // The copy has this mode.
        let mode = entry.metadata()?.permissions().mode();
        let size = fs::copy(entry.path(), target)?;
        if mode & OWNERS != OWNERS {
            fs::set_permissions(target, fs::Permissions::from_mode(mode | OWNERS))?;
        }
        return Ok(size);
    }
    Ok(0)
}

/// Where the copy of a link leads.
fn link(path: &Path, root: &Path) -> io::Result<PathBuf> {
    let target = fs::read_link(path)?;
    if target.is_absolute() {
        return Ok(target);
    }
    let resolved = path.parent().unwrap_or(root).join(&target);
    // A link to nothing is kept as it is.
    let (Ok(resolved), Ok(root)) = (fs::canonicalize(resolved), fs::canonicalize(root)) else {
        return Ok(target);
    };
    Ok(if resolved.starts_with(root) { target } else { resolved })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    use super::*;

    /// `files` below a directory of its own, whose path has no links.
    fn tree(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        for path in files {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), path).unwrap();
        }
        (dir, root)
    }

    fn links() -> Links {
        Links::new(&std::env::temp_dir())
    }

    fn copied(from: &Path, to: &Path, scratch: &Path) -> Result<Copied, CopyError> {
        copy(from, to, scratch, &links())
    }

    fn names(directory: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(directory).unwrap().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_copy_is_private_writable_and_without_checkpoints() {
        let (_dir, root) = tree(&["from/sub/data.csv", "from/.ipynb_checkpoints/x.ipynb", "outside"]);
        let from = root.join("from");
        fs::set_permissions(from.join("sub/data.csv"), fs::Permissions::from_mode(0o444)).unwrap();
        symlink("data.csv", from.join("sub/inner")).unwrap();
        symlink("../outside", from.join("outer")).unwrap();
        symlink("..", from.join("sub/loop")).unwrap();
        let to = copied(&from, &root.join("to"), Path::new("/nowhere"))
            .unwrap()
            .directory;
        fs::write(to.join("sub/data.csv"), "changed").unwrap();
        assert_eq!(
            fs::read_to_string(from.join("sub/data.csv")).unwrap(),
            "from/sub/data.csv"
        );
        assert_eq!(fs::read_to_string(to.join("sub/inner")).unwrap(), "changed");
        assert_eq!(fs::read_to_string(to.join("outer")).unwrap(), "outside");
        assert!(to.join("sub/loop").is_symlink());
        assert!(!to.join(".ipynb_checkpoints").exists());
    }

    #[test]
    fn a_copy_has_the_name_and_the_surroundings_of_the_original() {
        let (_dir, root) = tree(&["project/notebooks/x.ipynb", "project/data/d.csv", "beside"]);
        let (from, to) = (root.join("project/notebooks"), root.join("to"));
        let copied = copied(&from, &to, Path::new("/nowhere")).unwrap();
        assert_eq!(copied.directory, to.join(from.strip_prefix("/").unwrap()));
        let read = |path: &str| fs::read_to_string(copied.directory.join(path)).unwrap();
        assert_eq!(read("../data/d.csv"), "project/data/d.csv");
        assert_eq!(read("../../beside"), "beside");
        assert_eq!(names(&copied.directory.join("..")), names(&root.join("project")));
        assert_eq!(names(&to), names(Path::new("/")));
    }

    #[test]
    fn what_a_notebook_does_not_find_is_told_and_what_is_floes_own_is_not_missing() {
        let (_dir, root) = tree(&["from/x.ipynb", "a", "b", "floe-test-A1b2C3/x.ipynb"]);
        let to = tempfile::tempdir().unwrap();
        let all = |place: &str, most: usize| {
            let place = to.path().join(place);
            fs::create_dir(&place).unwrap();
            link_others((&root, &place), OsStr::new("from"), (&root, &links()), most).unwrap()
        };
        assert!(all("enough", 2), "neither the directory itself nor floe's own counts");
        assert!(!all("few", 1));
        assert_eq!(names(&to.path().join("few")).len(), 1);
        let copied = Copied {
            directory: to.path().to_owned(),
            unreadable: Vec::new(),
            crowded: vec![PathBuf::from("/data")],
        };
        assert_eq!(
            copied.lacks(&root),
            ["/data holds more than 10000 entries, of which notebooks do not find all"]
        );
    }

    #[test]
    fn a_copy_holds_neither_itself_nor_another() {
        let (_dir, root) = tree(&[
            "x.ipynb",
            "floe-test-A1b2C3/x.ipynb",
            "floe-Abcdef/kernel.json",
            "floe-data/d",
        ]);
        let to = root.join("floe-test-Own123/work");
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let copied = copied(&root, &to, &root).unwrap();
        assert_eq!(
            names(&copied.directory),
            ["floe-data", "x.ipynb"].map(str::to_owned).into()
        );
    }

    #[test]
    fn what_cannot_be_read_stays_unreadable_and_is_told() {
        // Root reads everything, but for this.
        let mut own = capabilities(None).unwrap();
        own.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, own).unwrap();
        let (_dir, root) = tree(&["from/key", "from/locked/inner", "from/open"]);
        let from = root.join("from");
        for name in ["key", "locked"] {
            fs::set_permissions(from.join(name), fs::Permissions::from_mode(0o000)).unwrap();
        }
        let mut copied = copied(&from, &root.join("to"), Path::new("/nowhere")).unwrap();
        copied.unreadable.sort();
        assert_eq!(copied.unreadable, [PathBuf::from("key"), PathBuf::from("locked")]);
        let told = format!(
            "what cannot be read in {} is not copied for its notebooks: key, locked",
            from.display()
        );
        assert_eq!(copied.lacks(&from), [told]);
        let kind = |path: &str| fs::read(copied.directory.join(path)).map_err(|error| error.kind());
        assert_eq!(kind("key"), Err(io::ErrorKind::PermissionDenied));
        assert_eq!(kind("locked/inner"), Err(io::ErrorKind::PermissionDenied));
        assert_eq!(kind("open").unwrap(), b"from/open");
        fs::set_permissions(from.join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}
