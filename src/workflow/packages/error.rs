//! Why packages cannot be looked at, or are not there.

use crate::fault::{Explained, Kind};

/// Packages that cannot be looked at, or are not there.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// There is no such commit.
    #[error("there is no commit \"{0}\"")]
    NoCommit(String),
    /// What a commit holds cannot be read.
    #[error("the commit {commit} cannot be read: {reason}")]
    Commit {
        /// The commit.
        commit: String,
        /// Why.
        reason: String,
    },
    /// The engine has no such image.
    #[error("there is no image \"{0}\" on this machine")]
    NoImage(String),
    /// The image does not say what it holds.
    #[error("{image} does not say what it holds: {reason}")]
    Silent {
        /// The image.
        image: String,
        /// Why.
        reason: String,
    },
    /// A package is nowhere.
    #[error("{name} is in no environment of {place}")]
    NoPackage {
        /// The package.
        name: String,
        /// Where it was looked for.
        place: String,
        /// Names that may have been meant, the likeliest first.
        near: Vec<String>,
        /// Environments whose packages are not known.
        unknown: Vec<String>,
    },
    /// No environment is meant.
    #[error("no environment of {place} is meant")]
    NoEnvironment {
        /// Where they were looked for.
        place: String,
        /// Those that there are.
        known: Vec<String>,
    },
}

impl Explained for PackagesError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoCommit(_) | Self::Commit { .. } | Self::NoImage(_) | Self::Silent { .. } => Kind::Invalid,
            Self::NoPackage { .. } | Self::NoEnvironment { .. } => Kind::Nothing,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoCommit(_) => Some("name a branch, a tag or a commit that this clone has".to_owned()),
            Self::NoImage(_) => Some("`floe image` prints what a mission's image is called".to_owned()),
            Self::Silent { .. } => Some("`floe build` builds it again, with what it holds written down".to_owned()),
            Self::Commit { .. } => None,
            Self::NoPackage { near, unknown, .. } => match (near.as_slice(), unknown.as_slice()) {
                ([], []) => None,
                ([], unknown) => Some(format!(
                    "it is not known what these hold, which are not frozen: {}",
                    unknown.join(", ")
                )),
                (near, _) => Some(format!("there is {}", near.join(", "))),
            },
            Self::NoEnvironment { known, .. } if known.is_empty() => None,
            Self::NoEnvironment { known, .. } => Some(format!("there is {}", known.join(", "))),
        }
    }
}
