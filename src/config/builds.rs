//! The settings of builds.

use std::num::NonZeroUsize;

/// How images are built.
#[derive(Debug, Clone, Copy)]
pub struct BuildSettings {
    /// How many missions are built at a time, if somebody has said so.
    pub jobs: Option<NonZeroUsize>,
    /// Whether frozen environments are put together from what is kept of their packages, where the engine takes layers.
    pub assemble: bool,
}
