//! The edge to what deploys stages: Helm's own program, and lines for the shell.
//!
//! A driver is asked for four things: to apply what the stage's files say, to show what that would change, which image
//! runs, and to take everything down. A reconciler that watches git does the first by itself.

mod call;
mod difference;
mod error;
mod failure;
mod helm;
mod line;

use std::path::Path;
use std::sync::Arc;

pub use self::call::Call;
pub use self::error::DriverError;
pub use self::line::{PLAN_TIMEOUT, STATUS_TIMEOUT, line, printed};
use crate::deployment::{Deployment, Driver, Held, Layout, Stage};
use crate::event::Sink;
use crate::event::redact::Hidden;
use crate::private::PrivateDirectory;
use crate::reference::Digest;
use crate::sops::Sops;

/// A stage, as a driver acts on it.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The root of the repository, where lines run.
    pub root: &'a Path,
    /// The deployment.
    pub deployment: &'a Deployment,
    /// The stage.
    pub stage: &'a Stage,
    /// The image that its files name, where they do.
    pub image: Option<&'a Held>,
}

/// What decrypts the secrets of a stage, and where they are kept meanwhile.
#[derive(Debug)]
pub struct Vault {
    /// sops.
    pub sops: Sops,
    /// A directory in memory.
    pub private: PrivateDirectory,
    /// What is masked in all that is shown.
    pub hidden: Hidden,
}

/// The image that a stage runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// This one.
    Runs {
        /// How it is named.
        image: String,
        /// Its digest, where the name holds one.
        digest: Option<Digest>,
    },
    /// None.
    Nothing,
}

impl Live {
    /// Whether it is the image of this digest.
    #[must_use]
    pub fn is(&self, wanted: &Digest) -> bool {
        matches!(self, Self::Runs { digest: Some(digest), .. } if digest == wanted)
    }
}

impl Scene<'_> {
    /// Whether the driver can tell which image runs.
    #[must_use]
    pub fn tells_what_runs(&self) -> bool {
        match &self.stage.driver {
            Driver::Helm(_) => true,
            Driver::Git(git) => git.status.is_some(),
            Driver::Command(command) => command.status.is_some(),
        }
    }

    /// The image that runs; `None` where the driver cannot tell.
    pub async fn live(&self) -> Result<Option<Live>, DriverError> {
        let status = match &self.stage.driver {
            Driver::Helm(helm) => return helm::live(self, helm).await.map(Some),
            Driver::Git(git) => &git.status,
            Driver::Command(command) => &command.status,
        };
        match status {
            None => Ok(None),
            Some(status) => line::live(self, status).await.map(Some),
        }
    }

    /// What applying would change, as the driver shows it; `None` where it cannot.
    pub async fn plan(&self, vault: Option<&Vault>) -> Result<Option<String>, DriverError> {
        match &self.stage.driver {
            Driver::Git(_) => Ok(None),
            Driver::Helm(helm) => helm::plan(self, helm, vault).await.map(Some),
            Driver::Command(command) => match &command.plan {
                None => Ok(None),
                Some(plan) => line::plan(self, plan).await.map(Some),
            },
        }
    }

    /// Begins to apply what the stage's files say. What is printed goes to `sink`. `None` where a reconciler does it.
    pub fn apply(&self, vault: Option<Vault>, sink: Arc<dyn Sink>) -> Result<Option<Call>, DriverError> {
        match &self.stage.driver {
            Driver::Git(_) => Ok(None),
            Driver::Helm(helm) => helm::apply(self, helm, vault, sink).map(Some),
            Driver::Command(command) => Call::start(line(self, &command.apply), "apply", None, sink).map(Some),
        }
    }

    /// Begins to take the stage down. `None` where the driver is given no way to.
    pub fn destroy(&self, sink: Arc<dyn Sink>) -> Result<Option<Call>, DriverError> {
        match &self.stage.driver {
            Driver::Git(_) => Ok(None),
            Driver::Helm(helm) => helm::destroy(self, helm, sink).map(Some),
            Driver::Command(command) => match &command.destroy {
                None => Ok(None),
                Some(destroy) => Call::start(line(self, destroy), "destroy", None, sink).map(Some),
            },
        }
    }

    /// Whether applying decrypts secrets.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        let path = Layout(&self.deployment.name).secrets(&self.stage.name);
        matches!(self.stage.driver, Driver::Helm(_)) && self.root.join(path).exists()
    }
}
