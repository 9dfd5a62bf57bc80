//! What is wrong with a values file.

use std::path::PathBuf;

use super::Field;
use crate::fault::{Explained, Kind, Place};

/// A values file that cannot be read, or not be edited as asked.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// It is no YAML.
    #[error("{place}: {reason}")]
    Malformed {
        /// Where.
        place: Place,
        /// The parser's words.
        reason: String,
    },
    /// It holds something else than a map.
    #[error("{place}: values are a map of names and values")]
    NoMap {
        /// Where.
        place: Place,
    },
    /// The file does not hold the field.
    #[error("{}: there is no {field}", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
        /// What is to be edited.
        field: Field,
    },
    /// The field holds something else than text.
    #[error("{place}: {field} is {found}, not text")]
    NotText {
        /// Where.
        place: Place,
        /// What is to be edited.
        field: Field,
        /// What it holds.
        found: &'static str,
    },
    /// The field is written in a way that has no place for another value.
    #[error("{place}: {field} is written over several lines; write it on one")]
    Block {
        /// Where.
        place: Place,
        /// What is to be edited.
        field: Field,
    },
    /// An edit would change other values, too, since they share what is written.
    #[error("{place}: {field} is shared by an anchor with {other}, which would change with it")]
    Shared {
        /// Where it is written.
        place: Place,
        /// What is to be edited.
        field: Field,
        /// What would change, too.
        other: String,
    },
}

impl Explained for ValuesError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Shared { .. } => Some(
                "write the value of the field itself in place of the alias, or name the other field, too".to_owned(),
            ),
            _ => None,
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Malformed { place, .. }
            | Self::NoMap { place }
            | Self::NotText { place, .. }
            | Self::Block { place, .. }
            | Self::Shared { place, .. } => Some(place.clone()),
            Self::Absent { path, .. } => Some(Place::of(path, None)),
        }
    }
}
