//! What the agent that assembles an environment in a build, and the host that takes its layers, say to each other.
//!
//! The agent offers all layers in a line, the host answers in a line which ones it wants. Of each of these the agent sends the
//! bytes of a tar archive, and a line behind it. Lines are JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::reference::{Digest, EnvironmentName};

/// The first line of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Offer {
    /// The layers of an environment, the lowest first.
    Layers {
        /// The environment.
        environment: EnvironmentName,
        /// Its layers.
        layers: Vec<Offered>,
        /// Where the agent can be reached past the builder: the path of a directory in its file system.
        door: Option<PathBuf>,
    },
    /// The environment cannot be assembled.
    Unable {
        /// The environment.
        environment: EnvironmentName,
        /// Why.
        reason: String,
    },
}

/// A layer that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// The digest of its archive, where it is known before it is sent.
    pub digest: Option<Digest>,
    /// The bytes of its archive.
    pub bytes: u64,
}

/// The answer of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Which layers are to be sent, counted from 0, in their order.
    pub layers: Vec<usize>,
    /// Whether they are to be sent by the connection that is handed in at the door.
    pub by_door: bool,
}

/// The line behind a layer that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The digest of what was sent.
    pub digest: Digest,
}
