//! The settings of builds.

use std::num::NonZeroUsize;

use super::{ConfigError, Values, number};
use crate::quantity::{self, Size};

/// How images are built.
#[derive(Debug, Clone, Copy)]
pub struct BuildSettings {
    /// How many missions are built at a time, if somebody has said so.
    pub jobs: Option<NonZeroUsize>,
    /// Whether frozen environments are put together from what is kept of their packages, where the engine takes layers.
    pub assemble: bool,
    /// How large the image of a mission may be.
    pub size_budget: Option<Size>,
    /// How much it may grow from one build to the next.
    pub growth_budget: Option<Size>,
}

impl BuildSettings {
    pub(super) fn of(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self {
            jobs: values.parsed("BUILD_JOBS", number)?,
            assemble: values.switch("ASSEMBLE_LAYERS")?,
            size_budget: values.parsed("SIZE_BUDGET", quantity::parsed)?,
            growth_budget: values.parsed("GROWTH_BUDGET", quantity::parsed)?,
        })
    }
}
