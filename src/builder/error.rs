//! Why a plan could not be carried out.

use std::path::PathBuf;

use super::agent::Said;
use super::rootfs::RootfsError;
use crate::engine::EngineError;
use crate::fault::{Explained, Kind, Place};
use crate::reference::{MissionName, Role};
use crate::state::FileError;

/// A plan that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The engine refused or failed.
    #[error("{}", at(.line.as_ref(), .said.as_ref(), .source))]
    Engine {
        /// The line of a Dockerfile that failed, where it can be told.
        line: Option<Place>,
        /// What floe's agent said in the step that failed, where it did.
        said: Option<Said>,
        /// What the failure means.
        kind: Kind,
        /// The engine's error.
        source: EngineError,
    },
    /// Some of several images were not built; why was told when it was known.
    #[error("{} of {all} images were not built: {}", .failed.len(), listed(.failed))]
    Several {
        /// How many were to be built.
        all: usize,
        /// Those that were not, and why; one at least.
        failed: Vec<(Role, BuildError)>,
    },
    /// The Debian base could not be made.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// The image has not been built from the present files.
    #[error("{name} has not been built from its present files: {reason}")]
    NotBuilt {
        /// What is missing, as in the plan.
        name: String,
        /// What changed since it was last built.
        reason: String,
        /// The missions of the plan.
        missions: Vec<MissionName>,
    },
    /// A file of the site's that builds need cannot be used.
    #[error("{path}: {reason}")]
    Mount {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// floe's own state cannot be written.
    #[error(transparent)]
    State(#[from] FileError),
}

impl Explained for BuildError {
    fn kind(&self) -> Kind {
        match self {
            Self::Engine { kind, .. } => *kind,
            // Another attempt helps only if it may help all of them.
            Self::Several { failed, .. } => {
                let kinds = failed.iter().map(|(_, error)| error.kind()).collect::<Vec<_>>();
                let lasting = kinds.iter().find(|kind| **kind != Kind::Temporary);
                lasting.copied().unwrap_or(Kind::Temporary)
            }
            Self::Rootfs(error) => error.kind(),
            Self::NotBuilt { .. } | Self::Mount { .. } => Kind::Invalid,
            Self::State(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Engine { said, source, .. } => {
                let of_agent = said.as_ref().and_then(|said| said.hint.clone());
                of_agent.or_else(|| source.hint())
            }
            Self::Several { failed, .. } => failed.first().and_then(|(_, error)| error.hint()),
            Self::Rootfs(error) => error.hint(),
            Self::NotBuilt { missions, .. } => {
                let missions = missions.iter().map(|mission| format!(" {mission}"));
                Some(format!(
                    "build it first: `scripts/image-build{}`",
                    missions.collect::<String>()
                ))
            }
            Self::Mount { .. } => None,
            Self::State(error) => error.hint(),
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Engine { said, line, .. } => {
                let of_agent = said.as_ref().and_then(|said| said.place.clone());
                of_agent.or_else(|| line.clone())
            }
            Self::Several { failed, .. } => failed.first().and_then(|(_, error)| error.place()),
            Self::Mount { path, .. } => Some(Place::of(path, None)),
            Self::Rootfs(_) | Self::NotBuilt { .. } | Self::State(_) => None,
        }
    }
}

fn listed(failed: &[(Role, BuildError)]) -> String {
    let failed = failed.iter().map(|(role, _)| role.to_string());
    failed.collect::<Vec<_>>().join(", ")
}

fn at(line: Option<&Place>, said: Option<&Said>, error: &EngineError) -> String {
    let line = line.map(|line| format!("{line}: ")).unwrap_or_default();
    let error = error.to_string();
    let Some(said) = said else {
        return format!("{line}{error}");
    };
    // What the agent says tells more than the code that it ended with.
    let error = error.rsplit_once(": exit code: ").map_or(&*error, |(error, _)| error);
    format!("{line}{error}: {}", said.error)
}

impl From<EngineError> for BuildError {
    fn from(source: EngineError) -> Self {
        Self::Engine {
            line: None,
            said: None,
            kind: source.kind(),
            source,
        }
    }
}
