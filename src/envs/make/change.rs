//! One change of one environment at a time, which leaves it complete, or visibly not.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::envs::error::io_error;
use crate::envs::layout::{CHANGING, INCOMPLETE, MAKING, State};
use crate::envs::{EnvsError, Layout};
use crate::event::{Event, Sink};
use crate::reference::EnvironmentName;

/// Makes the environment `name` by `fill`, so that it is either complete or gone.
///
/// What an interrupted run left is replaced; anything else that is there is left alone, which is an error.
pub(in crate::envs) fn make(
    layout: &Layout,
    name: &EnvironmentName,
    sink: &dyn Sink,
    fill: impl FnOnce(&Path) -> Result<(), EnvsError>,
) -> Result<(), EnvsError> {
    let prefix = layout.prefix(name);
    let exists = || EnvsError::Exists {
        name: name.clone(),
        path: prefix.clone(),
    };
    let _lock = loop {
        fs::create_dir_all(&prefix).map_err(io_error(&prefix))?;
        // Whoever held the lock may have removed the directory.
        if let Some(lock) = lock(name, &prefix, sink)? {
            break lock;
        }
    };
    match State::of(&prefix) {
        State::Absent => {}
        State::Complete | State::Other => return Err(exists()),
        State::Making | State::Changing => empty(&prefix)?,
    }
    mark(&prefix, MAKING)?;
    match fill(&prefix) {
        Ok(()) => unmark(&prefix),
        Err(error) => {
            // The first error is the one that counts; the mark keeps what cannot be removed from passing for finished.
            let _ = fs::remove_dir_all(&prefix);
            Err(error)
        }
    }
}

/// A change of an environment that exists. Until it is finished, the environment counts as complete only as long as
/// nothing in it has been touched.
pub(in crate::envs) struct Change<'a> {
    prefix: &'a Path,
    /// Whether an earlier change was interrupted, so that what is there cannot be trusted.
    pub(in crate::envs) repairs: bool,
    _lock: File,
}

impl<'a> Change<'a> {
    /// Waits until nobody else changes the environment.
    pub(in crate::envs) fn of(name: &EnvironmentName, prefix: &'a Path, sink: &dyn Sink) -> Result<Self, EnvsError> {
        let gone = || EnvsError::Missing {
            name: name.clone(),
            path: prefix.to_owned(),
            known: Vec::new(),
        };
        Ok(Self {
            _lock: lock(name, prefix, sink)?.ok_or_else(gone)?,
            repairs: State::of(prefix) == State::Changing,
            prefix,
        })
    }

    /// To be called before anything in the environment is touched.
    pub(in crate::envs) fn begin(&self) -> Result<(), EnvsError> {
        mark(self.prefix, CHANGING)
    }

    /// The change is done, or nothing has been touched.
    pub(in crate::envs) fn end(self) -> Result<(), EnvsError> {
        unmark(self.prefix)
    }
}

/// A lock on the directory itself, which leaves nothing behind. `None` where the directory was removed meanwhile.
fn lock(name: &EnvironmentName, prefix: &Path, sink: &dyn Sink) -> Result<Option<File>, EnvsError> {
    let directory = match File::open(prefix) {
        Ok(directory) => directory,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io_error(prefix)(source)),
    };
    match directory.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            sink.emit(Event::Note {
                text: format!("waiting for another process that changes the environment {name}"),
            });
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
