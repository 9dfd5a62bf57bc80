//! Why a trial ends before its tests do.

use std::time::Duration;

/// Why a container is ended before it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interruption {
    /// Somebody asked for it.
    Interrupted,
    /// The run took longer than it may.
    TimeLimit(Duration),
}

impl Interruption {
    /// What it is for the run.
    pub(super) fn problem(self) -> String {
        match self {
            Self::Interrupted => "interrupted".to_owned(),
            Self::TimeLimit(limit) => format!("the run took longer than {} s", limit.as_secs_f64()),
        }
    }
}
