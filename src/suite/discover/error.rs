//! Why tests cannot be found.

use std::io;
use std::path::PathBuf;

use crate::fault::{Explained, Kind, Place};
use crate::reference::ReferenceError;
use crate::suite::settings::SettingsError;

/// Tests that cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// A file or directory cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory with tests has a name that no environment can have.
    #[error("{path}: {source}")]
    Name {
        /// The directory.
        path: PathBuf,
        /// What is wrong with its name.
        source: ReferenceError,
    },
    /// What an environment says of its tests cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl Explained for DiscoverError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(SettingsError::Invalid { .. }) => Some(
                "settings.yml may hold cell-timeout, notebook-timeout, import-timeout, script-timeout, retries, alone, isolated and own-kernels"
                    .to_owned(),
            ),
            Self::Read { path, source } if source.kind() == io::ErrorKind::IsADirectory => Some(format!(
                "it is a list, a line for each; put what the directory holds elsewhere, and name that here, as in `{}`",
                if path.ends_with("imports") { "numpy" } else { "examples/*.ipynb" }
            )),
            _ => None,
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Settings(SettingsError::Invalid { path, line, .. }) => Some(Place::of(path, *line)),
            Self::Read { path, .. } | Self::Name { path, .. } | Self::Settings(SettingsError::Read { path, .. }) => {
                Some(Place::of(path, None))
            }
        }
    }
}
