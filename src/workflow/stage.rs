//! What the commands mean that act on one stage of a deployment: wait, check, deploy, destroy.

mod admission;
mod check;
mod destroy;
mod error;
mod imports;
mod live;
mod release;
mod wait;

use std::path::Path;

use rustix::process::Signal;

pub use self::check::{CheckOptions, check};
pub use self::destroy::doomed;
pub use self::error::StageError;
pub use self::live::{Told, live};
pub use self::release::{Deployed, Unchanged, ready, unchanged};
pub use self::wait::{WaitOptions, Waited, wait};
use super::{Interrupt, Interrupts, WorkflowError, Workplace};
use crate::deploy::{self, Refusal, Tree, Withheld};
use crate::deployment::{self, Deployment, Held, Stage};
use crate::driver::{self, Call, Live, Scene};
use crate::fault::Explained as _;
use crate::reference::{Digest, ImageReference};

/// One stage of a deployment, as its files are now.
pub struct OpenStage<'a> {
    workplace: &'a Workplace,
    interrupts: &'a Interrupts,
    deployment: Deployment,
    index: usize,
}

/// The image that a stage's files name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// As it is written.
    pub held: Held,
    /// Its digest.
    pub digest: Digest,
}

impl Wanted {
    /// The reference that cannot move.
    fn pinned(&self) -> Result<ImageReference, WorkflowError> {
        Ok(format!("{}@{}", self.held.repository, self.digest).parse()?)
    }
}

impl<'a> OpenStage<'a> {
    /// The stage of these names.
    pub fn of(
        workplace: &'a Workplace,
        interrupts: &'a Interrupts,
        deployment: &str,
        stage: &str,
    ) -> Result<Self, WorkflowError> {
        let deployment = deployment::load(workplace.repository.root(), deployment)?;
        let name = deployment.stage(stage)?.name.clone();
        let index = deployment.stages.iter().position(|other| other.name == name);
        Ok(Self {
            workplace,
            interrupts,
            index: index.unwrap_or_default(),
            deployment,
        })
    }

    fn stage(&self) -> &Stage {
        &self.deployment.stages[self.index]
    }

    fn root(&self) -> &Path {
        self.workplace.repository.root()
    }

    /// The image that its files name in the commit that holds them: by its digest, or it is refused.
    fn wanted(&self) -> Result<Wanted, WorkflowError> {
        let stage = self.stage();
        let tip = deploy::tip(self.root(), stage)?;
        let values = deploy::config(self.root(), Tree::Commit(&tip), &self.deployment, stage)?.values;
        let held = deploy::image(&values, &self.deployment, stage)?;
        let held = held.ok_or_else(|| Refusal::NoImage {
            stage: stage.name.clone(),
            field: self.deployment.images[0].to_string(),
        });
        let held = held.map_err(deploy::DeployError::from)?;
        match held.digest.clone() {
            Some(digest) => Ok(Wanted { held, digest }),
            None => Err(deploy::DeployError::from(Refusal::Unpinned {
                stage: stage.name.clone(),
                image: held.reference(),
            })
            .into()),
        }
    }

    fn scene<'s>(&'s self, image: Option<&'s Held>) -> Scene<'s> {
        Scene {
            root: self.root(),
            deployment: &self.deployment,
            stage: self.stage(),
            image,
        }
    }

    /// Compares the account in use with the one that the stage belongs to, where its declaration says how.
    async fn identify(&self) -> Result<(), WorkflowError> {
        let Some(identity) = &self.stage().identity else {
            return Ok(());
        };
        let (stage, command) = (self.stage().name.clone(), identity.command.clone());
        let scene = self.scene(None);
        let asked = driver::printed(&scene, &command, "identity", driver::STATUS_TIMEOUT);
        let withheld = match self.or_interrupted(asked).await? {
            // A server that does not answer says nothing about the account.
            Err(error) if error.is_temporary() => return Err(error.into()),
            Err(error) => Withheld::AccountUnknown {
                stage,
                reason: error.to_string(),
                command,
            },
            Ok(printed) => {
                let found = printed.trim();
                if found == identity.prints.trim() {
                    return Ok(());
                }
                Withheld::OtherAccount {
                    stage,
                    expected: identity.prints.trim().to_owned(),
                    found: found.chars().take(LONGEST_ACCOUNT).collect(),
                    command,
                }
            }
        };
        Err(deploy::DeployError::from(withheld).into())
    }

    /// The image that the stage runs, asked of the right account; `None` where its driver cannot tell.
    async fn live(&self, wanted: &Wanted) -> Result<Option<Live>, WorkflowError> {
        let scene = self.scene(Some(&wanted.held));
        Ok(self.or_interrupted(scene.live()).await??)
    }

    /// Completes as `work` does, unless an interrupt comes first; then the work is dropped, and its processes with it.
    async fn or_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, WorkflowError> {
        tokio::select! {
            done = work => Ok(done),
            how = self.interrupts.first() => Err(StageError::Interrupted(how).into()),
        }
    }

    /// Waits until a driver has ended. An interrupt is passed on to it, and it is waited for: what it has begun it ends in its
    /// own way. The second interrupt kills it. Returns whether there was anything to do.
    async fn carried_out(&self, call: Call) -> Result<bool, WorkflowError> {
        let how = tokio::select! {
            () = call.exited() => return Ok(call.end().await?),
            how = self.interrupts.first() => how,
        };
        let second = self.interrupts.second();
        call.signal(match how {
            Interrupt::Interrupted => Signal::INT,
            Interrupt::Terminated => Signal::TERM,
        });
        tokio::select! {
            () = call.exited() => {}
            () = second => {}
        }
        // What it says of its end is on the display.
        let _ = call.end().await;
        self.interrupts.second_ends();
        Err(StageError::Stopped(how).into())
    }
}

/// More of what an identity line prints is not quoted, in characters.
const LONGEST_ACCOUNT: usize = 200;
