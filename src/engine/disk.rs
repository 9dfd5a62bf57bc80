//! What an engine is, and what it keeps on its disk.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;

use super::EngineError;
use crate::reference::Digest;

/// An engine in its own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// What it is called, e.g. `Docker`.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// How it keeps images, e.g. `overlay2`.
    pub store: String,
    /// Where it keeps everything, on its machine.
    pub directory: Option<PathBuf>,
}

/// What builds images at an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// Docker's.
    BuildKit,
    /// Podman's own.
    Buildah,
}

/// What an engine keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// The images.
    pub images: Vec<HeldImage>,
    /// The volumes.
    pub volumes: Vec<HeldVolume>,
    /// Bytes of the builder's cache.
    pub cache: u64,
}

/// An image on an engine's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldImage {
    /// The image's ID.
    pub id: Digest,
    /// Its tags, as floe gives them.
    pub tags: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// All its bytes.
    pub size: u64,
    /// Those that no other image has.
    pub own: u64,
    /// How many containers are of it.
    pub containers: u64,
}

/// A volume on an engine's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldVolume {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its bytes.
    pub size: u64,
    /// How many containers have it.
    pub containers: u64,
}

/// What keeps images and volumes on a disk.
#[async_trait]
pub trait Disk: Send + Sync {
    /// The engine in its own words.
    async fn about(&self) -> Result<About, EngineError>;

    /// What builds images at the engine, once it has answered.
    async fn builds(&self) -> Result<Builder, EngineError>;

    /// What the engine keeps. It may take seconds to count.
    async fn holdings(&self) -> Result<Holdings, EngineError>;

    /// Takes a tag from its image, which goes with its last one, unless a container or another image needs it. A missing tag
    /// is no error.
    async fn remove_tag(&self, tag: &str) -> Result<(), EngineError>;

    /// Removes a volume. A missing one, and one that a container has, are no error.
    async fn remove_volume(&self, name: &str) -> Result<(), EngineError>;
}
