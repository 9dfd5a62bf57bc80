//! Why a stage did not become what was waited for, or was not checked.

use crate::fault::{Explained, Kind};
use crate::workflow::Interrupt;

/// Why a stage did not become what was waited for, or was not checked.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The time is up.
    #[error("{what} was waited for, {limit} long: {reason}")]
    TimeIsUp {
        /// What was waited for.
        what: String,
        /// Why it is not there.
        reason: String,
        /// How long.
        limit: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// There is nothing to check the stage by.
    #[error("stage {stage} declares nothing that would show that it works")]
    NothingToCheck {
        /// The stage.
        stage: String,
    },
    /// Interrupted before anything was changed.
    #[error("interrupted; nothing was changed")]
    Interrupted(Interrupt),
    /// Interrupted while a driver worked.
    #[error("interrupted; the driver was asked to stop, and what it had done so far may stay")]
    Stopped(Interrupt),
}

impl Explained for StageError {
    fn kind(&self) -> Kind {
        match self {
            Self::TimeIsUp { .. } => Kind::Temporary,
            Self::NothingToCheck { .. } => Kind::Nothing,
            Self::Interrupted(Interrupt::Interrupted) | Self::Stopped(Interrupt::Interrupted) => Kind::Interrupted,
            Self::Interrupted(Interrupt::Terminated) | Self::Stopped(Interrupt::Terminated) => Kind::Terminated,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TimeIsUp { hint, .. } => {
                let longer = "try again, or wait longer with --timeout".to_owned();
                Some(
                    hint.as_ref()
                        .map_or_else(|| longer.clone(), |hint| format!("{hint}; or {longer}")),
                )
            }
            Self::NothingToCheck { .. } => {
                Some("give the stage `check: {url: …, tests: […]}` in deployment.yml".to_owned())
            }
            Self::Interrupted(_) => None,
            Self::Stopped(_) => Some("see what runs before the next call, or deploy again".to_owned()),
        }
    }
}
