//! Why specs cannot be changed as they were asked to be.

use std::path::{Path, PathBuf};

use crate::fault::{Explained, Kind, Place};
use crate::reference::{EnvironmentName, MissionName};

/// Specs that cannot be changed as they were asked to be.
#[derive(Debug, thiserror::Error)]
pub enum SpecifyError {
    /// The mission has no such environment.
    #[error("{mission} has no environment {name}")]
    NoEnvironment {
        /// The mission.
        mission: MissionName,
        /// The environment.
        name: EnvironmentName,
        /// Those that there are.
        known: Vec<EnvironmentName>,
    },
    /// No mission has such an environment.
    #[error("no mission has an environment {name}")]
    Nowhere {
        /// The environment.
        name: EnvironmentName,
    },
    /// Several missions have such an environment.
    #[error("several missions have an environment {name}: {}", names(.missions))]
    SeveralMissions {
        /// The environment.
        name: EnvironmentName,
        /// The missions.
        missions: Vec<MissionName>,
    },
    /// A requirement whose package nobody can tell.
    #[error("`{requirement}` names no package")]
    Nameless {
        /// The requirement.
        requirement: String,
    },
    /// A package that is to be removed and that no spec lists.
    #[error("no spec of {environment} lists {name}")]
    NotListed {
        /// The package.
        name: String,
        /// The environment.
        environment: EnvironmentName,
        /// Where else it is listed, or what brings it along.
        because: Option<String>,
    },
    /// A package that is to be upgraded and that no environment holds.
    #[error("no environment that is locked holds {name}")]
    NotHeld {
        /// The package.
        name: String,
    },
    /// An environment that has a frozen spec and nothing else.
    #[error("{} says all that the environment holds, and no other spec is there to add to", .path.display())]
    OnlyFrozen {
        /// The frozen spec.
        path: PathBuf,
    },
    /// A file that is to be edited and is no spec.
    #[error("{file} is no spec of the environment: it is named as it lies there, and ends in .yml, .conda or .pip")]
    NoSpec {
        /// The file's name.
        file: String,
    },
    /// What the base environment begins with is not known.
    #[error("{} does not say what the base environment holds, and only an image tells what it begins with", .path.display())]
    BaseUnknown {
        /// Its frozen spec.
        path: PathBuf,
    },
    /// The specs as they would be cannot be solved.
    #[error("{message}")]
    Unsolved {
        /// Why, of the files in the repository.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// What it means.
        kind: Kind,
        /// The file at fault.
        place: Option<Place>,
    },
}

impl Explained for SpecifyError {
    fn kind(&self) -> Kind {
        match self {
            Self::SeveralMissions { .. } | Self::Nameless { .. } | Self::NoSpec { .. } => Kind::Usage,
            Self::NotListed { .. } | Self::NotHeld { .. } => Kind::Nothing,
            Self::NoEnvironment { .. } | Self::Nowhere { .. } | Self::OnlyFrozen { .. } | Self::BaseUnknown { .. } => {
                Kind::Invalid
            }
            Self::Unsolved { kind, .. } => *kind,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoEnvironment { known, .. } if known.is_empty() => return None,
            Self::NoEnvironment { known, .. } => format!("it has {}", names(known)),
            Self::SeveralMissions { missions, .. } => {
                let first = missions.first().map_or("MISSION", MissionName::as_str);
                format!("name one, e.g. `--mission {first}`")
            }
            Self::Nameless { .. } => "write it as `NAME @ ADDRESS`".to_owned(),
            Self::NotListed { because, .. } => return because.clone(),
            Self::NotHeld { .. } => "packages come behind `--upgrade`, missions and environments before it".to_owned(),
            Self::Nowhere { .. } | Self::NoSpec { .. } => return None,
            Self::OnlyFrozen { path } => {
                let directory = path.parent().and_then(Path::file_name).unwrap_or_default();
                format!("begin with a list such as {}.pip", directory.to_string_lossy())
            }
            Self::BaseUnknown { .. } => {
                "`floe build --use-frozen 0` builds the common image and freezes its base environment".to_owned()
            }
            Self::Unsolved { hint, .. } => return hint.clone(),
        })
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Unsolved { place, .. } => place.clone(),
            Self::OnlyFrozen { path } | Self::BaseUnknown { path } => Some(Place::of(path, None)),
            _ => None,
        }
    }
}

fn names<T: ToString>(names: &[T]) -> String {
    let names = names.iter().map(ToString::to_string);
    names.collect::<Vec<_>>().join(", ")
}
