//! How large an image is.

use serde::{Deserialize, Serialize};

/// How large an image is, and what takes how much of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageSize {
    /// All of it, as it lies on a disk, in bytes.
    pub bytes: u64,
    /// What the packages of each environment take, the largest first.
    pub environments: Vec<Portion>,
    /// The largest packages, `environment/package`, the largest first.
    pub packages: Vec<Portion>,
    /// Its layers, the lowest first, each by the environment that it holds or by what made it.
    pub layers: Vec<Portion>,
}

/// What takes a part of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Portion {
    /// What it is.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}
