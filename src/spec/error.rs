//! What can be wrong with the files that say what an environment holds.

use std::io;
use std::path::{Path, PathBuf};

use crate::fault::{Explained, Kind, Place};
use crate::reference::{EnvironmentName, ReferenceError};
use crate::repository;

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
    /// A line of a floating spec that asks for what nobody else could install, so that the build could not be frozen.
    #[error("{path}{}: `{text}` cannot be frozen: {reason}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
    NotFreezable {
        /// The spec file.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// The line's text.
        text: String,
        /// Why.
        reason: String,
    },
    /// A spec file in which a requirement cannot be edited without touching others.
    #[error("{path}{}: {reason}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
    NotEdited {
        /// The spec file.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// Why.
        reason: String,
    },
    /// A frozen build was asked for, without a frozen spec.
    #[error("{path} is missing, and USE_FROZEN=1 builds from frozen specs only")]
    NotFrozen {
        /// Where the frozen spec should be.
        path: PathBuf,
    },
}

impl Explained for SpecError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Empty { name, .. } => Some(format!(
                "add {name}.yml, or a list of pip packages such as {name}.pip, with one requirement on each line"
            )),
            Self::NotFrozen { path } => Some(format!(
                "`floe build{} --use-frozen 0` builds from the floating specs and writes it",
                mission(path)
            )),
            Self::Floating { path, .. } => Some(format!(
                "`floe freeze{}` writes exact packages; what floats belongs into another spec file",
                mission(path)
            )),
            Self::Disagree { yml, .. } => Some(format!(
                "`floe freeze{}` writes both; neither is to be edited or merged by hand",
                mission(yml)
            )),
            Self::NotFreezable { .. } => Some(
                "name it by an index, by an https: address or by a commit of a git repository that others reach"
                    .to_owned(),
            ),
            Self::NotEdited { .. } => {
                Some("edit it by hand; `floe lock` then writes what the environment comes to".to_owned())
            }
            Self::Read { .. }
            | Self::Malformed { .. }
            | Self::Name { .. }
            | Self::Ambiguous { .. }
            | Self::Unlockable { .. } => None,
        }
    }
    fn place(&self) -> Option<Place> {
        match self {
            Self::Malformed { path, line, .. }
            | Self::Floating { path, line, .. }
            | Self::NotEdited { path, line, .. }
            | Self::NotFreezable { path, line, .. } => Some(Place::of(path, *line)),
            Self::Read { path, .. }
            | Self::Name { path, .. }
            | Self::Empty { path, .. }
            | Self::NotFrozen { path }
            | Self::Ambiguous { second: path, .. }
            | Self::Disagree { yml: path, .. } => Some(Place::of(path, None)),
            Self::Unlockable { .. } => None,
        }
    }
}

/// The mission of a file as an argument behind a command's name; nothing for a file that all missions share.
fn mission(path: &Path) -> String {
    repository::mission_of(path).map_or_else(String::new, |mission| format!(" {mission}"))
}
