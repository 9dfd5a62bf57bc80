//! Where a run goes on that nobody here follows: a note in its directory, until somebody here has come back and seen its end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::reference::Digest;
use crate::state::FileError;

/// The name of the note in the run's directory.
const NOTE: &str = "left.json";

/// Where a run is, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Whereabouts {
    /// The context of the kubeconfig, if it is not the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The file that says what Jobs are like, if not that of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<PathBuf>,
    /// The mission that is tested.
    pub mission: String,
    /// What people call the image.
    pub reference: String,
    /// The ID of the image.
    pub image: Digest,
    /// When the run began.
    pub began: Timestamp,
}

impl Whereabouts {
    /// Writes the note into the directory of a run, which is made if need be.
    pub fn write(&self, directory: &Path) -> Result<(), FileError> {
        fs::create_dir_all(directory).map_err(FileError::of(directory))?;
        let path = directory.join(NOTE);
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        fs::write(&path, text).map_err(FileError::of(&path))
    }

    /// Reads the note; `None` where there is none that this floe reads.
    #[must_use]
    pub fn of(directory: &Path) -> Option<Self> {
        let text = fs::read_to_string(directory.join(NOTE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Removes the note: the run goes on nowhere.
    pub fn clear(directory: &Path) -> Result<(), FileError> {
        let path = directory.join(NOTE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::of(&path)(error)),
            _ => Ok(()),
        }
    }
}

/// Whether the run of a directory goes on where nobody here follows it.
#[must_use]
pub fn is_away(directory: &Path) -> bool {
    directory.join(NOTE).is_file()
}
