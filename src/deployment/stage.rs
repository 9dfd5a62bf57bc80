//! A stage of a deployment: one hub that runs an image.

use serde::Deserialize;

use super::driver::Driver;
use crate::reference::StageName;

/// A stage, as `deployment.yml` declares it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// The stage before it, whose image it takes; the one above it in the file where none is named.
    pub from: Option<StageName>,
    /// The branch that its files live on; the one that is checked out where none is named.
    pub branch: Option<String>,
    /// Whether people must confirm what changes it. It is never destroyed.
    #[serde(default)]
    pub protected: bool,
    /// What deploys it.
    #[serde(default)]
    pub driver: Driver,
    /// What shows that the account in use is the one that the stage belongs to.
    pub identity: Option<Identity>,
    /// Patterns of files that are its own beside its config and its secrets, from the root of the repository.
    #[serde(default)]
    pub files: Vec<String>,
    /// Whether changes of files that stages share reach it.
    #[serde(default = "yes")]
    pub shared: bool,
    /// Whose replacement must be supervised.
    pub guard: Option<Guard>,
    /// What shows that it works.
    pub check: Option<Check>,
}

fn yes() -> bool {
    true
}

/// What shows that the account in use is the one that a stage belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// A line for the shell, which changes nothing.
    pub command: String,
    /// What it must print, less space around it.
    pub prints: String,
}

/// Resources whose replacement must be supervised.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// A line for the shell that prints a plan as `tofu show -json` does.
    pub plan: String,
    /// Patterns of the addresses of resources, e.g. `module.eks.*`.
    pub resources: Vec<String>,
}

/// What shows that a stage works.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The address of the hub.
    pub url: Option<String>,
    /// Lines for the shell; each passes by ending with 0.
    #[serde(default)]
    pub tests: Vec<String>,
}
