//! Why nobody is let into a container.

use std::time::Duration;

use crate::fault::{Explained, Kind};
use crate::mount::Mount;
use crate::reference::Digest;
use crate::workflow::Interrupt;

/// Why nobody is let into a container.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// What a container is to see of the host is not there.
    #[error("{mount}: there is no {}", .mount.source.display())]
    NoSource {
        /// The mount.
        mount: Mount,
    },
    /// A mount would hide what floe brings into the container.
    #[error("{mount}: floe's own files are at that place of the container")]
    Hides {
        /// The mount.
        mount: Mount,
    },
    /// An image has been removed in the meantime.
    #[error("the image {} has been removed", .id.short())]
    Vanished {
        /// Its ID.
        id: Digest,
    },
    /// Somebody else listens on a port.
    #[error("the port {port} is taken")]
    Taken {
        /// The port, or the first of those that were tried.
        port: u16,
    },
    /// The server ended by itself.
    #[error("the server ended with exit code {code}; it said last:\n{log}")]
    Ended {
        /// Its exit code.
        code: i64,
        /// What it printed last.
        log: String,
    },
    /// The server does not answer.
    #[error("no good answer from the server within {} s; it said last:\n{log}", .limit.as_secs())]
    Silent {
        /// How long it was waited for.
        limit: Duration,
        /// What it printed last.
        log: String,
    },
    /// An image holds no such file.
    #[error("the image holds no {path}")]
    NoFile {
        /// Its path.
        path: String,
    },
    /// Interrupted; nothing is left behind.
    #[error("interrupted; nothing is left behind")]
    Interrupted(Interrupt),
}

impl Explained for ConsoleError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoSource { .. }
            | Self::Hides { .. }
            | Self::Taken { .. }
            | Self::Ended { .. }
            | Self::Silent { .. } => Kind::Invalid,
            Self::NoFile { .. } => Kind::Nothing,
            Self::Vanished { .. } => Kind::Temporary,
            Self::Interrupted(Interrupt::Interrupted) => Kind::Interrupted,
            Self::Interrupted(Interrupt::Terminated) => Kind::Terminated,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoSource { .. } => "make it, or name another one as HOST:CONTAINER",
            Self::Hides { .. } => "choose another place in the container",
            Self::Vanished { .. } => "call it again: what is missing is built",
            Self::Taken { .. } => "name another one with `--port`, or leave it out",
            Self::Ended { .. } => "`floe shell` looks at the image from within",
            Self::Silent { .. } => "SERVER_TIMEOUT in setup-env gives it longer",
            Self::NoFile { .. } => "`floe exec -- ls /opt` lists what there is",
            Self::Interrupted(_) => return None,
        };
        Some(hint.to_owned())
    }
}
