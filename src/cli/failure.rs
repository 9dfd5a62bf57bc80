//! How a call ends: exit codes, and errors turned into messages with hints. This is the only place that makes exit codes.

use std::process;

use serde::{Deserialize, Serialize};

use crate::fault::{Explained, Kind, Place};
use crate::workflow::Interrupt;

/// Every exit code of floe. Never a count of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitCode {
    /// Everything went as it should.
    Success,
    /// A defect of floe, or of the machine under it.
    Internal,
    /// The command line is not understood.
    Usage,
    /// A definition or a setting is invalid.
    Invalid,
    /// Nothing was selected, or no test ran.
    NothingRan,
    /// The engine, a registry or the network is unavailable; safe to try again.
    Unavailable,
    /// Tests failed.
    TestsFailed,
    /// A build or the installation of an environment failed.
    BuildFailed,
    /// A gate refused.
    Refused,
    /// Interrupted by Ctrl-C.
    Interrupted,
    /// Interrupted by a request to terminate.
    Terminated,
    /// That of a command in a container, which is passed on.
    OfCommand(u8),
}

impl ExitCode {
    /// All codes of floe's own, and what each means.
    pub const MEANINGS: [(Self, &str); 11] = [
        (Self::Success, "success"),
        (Self::Internal, "internal error"),
        (Self::Usage, "the command line is not understood"),
        (Self::Invalid, "a definition or setting is invalid"),
        (Self::NothingRan, "nothing was selected, or no test ran"),
        (
            Self::Unavailable,
            "the engine, a registry or the network is unavailable; safe to try again",
        ),
        (Self::TestsFailed, "tests failed"),
        (
            Self::BuildFailed,
            "a build or the installation of an environment failed",
        ),
        (
            Self::Refused,
            "refused by a gate, such as a push without passing results",
        ),
        (Self::Interrupted, "interrupted"),
        (Self::Terminated, "ended by a request to terminate"),
    ];

    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
            Self::NothingRan => 4,
            Self::Unavailable => 75,
            Self::TestsFailed => 100,
            Self::BuildFailed => 101,
            Self::Refused => 102,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::OfCommand(code) => code,
        }
    }

    /// Whether a call that ends so has begun to work, and failed: it was understood, and nobody interrupted it. Tests that
    /// failed are accounted for one by one.
    #[must_use]
    pub fn is_of_work(self) -> bool {
        !matches!(
            self,
            Self::Success | Self::Usage | Self::TestsFailed | Self::Interrupted | Self::Terminated | Self::OfCommand(_)
        )
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

/// A call that did not succeed: what is said, and the code that it ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Failure {
    /// The exit code.
    pub code: ExitCode,
    /// What went wrong; `None` where the display has said it already.
    pub message: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The file that is at fault.
    #[serde(skip)]
    pub place: Option<Place>,
}

impl Failure {
    /// A failure with a message.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: Some(message.into()),
            hint: None,
            place: None,
        }
    }

    /// The same failure with what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failure that the display has explained already.
    pub fn shown(code: ExitCode) -> Self {
        Self {
            code,
            message: None,
            hint: None,
            place: None,
        }
    }
}

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Internal => Self::Internal,
            Kind::Usage => Self::Usage,
            Kind::Invalid => Self::Invalid,
            Kind::Nothing => Self::NothingRan,
            Kind::Temporary => Self::Unavailable,
            Kind::Build => Self::BuildFailed,
            Kind::Refused => Self::Refused,
            Kind::Interrupted => Self::Interrupted,
            Kind::Terminated => Self::Terminated,
        }
    }
}

impl From<Interrupt> for ExitCode {
    fn from(how: Interrupt) -> Self {
        match how {
            Interrupt::Interrupted => Self::Interrupted,
            Interrupt::Terminated => Self::Terminated,
        }
    }
}

/// What an error says of itself, as a call ends with it.
impl<E: Explained> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            code: error.kind().into(),
            message: Some(error.to_string()),
            hint: error.hint(),
            place: error.place(),
        }
    }
}
