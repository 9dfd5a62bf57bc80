//! What every error says of itself beside its text: its kind, and what to do about it.
//!
//! An error stands in the module that meets it, with its kind and hint. `cli` alone makes exit codes of kinds.

mod temporary;
mod trouble;

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::temporary::{is_temporary_error, is_temporary_status};
pub use self::trouble::{Trouble, chain, words_of};

/// What an error means for the call that it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A defect of floe, or of the machine under it.
    Internal,
    /// The command line does not say what is needed.
    Usage,
    /// A definition or a setting is invalid.
    Invalid,
    /// Nothing was selected, or no test ran.
    Nothing,
    /// The engine, a registry or the network is unavailable: the same call may succeed later.
    Temporary,
    /// A build or the installation of an environment failed.
    Build,
    /// A gate refused.
    Refused,
    /// Interrupted by Ctrl-C.
    Interrupted,
    /// Interrupted by a request to terminate.
    Terminated,
}

/// A file that people wrote, and a line of it where one is known. It is written as `FILE:LINE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: Option<usize>,
}

impl Place {
    /// A place in the file at `path`.
    #[must_use]
    pub fn of(path: &Path, line: Option<usize>) -> Self {
        Self {
            path: path.to_owned(),
            line,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// An error that says what it means and what to do about it.
pub trait Explained: Error {
    /// What it means for the call that it ends.
    fn kind(&self) -> Kind;

    /// What a person can do about it, where that is not plain from the error itself.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The file that is at fault, where the error is about one that people wrote.
    fn place(&self) -> Option<Place> {
        None
    }

    /// Whether another attempt may succeed.
    fn is_temporary(&self) -> bool {
        self.kind() == Kind::Temporary
    }
}

/// What to do about a fault that may be gone at the next attempt.
pub const TRY_AGAIN: &str = "the network or a server failed: try again";
