//! One change of one environment at a time, which leaves it complete, or visibly not.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::io_error;
use super::layout::{CHANGING, INCOMPLETE, MAKING, State};
use super::{EnvsError, Work};

/// Makes an environment by `fill`, so that it is either complete or gone.
///
/// What an interrupted run left is replaced; anything else that is there is left alone, which is an error.
pub(super) fn make(work: Work<'_>, fill: impl FnOnce(&Change) -> Result<(), EnvsError>) -> Result<(), EnvsError> {
    let prefix = work.prefix();
    let lock = loop {
        fs::create_dir_all(&prefix).map_err(io_error(&prefix))?;
        // Whoever held the lock may have removed the directory.
        if let Some(lock) = lock(work)? {
            break lock;
        }
    };
    match State::of(&prefix) {
        State::Absent => {}
        State::Complete | State::Other => {
            return Err(EnvsError::Exists {
                name: work.name.clone(),
                path: prefix,
            });
        }
        State::Making | State::Changing => empty(&prefix)?,
    }
    mark(&prefix, MAKING)?;
    let change = Change {
        work,
        prefix,
        makes: true,
        repairs: false,
        _lock: lock,
    };
    match fill(&change) {
        Ok(()) => unmark(&change.prefix),
        Err(error) => {
            // The first error is the one that counts; the mark keeps what cannot be removed from passing for finished.
            let _ = fs::remove_dir_all(&change.prefix);
            Err(error)
        }
    }
}

/// A change of an environment, which nobody else changes meanwhile. Until it is finished, an environment that was there
/// counts as complete only as long as nothing in it has been touched.
pub(super) struct Change<'a> {
    /// The environment, and what the change takes.
    pub(super) work: Work<'a>,
    /// Where it is.
    pub(super) prefix: PathBuf,
    /// Whether an earlier change was interrupted, so that what is there cannot be trusted.
    pub(super) repairs: bool,
    /// Whether the environment is made by it, and so carries the mark of one that is.
    makes: bool,
    _lock: File,
}

impl<'a> Change<'a> {
    /// A change of an environment that is there; waits until nobody else changes it.
    pub(super) fn of(work: Work<'a>) -> Result<Self, EnvsError> {
        let prefix = work.prefix();
        let Some(lock) = lock(work)? else {
            return Err(EnvsError::Missing {
                name: work.name.clone(),
                path: prefix,
                known: Vec::new(),
            });
        };
        Ok(Self {
            work,
            repairs: State::of(&prefix) == State::Changing,
            prefix,
            makes: false,
            _lock: lock,
        })
    }

    /// To be called before anything in the environment is touched.
    pub(super) fn begin(&self) -> Result<(), EnvsError> {
        if self.makes {
            Ok(())
        } else {
            mark(&self.prefix, CHANGING)
        }
    }

    /// The change is done, or nothing has been touched.
    pub(super) fn end(self) -> Result<(), EnvsError> {
        unmark(&self.prefix)
    }
}

/// A lock on the directory itself, which leaves nothing behind. `None` where the directory was removed meanwhile.
fn lock(work: Work<'_>) -> Result<Option<File>, EnvsError> {
    let prefix = &work.prefix();
    let directory = match File::open(prefix) {
        Ok(directory) => directory,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io_error(prefix)(source)),
    };
    match directory.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            work.note(format!(
                "waiting for another process that changes the environment {}",
                work.name
            ));
            directory.lock().map_err(io_error(prefix))?;
        }
        Err(TryLockError::Error(source)) => return Err(io_error(prefix)(source)),
    }
    // What floe starts holds the lock as well: a program that outlives a killed floe would change what the next one makes.
    let inherited = rustix::io::fcntl_setfd(&directory, rustix::io::FdFlags::empty());
    inherited.map_err(|error| io_error(prefix)(error.into()))?;
    let held = directory.metadata().map_err(io_error(prefix))?;
    let there = fs::metadata(prefix).is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino()));
    Ok(there.then_some(directory))
}

fn mark(prefix: &Path, text: &str) -> Result<(), EnvsError> {
    let path = prefix.join(INCOMPLETE);
    fs::write(&path, text).map_err(io_error(&path))
}

fn unmark(prefix: &Path) -> Result<(), EnvsError> {
    let path = prefix.join(INCOMPLETE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error(&path)(error)),
        _ => Ok(()),
    }
}

/// Removes what is in the directory, the mark last.
fn empty(directory: &Path) -> Result<(), EnvsError> {
    for entry in fs::read_dir(directory).map_err(io_error(directory))? {
        let entry = entry.map_err(io_error(directory))?;
        let path = entry.path();
        if entry.file_name() == INCOMPLETE {
            continue;
        }
        let removed = if entry.file_type().map_err(io_error(&path))?.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(io_error(&path))?;
    }
    Ok(())
}
