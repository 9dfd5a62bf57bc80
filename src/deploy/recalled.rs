//! Recalled images: `deployments/recalled.yml` lists them with a reason, and nothing promotes them.

use std::path::Path;

use serde::Deserialize;

use super::error::{DeployError, Refusal};
use crate::deployment::{DeploymentError, RECALLED};
use crate::fault::Place;
use crate::git;
use crate::reference::Digest;

/// An image that must not be promoted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    /// The image.
    pub digest: Digest,
    /// Why.
    pub reason: String,
    /// What to use in its place: a digest, or words.
    pub instead: Option<String>,
}

/// The images that the repository at `root` recalls, in the order of the file, as it lies in the working tree: a recall
/// counts from the moment that it is written.
pub fn recalled(root: &Path) -> Result<Vec<Recall>, DeployError> {
    let path = Path::new(RECALLED);
    let read = git::file_here(root, path).map_err(|source| DeploymentError::Read {
        path: path.to_owned(),
        source,
    })?;
    let Some(text) = read else {
        return Ok(Vec::new());
    };
    let listed = serde_yaml::from_str::<Option<Vec<Recall>>>(&text).map_err(|error| DeploymentError::Malformed {
        place: Place::of(path, error.location().map(|location| location.line())),
        reason: error.to_string(),
    })?;
    Ok(listed.unwrap_or_default())
}

/// Refuses a digest that is recalled.
pub fn admit(digest: &Digest, recalled: &[Recall]) -> Result<(), Refusal> {
    match recalled.iter().find(|recall| recall.digest == *digest) {
        None => Ok(()),
        Some(recall) => Err(Refusal::Recalled {
            digest: digest.clone(),
            reason: recall.reason.clone(),
            instead: recall.instead.clone(),
        }),
    }
}
