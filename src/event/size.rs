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
    /// What is in it more than once, and what the copies take, the largest first: packages that several environments hold, and
    /// libraries that several packages of one environment bring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeated: Vec<Portion>,
    /// The packages that made it larger than the image before, each with by how much, the largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grown: Vec<Portion>,
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
