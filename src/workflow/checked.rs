//! What the check of a stage said of an image: remembered here, and attached to the image in its registry, so that another
//! machine can promote what this one checked.

use serde::{Deserialize, Serialize};

use super::push::{registry, signing_key};
use super::{WorkflowError, Workplace};
use crate::attest::{self, Keys};
use crate::deploy::{Checked, Target};
use crate::event::Event;
use crate::fault::Explained as _;
use crate::reference::{DeploymentName, StageName};

/// The type of what is attached.
const CHECK: &str = "application/vnd.floe.check.v1+json";

/// What is attached: a check, and what was checked.
#[derive(Serialize, Deserialize)]
struct Attached {
    deployment: DeploymentName,
    stage: StageName,
    #[serde(flatten)]
    checked: Checked,
}

/// Remembers what a check said. A registry that takes no such thing is told of, and fails nothing: this machine knows.
pub(super) async fn remember(
    workplace: &Workplace,
    target: &Target,
    deployment: &DeploymentName,
    stage: &StageName,
    checked: &Checked,
) -> Result<(), WorkflowError> {
    checked.write(&workplace.state, deployment, stage)?;
    let attached = Attached {
        deployment: deployment.clone(),
        stage: stage.clone(),
        checked: checked.clone(),
    };
    let text = serde_json::to_vec(&attached).expect("text and numbers are JSON");
    let key = signing_key(workplace)?;
    let reference = target.reference()?;
    let (registry, _) = registry(workplace, &reference.registry())?;
    if let Err(error) = attest::attach_document(&registry, &reference, CHECK, text, key.as_ref()).await {
        let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let text = format!("no other machine will know of this check: {error}{hint}");
        workplace.display().emit(Event::Warning { text });
    }
    Ok(())
}

/// The last check of a stage with an image: what this machine remembers, or what its registry has, whichever is later.
pub(super) async fn last(
    workplace: &Workplace,
    target: &Target,
    deployment: &DeploymentName,
    stage: &StageName,
) -> Result<Option<Checked>, WorkflowError> {
    let mut last = Checked::read(&workplace.state, deployment, stage, &target.digest)?;
    let reference = target.reference()?;
    let (registry, _) = registry(workplace, &reference.registry())?;
    let keys = Keys::of(workplace.settings.signing.verify.as_deref())?;
    for text in attest::documents(&registry, &reference, CHECK, &keys).await? {
        let Ok(found) = serde_json::from_slice::<Attached>(&text) else {
            continue;
        };
        let is_ours = found.deployment == *deployment && found.stage == *stage;
        let is_later = last.as_ref().is_none_or(|last| last.time < found.checked.time);
        if is_ours && found.checked.digest == target.digest && is_later {
            last = Some(found.checked);
        }
    }
    Ok(last)
}
