//! A private copy of a notebook's directory, so that no notebook finds or overwrites what another left.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// A notebook in a directory with more than this is most likely in one that was never meant to be copied.
const LARGEST: u64 = 8 * 1024 * 1024 * 1024;

/// The most files and directories that are copied.
const MOST: usize = 100_000;

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

/// Copies `from` to `to`, which does not exist yet: directories, files and links, but no checkpoints, sockets or pipes.
///
/// What is copied can be read and written. A link inside the directory leads into the copy, any other to where it led;
/// links are never followed.
pub fn copy(from: &Path, to: &Path) -> Result<(), CopyError> {
    let mut bytes = 0;
    let walk = walkdir::WalkDir::new(from)
        .into_iter()
        .filter_entry(|entry| entry.file_name() != ".ipynb_checkpoints");
    for (count, entry) in walk.enumerate() {
        let entry = entry.map_err(|error| CopyError::File {
            path: error.path().unwrap_or(from).to_owned(),
            source: error.into(),
        })?;
        let target = to.join(entry.path().strip_prefix(from).unwrap_or(Path::new("")));
        bytes += copy_one(&entry, from, &target).map_err(|source| CopyError::File {
            path: entry.path().to_owned(),
            source,
        })?;
        if bytes > LARGEST || count > MOST {
            return Err(CopyError::TooLarge { path: from.to_owned() });
        }
    }
    Ok(())
}

/// Copies one entry and says how many bytes that took.
fn copy_one(entry: &walkdir::DirEntry, root: &Path, target: &Path) -> io::Result<u64> {
    let kind = entry.file_type();
    if kind.is_dir() || entry.depth() == 0 {
        fs::create_dir(target)?;
    } else if kind.is_symlink() {
        symlink(link(entry.path(), root)?, target)?;
    } else if kind.is_file() {
        let size = fs::copy(entry.path(), target)?;
        let mode = fs::metadata(target)?.permissions().mode();
        fs::set_permissions(target, fs::Permissions::from_mode(mode | 0o600))?;
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
    use super::*;

    #[test]
    fn a_copy_is_private_writable_and_without_checkpoints() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for path in ["sub/data.csv", ".ipynb_checkpoints/x.ipynb"] {
            fs::create_dir_all(from.join(path).parent().unwrap()).unwrap();
            fs::write(from.join(path), path).unwrap();
        }
        fs::write(dir.path().join("outside"), "outside").unwrap();
        fs::set_permissions(from.join("sub/data.csv"), fs::Permissions::from_mode(0o444)).unwrap();
        symlink("data.csv", from.join("sub/inner")).unwrap();
        symlink("../outside", from.join("outer")).unwrap();
        symlink("..", from.join("sub/loop")).unwrap();
        copy(&from, &to).unwrap();
        fs::write(to.join("sub/data.csv"), "changed").unwrap();
        assert_eq!(fs::read_to_string(from.join("sub/data.csv")).unwrap(), "sub/data.csv");
        assert_eq!(fs::read_to_string(to.join("sub/inner")).unwrap(), "changed");
        assert_eq!(fs::read_to_string(to.join("outer")).unwrap(), "outside");
        assert!(to.join("sub/loop").is_symlink());
        assert!(!to.join(".ipynb_checkpoints").exists());
    }
}
