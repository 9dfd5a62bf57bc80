//! Why a definition cannot be planned.

use crate::compose::ComposeError;
use crate::context::ContextError;
use crate::fault::{Explained, Kind, Place};
use crate::reference::MissionName;
use crate::repository::DefinitionError;
use crate::spec::env::SpecError;

/// A definition that cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no such mission.
    #[error("there is no mission \"{name}\"; missions/ holds {}", list(.known))]
    UnknownMission {
        /// The name that was asked for.
        name: MissionName,
        /// The missions there are.
        known: Vec<MissionName>,
    },
    /// Something below a directory of definitions is not what it should be.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// A file that composing needs cannot be used.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// An environment's files cannot be used.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The files of a build cannot be read.
    #[error(transparent)]
    Context(#[from] ContextError),
}

impl Explained for PlanError {
    fn kind(&self) -> Kind {
        match self {
            Self::Definition(error) => error.kind(),
            _ => Kind::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Definition(error) => error.hint(),
            Self::Compose(error) => error.hint(),
            Self::Spec(error) => error.hint(),
            Self::UnknownMission { .. } | Self::Context(_) => None,
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Definition(error) => error.place(),
            Self::Compose(error) => error.place(),
            Self::Spec(error) => error.place(),
            Self::Context(error) => error.place(),
            Self::UnknownMission { .. } => None,
        }
    }
}

fn list(names: &[MissionName]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(MissionName::as_str).collect::<Vec<_>>().join(", ")
}
