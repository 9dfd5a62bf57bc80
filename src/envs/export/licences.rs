//! What the metadata of installed python distributions says of their licences.

use std::path::Path;

use super::distribution::read;
use crate::envs::EnvsError;
use crate::sbom::Recorded;
use crate::spec::frozen::normalized;

/// What each distribution in the environment at `prefix` says: its normalized name, its version, and that.
pub fn licences(prefix: &Path) -> Result<Vec<(String, String, Recorded)>, EnvsError> {
    let found = read(prefix)?.into_iter();
    Ok(found
        .map(|found| (normalized(&found.name), found.version, found.licence))
        .collect())
}
