//! Deploying: the driver's apply, after every gate.

use std::path::{Path, PathBuf};

use super::wait::{WaitOptions, Waited};
use super::{OpenStage, Wanted};
use crate::deploy::{self, DeployError, Guarded, Withheld};
use crate::driver::{self, Vault};
use crate::event::Event;
use crate::event::redact::Hidden;
use crate::fault::{Explained as _, Kind};
use crate::private::PrivateDirectory;
use crate::workflow::{Interrupts, WorkflowError, Workplace};

/// A stage that passed every gate but its name.
pub struct Ready<'a> {
    open: OpenStage<'a>,
    wanted: Wanted,
    guarded: Vec<Guarded>,
    runtime: Option<PathBuf>,
}

/// What a person typed as the name of a stage; `None` if nothing.
pub type Typed<'a> = Option<&'a str>;

/// What deploying would do, and what would keep it from that.
#[derive(Debug)]
pub struct Unchanged {
    /// The image that the stage's files name, where they name one.
    pub image: Option<String>,
    /// What the driver would change, as it shows it; `None` where it cannot.
    pub plan: Option<String>,
    /// Guarded resources that would be replaced or destroyed.
    pub guarded: Vec<Guarded>,
    /// The gate that would refuse.
    pub refused: Option<WorkflowError>,
}

/// What deploying did.
#[derive(Debug)]
pub struct Deployed {
    /// The image.
    pub image: String,
    /// Guarded resources that were replaced or destroyed.
    pub guarded: Vec<Guarded>,
    /// What came of it, where a reconciler did it.
    pub reconciled: Option<Waited>,
}

/// Looks at what deploying a stage would do, and changes nothing. `runtime` is what `XDG_RUNTIME_DIR` names.
pub async fn unchanged(
    workplace: &Workplace,
    interrupts: &Interrupts,
    deployment: &str,
    stage: &str,
    runtime: Option<PathBuf>,
) -> Result<Unchanged, WorkflowError> {
    let open = OpenStage::of(workplace, interrupts, deployment, stage)?;
    open.identify().await?;
    let refused = match open.admitted().await {
        Ok(_) => None,
        Err(error) if matches!(error.kind(), Kind::Refused) => Some(error),
        Err(error) => return Err(error),
    };
    let wanted = open.wanted().ok();
    let scene = open.scene(wanted.as_ref().map(|wanted| &wanted.held));
    let vault = open.vault(runtime.as_deref())?;
    let plan = open.or_interrupted(scene.plan(vault.as_ref())).await??;
    Ok(Unchanged {
        image: wanted.as_ref().map(|wanted| wanted.held.reference()),
        guarded: open.guarded(wanted.as_ref()).await?,
        plan,
        refused,
    })
}

/// Passes a stage through every gate but its name. `supervised` says that somebody watches what is guarded.
pub async fn ready<'a>(
    workplace: &'a Workplace,
    interrupts: &'a Interrupts,
    deployment: &str,
    stage: &str,
    supervised: bool,
    runtime: Option<PathBuf>,
) -> Result<Ready<'a>, WorkflowError> {
    let open = OpenStage::of(workplace, interrupts, deployment, stage)?;
    open.identify().await?;
    let wanted = open.admitted().await?;
    let guarded = open.guarded(Some(&wanted)).await?;
    if !guarded.is_empty() && !supervised {
        let stage = open.stage().name.clone();
        let resources = guarded;
        return Err(DeployError::from(Withheld::Unsupervised { stage, resources }).into());
    }
    Ok(Ready {
        open,
        wanted,
        guarded,
        runtime,
    })
}

impl Ready<'_> {
    /// Whether the stage's name must be typed.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.open.stage().protected
    }

    /// The image that is deployed.
    #[must_use]
    pub fn image(&self) -> String {
        self.wanted.held.reference()
    }

    /// Deploys. A protected stage wants its name typed. What a reconciler does is waited for, as long as `options` say.
    pub async fn deploy(self, typed: Typed<'_>, options: WaitOptions) -> Result<Deployed, WorkflowError> {
        let open = &self.open;
        if self.is_protected() {
            let why = format!("stage {} is protected", open.stage().name);
            open.named(typed, why)?;
        }
        let display = open.workplace.display();
        display.emit(Event::Note {
            text: format!("deploying {}", self.image()),
        });
        let scene = open.scene(Some(&self.wanted.held));
        let vault = open.vault(self.runtime.as_deref())?;
        let reconciled = match scene.apply(vault, display)? {
            Some(call) => {
                open.carried_out(call).await?;
                None
            }
            None => Some(open.settled(options).await?),
        };
        Ok(Deployed {
            image: self.image(),
            guarded: self.guarded,
            reconciled,
        })
    }
}

impl OpenStage<'_> {
    /// Refuses unless the stage's name was typed.
    pub(super) fn named(&self, typed: Typed<'_>, why: String) -> Result<(), WorkflowError> {
        let stage = self.stage().name.clone();
        if typed == Some(stage.as_str()) {
            return Ok(());
        }
        let typed = typed.map(str::to_owned);
        Err(DeployError::from(Withheld::Unnamed { stage, why, typed }).into())
    }

    /// The guarded resources that applying would replace or destroy.
    async fn guarded(&self, wanted: Option<&Wanted>) -> Result<Vec<Guarded>, WorkflowError> {
        let Some(guard) = &self.stage().guard else {
            return Ok(Vec::new());
        };
        let scene = self.scene(wanted.map(|wanted| &wanted.held));
        let printed = driver::printed(&scene, &guard.plan, "guard", driver::PLAN_TIMEOUT);
        let printed = self.or_interrupted(printed).await??;
        let found = deploy::guarded(&printed, &guard.resources);
        Ok(found.map_err(DeployError::from)?)
    }

    /// The stage's secrets, decrypted in memory, where its driver needs them.
    fn vault(&self, runtime: Option<&Path>) -> Result<Option<Vault>, WorkflowError> {
        let scene = self.scene(None);
        if !scene.has_secrets() {
            return Ok(None);
        }
        let mut vault = Vault {
            sops: self.workplace.sops(),
            private: PrivateDirectory::create(runtime).map_err(driver::DriverError::from)?,
            hidden: Hidden::default(),
        };
        vault.fill(&scene)?;
        Ok(Some(vault))
    }
}
