//! Runs that nobody follows: an engine that runs containers where floe may leave them keeps what it takes to come back.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Container, Containers, EngineError};

/// A run that goes on without the floe that began it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftRun {
    /// The run.
    pub run: String,
    /// Labels; that of an owner is there as long as somebody follows it.
    pub labels: BTreeMap<String, String>,
    /// What it takes to finish it: bytes that the engine does not read, at most 1 MiB.
    pub content: Vec<u8>,
    /// Which state of it this is, in the engine's own words; empty where it was never kept.
    pub version: String,
}

/// What keeps runs while nobody follows them.
///
/// What is kept holds no secret. It goes with the last container of its run, however that goes.
#[async_trait]
pub trait LeftRuns: Containers {
    /// Keeps a run as long as one of its `containers` is there. From then on [`Containers::containers`] names no owner of
    /// them: they are left alone whatever becomes of the process that started them.
    async fn keep(&self, run: &LeftRun, containers: &[Container]) -> Result<(), EngineError>;

    /// All runs that are kept.
    async fn kept(&self) -> Result<Vec<LeftRun>, EngineError>;

    /// Writes down who follows a run, or that nobody does. Returns whether it was in the state that `run` says: if not,
    /// somebody else was faster, and nothing is written.
    async fn claim(&self, run: &LeftRun, owner: Option<&str>) -> Result<bool, EngineError>;

    /// Keeps a run no longer. One that is not kept is no error.
    async fn forget(&self, run: &str) -> Result<(), EngineError>;

    /// The environment that a container was given when it was started; `None` where the container is gone.
    async fn given(&self, container: &Container) -> Result<Option<BTreeMap<String, String>>, EngineError>;
}
