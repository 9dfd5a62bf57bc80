//! Why there is no directory in memory.

use std::io;
use std::path::{Path, PathBuf};

use crate::fault::{Explained, Kind};

/// Why there is no directory in memory, or a file in it cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// No directory that it knows is a tmpfs.
    #[error("nothing here lies in memory alone: {} no tmpfs", named(.tried))]
    NoMemory {
        /// The directories that were looked at.
        tried: Vec<PathBuf>,
    },
    /// A file or directory of it cannot be written.
    #[error("{path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl PrivateError {
    /// What turns an error of the operating system into one that names `path`.
    pub(super) fn of(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }
}

impl Explained for PrivateError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoMemory { .. } => Kind::Refused,
            Self::File { .. } => Kind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoMemory { .. } => {
                "what is decrypted never goes to a disk: mount a tmpfs at /dev/shm, or set XDG_RUNTIME_DIR to a directory \
                 in one"
            }
            Self::File { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

fn named(tried: &[PathBuf]) -> String {
    let names = tried.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(" and "))
}
