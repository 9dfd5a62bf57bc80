//! Why a repository or a mission cannot be begun.

use std::io;
use std::path::PathBuf;

use crate::fault::{Explained, Kind, Place};
use crate::spec::SpecError;

/// A repository or mission that cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is to be carried over is of no kind that is known.
    #[error("{path} is nothing that a mission can be made from")]
    Unknown {
        /// The directory or file.
        path: PathBuf,
    },
    /// No name can be made of another.
    #[error("no mission can be called after {path}")]
    Nameless {
        /// What it would be called after.
        path: PathBuf,
    },
    /// A file does not say what it should.
    #[error("{path}: {message}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A spec file cannot be read.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl Explained for ScaffoldError {
    fn kind(&self) -> Kind {
        match self {
            Self::File { .. } | Self::Unknown { .. } | Self::Malformed { .. } => Kind::Invalid,
            Self::Nameless { .. } => Kind::Usage,
            Self::Spec(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some(
                "it may be a directory for repo2docker (environment.yml, requirements.txt, …), a repository or mission of the \
                 original framework (missions/*/environments, environments/), or a spec of nb-wrangler (a .yaml)"
                    .to_owned(),
            ),
            Self::Nameless { .. } => Some("name it with --mission".to_owned()),
            Self::Spec(error) => error.hint(),
            Self::File { .. } | Self::Malformed { .. } => None,
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::File { path, .. }
            | Self::Unknown { path }
            | Self::Nameless { path }
            | Self::Malformed { path, .. } => Some(Place::of(path, None)),
            Self::Spec(error) => error.place(),
        }
    }
}
