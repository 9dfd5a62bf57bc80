//! The container engine, seen from floe: images are inspected, built and pushed, containers are run.
//!
//! [`Images`], [`Builds`] and [`Containers`] are the edge, each asked for by what a caller uses. [`connect`] gives the
//! engine that answers; an engine in memory serves unit tests beside the real ones.

mod builds;
mod containers;
mod directions;
mod docker;
mod error;
mod images;

use std::sync::Arc;

pub use self::builds::{BuildRequest, Builds};
pub use self::containers::{
    Change, ChangeKind, Container, ContainerExit, ContainerRequest, Containers, Found, SharedProgram, Wanted,
};
pub use self::directions::Directions;
pub use self::error::{Absence, EngineError};
pub use self::images::{Credentials, Image, Images, Listed};

/// An engine that keeps images, builds them and runs them.
pub trait Engine: Images + Builds + Containers {}

impl<T: Images + Builds + Containers> Engine for T {}

/// Connects to the engine that `directions` lead to.
///
/// Returns an engine that has answered.
pub async fn connect(directions: &Directions) -> Result<Arc<dyn Engine>, EngineError> {
    Ok(Arc::new(docker::Docker::connect(directions).await?))
}

#[cfg(test)]
pub(crate) mod fake;
