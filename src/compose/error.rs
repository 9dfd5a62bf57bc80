//! What composing a Dockerfile can fail for.

use std::path::PathBuf;

use crate::fault::{Explained, Kind, Place};

/// A file of a mission that composing needs and cannot read or use.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A template cannot be rendered.
    #[error("{path}{}: {message}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
    Template {
        /// The template.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// What is wrong, in Tera's words.
        message: String,
    },
    /// The Dockerfile begins no stage.
    #[error("{path}{}: the first instruction must be FROM with an image; only ARG may come before it", .line.map(|line| format!(":{line}")).unwrap_or_default())]
    NoStage {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, of what comes first.
        line: Option<usize>,
    },
    /// Two files claim to be the mission's Dockerfile.
    #[error("{first} and {second} cannot both be there: a mission has one such file")]
    Ambiguous {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The mission holds nothing to build.
    #[error(
        "{path} holds nothing to build: no Dockerfile.custom or Dockerfile.custom.tera, no environments/ with an environment, no Dockerfile"
    )]
    Nothing {
        /// The mission's directory.
        path: PathBuf,
        /// What may be meant as something to build, a sentence each.
        misnamed: Vec<String>,
    },
}

impl Explained for ComposeError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Nothing { misnamed, .. } if !misnamed.is_empty() => return Some(misnamed.join("; ")),
            Self::Nothing { .. } => {
                "add environments/<env>/<env>.pip for a generated image, or a Dockerfile.custom that extends ${BASE_IMAGE}"
            }
            Self::Read { .. } => "every image needs common/Dockerfile, every mission common/Dockerfile.trailer",
            Self::Template { .. } => {
                "a template sees mission, environments, frozen, common_image, and the blocks env_stages and env_layers"
            }
            Self::NoStage { .. } => "begin with `ARG BASE_IMAGE` and `FROM ${BASE_IMAGE}`",
            Self::Ambiguous { .. } => "remove one of them",
        };
        Some(hint.to_owned())
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Read { path, .. } | Self::Nothing { path, .. } => Some(Place::of(path, None)),
            Self::Template { path, line, .. } | Self::NoStage { path, line } => Some(Place::of(path, *line)),
            Self::Ambiguous { second, .. } => Some(Place::of(second, None)),
        }
    }
}
