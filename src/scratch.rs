//! A directory for the time of a call, in the temporary directory. What a call has left that was killed is removed by the next
//! one that wants such a directory.
//!
//! That the process of a directory lives is known by its lock on it, whatever namespace of processes that is in.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use tempfile::TempDir;

/// How the names of the directories begin.
const PREFIX: &str = "floe-scratch-";

/// A directory that goes with this value, or with the next call where this process is killed.
#[derive(Debug)]
#[must_use]
pub struct Scratch {
    directory: TempDir,
    /// The lock that says that this process lives; `None` on a file system without locks, where nothing is swept either.
    _lock: Option<File>,
}

impl Scratch {
    /// An empty directory, mode 0700.
    pub fn create() -> io::Result<Self> {
        Self::within(&std::env::temp_dir())
    }

    fn within(place: &Path) -> io::Result<Self> {
        sweep(place, PREFIX);
        loop {
            let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(place)?;
            // Until it is locked, another call may take it for one that a dead process has left.
            let lock = match locked(directory.path()) {
                Ok(None) => continue,
                Ok(lock) => lock,
                Err(_) => None,
            };
            return Ok(Self { directory, _lock: lock });
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// The lock on a directory; `None` if another process has it, or has removed the directory. An error where the file system has
/// no locks.
pub fn locked(path: &Path) -> io::Result<Option<File>> {
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits();
    let mut options = OpenOptions::new();
    let directory = match options.read(true).custom_flags(flags.cast_signed()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match directory.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let held = directory.metadata()?;
    let there = fs::symlink_metadata(path);
    let is_there = there.is_ok_and(|there| held.ino() == there.ino() && held.dev() == there.dev());
    Ok(is_there.then_some(directory))
}

/// Removes what dead processes of this user have left in `place` in directories whose names begin so.
pub fn sweep(place: &Path, prefix: &str) {
    let own = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(prefix)
            && entry.metadata().is_ok_and(|about| about.is_dir() && about.uid() == own);
        if is_ours && locked(&entry.path()).is_ok_and(|lock| lock.is_some()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_call_left_is_removed_by_the_next_and_what_a_living_one_has_is_not() {
        let place = tempfile::tempdir().unwrap();
        let living = Scratch::within(place.path()).unwrap();
        let dead = place.path().join(format!("{PREFIX}dead"));
        let other = place.path().join("other");
        for directory in [living.path(), &dead, &other] {
            fs::create_dir_all(directory.join("below")).unwrap();
        }
        let next = Scratch::within(place.path()).unwrap();
        assert!(!dead.exists());
        assert!(living.path().join("below").exists() && other.exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }
}
