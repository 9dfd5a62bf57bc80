//! Why a driver did not do what it was asked to.

use std::time::Duration;

use crate::deployment::DeploymentError;
use crate::fault::{Explained, Kind, Place, TRY_AGAIN};
use crate::private::PrivateError;
use crate::process::{Exit, ProcessError};
use crate::sops::SopsError;

/// Why a driver did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// Its program does not start.
    #[error(transparent)]
    Start(#[from] ProcessError),
    /// It failed.
    #[error("{what}: {cause}{}", ended(*.exit))]
    Failed {
        /// The step.
        what: &'static str,
        /// How it ended; `None` if that is not known.
        exit: Option<Exit>,
        /// What it says.
        cause: String,
        /// Whether another attempt may succeed.
        temporary: bool,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// It does not end.
    #[error("{what}: no end within {} s", .limit.as_secs())]
    Slow {
        /// The step.
        what: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// What it prints is not what it should be.
    #[error("{what}: {reason}")]
    Unclear {
        /// The step.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Secrets cannot be decrypted.
    #[error(transparent)]
    Sops(#[from] SopsError),
    /// There is no place in memory for what is decrypted.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// What runs names no image that floe can read.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
}

fn ended(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Code(1)) | None => String::new(),
        Some(exit) => format!(" ({exit})"),
    }
}

impl DriverError {
    /// Whether no attempt will succeed before somebody has done something: the program is missing, or refuses this account.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Failed {
                exit: Some(Exit::Code(126 | 127)),
                ..
            }
            | Self::Start(_)
            | Self::Deployment(_) => true,
            Self::Failed { cause, .. } => {
                let cause = cause.to_lowercase();
                [
                    "unauthorized",
                    "forbidden",
                    "denied",
                    "provide credentials",
                    "context \"",
                ]
                .iter()
                .any(|word| cause.contains(word))
            }
            _ => false,
        }
    }
}

impl Explained for DriverError {
    fn kind(&self) -> Kind {
        match self {
            Self::Start(_) => Kind::Invalid,
            Self::Failed { temporary: true, .. } | Self::Slow { .. } => Kind::Temporary,
            Self::Failed { .. } | Self::Unclear { .. } => Kind::Build,
            Self::Sops(error) => error.kind(),
            Self::Private(error) => error.kind(),
            Self::Deployment(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Start(error) => Some(format!("install {}, or put it on PATH", error.program)),
            Self::Failed { hint: Some(hint), .. } => Some((*hint).to_owned()),
            Self::Failed { temporary: true, .. } | Self::Slow { .. } => Some(TRY_AGAIN.to_owned()),
            Self::Failed {
                exit: Some(Exit::Code(127)),
                ..
            } => Some("the shell does not find the program: install it, or put it on PATH".to_owned()),
            Self::Failed { .. } => {
                Some("it is no fault of a network or a server, which would pass: mend what it names".to_owned())
            }
            Self::Unclear { .. } => None,
            Self::Sops(error) => error.hint(),
            Self::Private(error) => error.hint(),
            Self::Deployment(error) => error.hint(),
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Sops(error) => error.place(),
            Self::Deployment(error) => error.place(),
            _ => None,
        }
    }
}
