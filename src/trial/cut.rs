//! Why a trial ends before its tests do.

use std::time::Duration;

use crate::event::{Cause, CauseKind};

/// Why a container is ended before it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Somebody asked for it.
    Interrupted,
    /// The run took longer than it may.
    TimeLimit(Duration),
}

impl Cut {
    /// What it is for the script that was running.
    pub(super) fn cause(self) -> Cause {
        match self {
            Self::Interrupted => Cause::new(CauseKind::NotRun, self.problem()),
            Self::TimeLimit(_) => Cause::new(CauseKind::Timeout, self.problem()),
        }
    }

    /// What it is for the run.
    pub(super) fn problem(self) -> String {
        match self {
            Self::Interrupted => "interrupted".to_owned(),
            Self::TimeLimit(limit) => format!("the run took longer than {} s", limit.as_secs_f64()),
        }
    }
}
