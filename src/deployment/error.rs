//! What is wrong with a deployment.

use std::io;
use std::path::PathBuf;

use crate::fault::{Explained, Kind, Place};
use crate::reference::{DeploymentName, ReferenceError, StageName};
use crate::values::{Field, ValuesError};

/// A deployment that is not declared well.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// A name is not well formed.
    #[error(transparent)]
    Name(#[from] ReferenceError),
    /// There is none of this name.
    #[error("there is no deployment {name}: {} does not exist", path.display())]
    NoDeployment {
        /// What was asked for.
        name: DeploymentName,
        /// What would declare it.
        path: PathBuf,
        /// Those that there are.
        known: Vec<DeploymentName>,
    },
    /// It has no stage of this name.
    #[error("deployment {deployment} has no stage {stage}")]
    NoStage {
        /// The deployment.
        deployment: DeploymentName,
        /// What was asked for.
        stage: String,
        /// Those that it has.
        known: Vec<StageName>,
    },
    /// Its declaration says nothing that floe understands.
    #[error("{place}: {reason}")]
    Malformed {
        /// Where.
        place: Place,
        /// Why.
        reason: String,
    },
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What a field holds is no image.
    #[error("{place}: {field}: {reason}")]
    Image {
        /// Where.
        place: Place,
        /// The field.
        field: Field,
        /// Why.
        reason: String,
    },
    /// A stage's file has no place for the image.
    #[error("{}: there is no {field} to write the image to", path.display())]
    FieldAbsent {
        /// The file.
        path: PathBuf,
        /// The field.
        field: Field,
    },
    /// Values cannot be read or edited.
    #[error(transparent)]
    Values(#[from] ValuesError),
}

impl Explained for DeploymentError {
    fn kind(&self) -> Kind {
        match self {
            Self::Name(_) | Self::NoDeployment { .. } | Self::NoStage { .. } => Kind::Usage,
            _ => Kind::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        let listed = |names: Vec<&str>, none: &str| match names.as_slice() {
            [] => none.to_owned(),
            names => format!("there are: {}", names.join(", ")),
        };
        match self {
            Self::NoDeployment { known, .. } => Some(listed(
                known.iter().map(DeploymentName::as_str).collect(),
                "`floe init --deployments` writes one for each that hubploy knows",
            )),
            Self::NoStage { known, .. } => Some(listed(known.iter().map(StageName::as_str).collect(), "")),
            Self::FieldAbsent { .. } => Some(
                "write the field once by hand, a text or a map with name and tag; promote keeps it from then on"
                    .to_owned(),
            ),
            Self::Values(error) => error.hint(),
            _ => None,
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Malformed { place, .. } | Self::Image { place, .. } => Some(place.clone()),
            Self::Read { path, .. } | Self::FieldAbsent { path, .. } => Some(Place::of(path, None)),
            Self::Name(_) | Self::NoDeployment { .. } | Self::NoStage { .. } => None,
            Self::Values(error) => error.place(),
        }
    }
}
