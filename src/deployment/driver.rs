//! What deploys a stage: a reconciler that watches git, Helm, or commands.

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de::value::MapAccessDeserializer};

/// What deploys a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// A reconciler deploys what the stage's branch holds.
    Git(Git),
    /// Helm's own program.
    Helm(Helm),
    /// Lines for the shell.
    Command(Command),
}

impl Default for Driver {
    fn default() -> Self {
        Self::Git(Git::default())
    }
}

impl Driver {
    /// Its name in `deployment.yml`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Git(_) => "git",
            Self::Helm(_) => "helm",
            Self::Command(_) => "command",
        }
    }
}

/// A reconciler such as Argo CD or Flux, or a workflow that runs on a push.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// A line for the shell that prints the image which runs.
    pub status: Option<String>,
}

/// A release of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Helm {
    /// The name of the release; `<deployment>-<stage>` where none is named.
    pub release: Option<String>,
    /// Its namespace; the name of the release where none is named.
    pub namespace: Option<String>,
    /// The context of kubectl's configuration.
    pub context: Option<String>,
    /// How long to wait for the roll-out, as Helm reads it: `10m`.
    pub timeout: Option<String>,
}

/// Lines for the shell, run at the root of the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Deploys what the files say.
    pub apply: String,
    /// Shows what that would change.
    pub plan: Option<String>,
    /// Prints the image which runs.
    pub status: Option<String>,
    /// Takes everything down.
    pub destroy: Option<String>,
}

impl<'de> Deserialize<'de> for Driver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

const NAMES: &[&str] = &["git", "helm", "command"];

/// A name alone, or a map of a name and what it is to do.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Driver;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("git, helm, or a map of git, helm or command and what it is to do")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Driver, E> {
        match name {
            "git" => Ok(Driver::Git(Git::default())),
            "helm" => Ok(Driver::Helm(Helm::default())),
            "command" => Err(E::missing_field("apply")),
            other => Err(E::unknown_variant(other, NAMES)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Driver, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Named {
            git: Option<Git>,
            helm: Option<Helm>,
            command: Option<Command>,
        }
        match Named::deserialize(MapAccessDeserializer::new(map))? {
            Named {
                git: Some(git),
                helm: None,
                command: None,
            } => Ok(Driver::Git(git)),
            Named {
                git: None,
                helm: Some(helm),
                command: None,
            } => Ok(Driver::Helm(helm)),
            Named {
                git: None,
                helm: None,
                command: Some(command),
            } => Ok(Driver::Command(command)),
            _ => Err(de::Error::custom("a stage has one driver: git, helm or command")),
        }
    }
}
