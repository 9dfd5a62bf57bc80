//! Taking a stage down.

use super::OpenStage;
use super::release::Typed;
use crate::deploy::{DeployError, Withheld};
use crate::workflow::{Interrupts, WorkflowError, Workplace};

/// A stage that may be destroyed, once its name is typed.
pub struct Doomed<'a>(OpenStage<'a>);

/// Passes a stage through the gates before its end, but for its name.
pub async fn doomed<'a>(
    workplace: &'a Workplace,
    interrupts: &'a Interrupts,
    deployment: &str,
    stage: &str,
) -> Result<Doomed<'a>, WorkflowError> {
    let open = OpenStage::of(workplace, interrupts, deployment, stage)?;
    if open.stage().protected {
        let stage = open.stage().name.clone();
        return Err(DeployError::from(Withheld::Protected { stage }).into());
    }
    open.identify().await?;
    Ok(Doomed(open))
}

impl Doomed<'_> {
    /// Destroys it. Its name must have been typed. Returns whether there was anything to destroy.
    pub async fn destroy(self, typed: Typed<'_>) -> Result<bool, WorkflowError> {
        let open = &self.0;
        let name = &open.stage().name;
        open.named(typed, format!("everything of stage {name} would be destroyed"))?;
        let call = open.scene(None).destroy(open.workplace.display())?;
        let call = call.ok_or_else(|| {
            DeployError::from(Withheld::NoWayDown {
                stage: name.clone(),
                driver: open.stage().driver.name(),
            })
        })?;
        open.carried_out(call).await
    }
}
