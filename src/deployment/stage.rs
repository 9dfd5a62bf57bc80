//! A stage of a deployment: one hub that runs an image.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::driver::Driver;

/// A name of a deployment or a stage, which is also a part of paths and of names of branches.
fn is_name(text: &str) -> bool {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    text.len() <= 100
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(allowed)
        && !text.contains("..")
        && !text.ends_with('.')
        && !text.to_ascii_lowercase().ends_with(".lock")
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text of this name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if is_name(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError(text.to_owned()))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// The name of a deployment: a directory below `deployments/`.
    DeploymentName
);
name!(
    /// The name of a stage of a deployment.
    StageName
);

/// A text that is no name of a deployment or a stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name: use letters, digits, '.', '_' and '-', a letter or a digit first")]
pub struct NameError(String);

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
