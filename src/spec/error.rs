//! What can be wrong with the files that say what an environment holds.

use std::io;
use std::path::PathBuf;

use crate::reference::{EnvironmentName, ReferenceError};

/// A spec file or an environment's directory that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A file or directory cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A spec file does not say what a spec file says.
    #[error("{path}{}: {message}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
    Malformed {
        /// The spec file.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// What is wrong, in the parser's words.
        message: String,
    },
    /// The directory's name cannot name an environment.
    #[error("{path}: {source}")]
    Name {
        /// The directory.
        path: PathBuf,
        /// The rule that its name breaks.
        source: ReferenceError,
    },
    /// The directory holds nothing to build an environment from.
    #[error("{path} holds no spec file and no frozen spec")]
    Empty {
        /// The directory.
        path: PathBuf,
        /// The environment.
        name: EnvironmentName,
    },
    /// Two files claim to be the one that creates the environment, or to be its frozen spec.
    #[error("{first} and {second} cannot both be there: an environment has one such file")]
    Ambiguous {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A dependency of a frozen spec that names no exact package.
    #[error("{path}{}: `{text}` is not frozen: {wanted}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
    Floating {
        /// The frozen spec.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// The dependency.
        text: String,
        /// What it lacks.
        wanted: &'static str,
    },
    /// A frozen spec and the lock beside it are of different environments.
    #[error("{yml} and {lock} do not agree: {difference}")]
    Disagree {
        /// The frozen spec.
        yml: PathBuf,
        /// Its lock.
        lock: PathBuf,
        /// The first package that differs, and how.
        difference: String,
    },
    /// A package that a lock cannot hold.
    #[error("{package} cannot be locked: {message}")]
    Unlockable {
        /// The package, with its version.
        package: String,
        /// Why.
        message: String,
    },
    /// A frozen build was asked for, without a frozen spec.
    #[error("{path} is missing, and USE_FROZEN=1 builds from frozen specs only")]
    NotFrozen {
        /// Where the frozen spec should be.
        path: PathBuf,
    },
}

impl SpecError {
    /// What a person can do about it, where that is not plain from the error itself.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty { name, .. } => Some(format!(
                "add {name}.yml, or a list of pip packages such as {name}.pip, with one requirement on each line"
            )),
            Self::NotFrozen { .. } => {
                Some("`floe build --use-frozen 0` builds from the floating specs and writes it".to_owned())
            }
            Self::Floating { .. } => {
                Some("`floe freeze` writes exact packages; what floats belongs into another spec file".to_owned())
            }
            Self::Disagree { .. } => {
                Some("`floe freeze` writes both; neither is to be edited or merged by hand".to_owned())
            }
            Self::Read { .. }
            | Self::Malformed { .. }
            | Self::Name { .. }
            | Self::Ambiguous { .. }
            | Self::Unlockable { .. } => None,
        }
    }
}
