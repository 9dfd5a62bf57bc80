//! What the metadata of installed python distributions says of their licences.

use std::path::Path;

use super::distribution::{header, read, text};
use crate::envs::EnvsError;
use crate::sbom::Recorded;
use crate::spec::frozen::normalized;

/// A longer text is cut, in characters: some hold a whole licence.
const LONGEST: usize = 200;

/// What each distribution in the environment at `prefix` says: its normalized name, its version, and that.
pub fn licences(prefix: &Path) -> Result<Vec<(String, String, Recorded)>, EnvsError> {
    let told = read(prefix)?.into_iter().map(|found| {
        let metadata = text(&prefix.join(&found.metadata))?;
        Ok((normalized(&found.name), found.version, recorded(&metadata)))
    });
    told.collect()
}

fn recorded(metadata: &str) -> Recorded {
    let cut = |text: &str| text.chars().take(LONGEST).collect::<String>();
    let first = |name: &str| {
        let mut values = header(metadata, name).filter(|value| !value.is_empty() && *value != "UNKNOWN");
        values.next().map(cut)
    };
    let classifiers = header(metadata, "Classifier").filter_map(|value| value.strip_prefix("License ::"));
    Recorded {
        expression: first("License-Expression"),
        text: first("License"),
        classifiers: classifiers.map(|name| cut(name.trim())).collect(),
    }
}
