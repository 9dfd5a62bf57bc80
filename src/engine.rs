//! The container engine, seen from floe: images are inspected, built and pushed, containers are run.
//!
//! [`Images`], [`Builds`], [`Containers`], [`Consoles`] and [`Disk`] are the edge, each asked for by what a caller uses.
//! [`connect`] gives the engine that answers; an engine in memory serves unit tests beside the real ones.

mod builds;
mod consoles;
mod containers;
mod directions;
mod disk;
mod docker;
mod error;
mod images;
mod kubernetes;
mod left;
mod member;
mod pieces;
mod podman;

use std::sync::Arc;

pub use self::builds::{BuildRequest, Builds, Connection, Connections};
pub use self::consoles::{Attached, Consoles, Size, Written};
pub use self::containers::{
    Change, ChangeKind, Container, ContainerExit, ContainerRequest, Containers, Found, Input, SharedProgram, User,
    Wanted,
};
pub use self::directions::{Directions, EngineName};
pub use self::disk::{About, Builder, Disk, HeldImage, HeldVolume, Holdings};
pub use self::error::{Absence, EngineError};
pub use self::images::{
    Below, Credentials, Export, Image, Images, Layer, LayerForm, LayerPart, Listed, NewLayer, Stored,
};
pub use self::kubernetes::{Cluster, JobSettings, JobSettingsError, Surroundings};
pub use self::left::{LeftRun, LeftRuns};
pub use self::member::Member;
pub use self::pieces::Pieces;

/// An engine that keeps images, builds them, runs them, and lets people in.
pub trait Engine: Images + Builds + Containers + Consoles + Disk {}

impl<T: Images + Builds + Containers + Consoles + Disk> Engine for T {}

/// Connects to the engine that `directions` lead to.
///
/// Returns an engine that has answered.
pub async fn connect(directions: &Directions) -> Result<Arc<dyn Engine>, EngineError> {
    Ok(Arc::new(docker::Docker::connect(directions).await?))
}

#[cfg(test)]
pub(crate) mod fake;
