//! What the host asks of its agent in a container that somebody is let into.

use serde::{Deserialize, Serialize};

use crate::reference::{EnvironmentName, TestId};

/// What the agent does in a container that somebody is let into. It travels as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Visit {
    /// What the command is started behind; nothing, if it is empty.
    pub entrypoint: Vec<String>,
    /// The command; a shell, if it is empty.
    pub command: Vec<String>,
    /// The environment that is active.
    pub environment: Option<EnvironmentName>,
    /// The test in whose place the command runs: in a copy of its directory, with its environment active.
    pub test: Option<TestId>,
}
