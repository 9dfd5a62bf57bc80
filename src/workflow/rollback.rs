//! Rolling back: the image that a stage ran before goes into its files again.

use super::promote::{Extent, carry_out, pinned, proven};
use super::{Moved, WorkflowError, Workplace};
use crate::deploy::{self, Cause, PullRequest, Refusal, Tree};
use crate::deployment::{Deployment, Held, Stage};

/// What to go back to.
#[derive(Debug, Clone, Copy)]
pub struct RollBack<'a> {
    /// The image by its digest, or the first digits of that; the last other one that is not recalled otherwise.
    pub to: Option<&'a str>,
    /// How far to go.
    pub extent: Extent,
}

/// Rolls a stage back. The stage before need not run it, nor have been checked with it: this stage ran it
/// once. It must be there, have passed its tests, and not be recalled.
pub async fn rollback(
    workplace: &Workplace,
    deployment: &Deployment,
    stage: &Stage,
    options: RollBack<'_>,
) -> Result<Moved, WorkflowError> {
    let root = workplace.repository.root();
    let tip = deploy::tip(root, stage)?;
    let recalled = deploy::recalled(root)?;
    let meant = |ran: &deploy::Ran| match options.to {
        Some(to) => ran
            .digest
            .as_str()
            .trim_start_matches("sha256:")
            .starts_with(to.trim_start_matches("sha256:")),
        None => deploy::admit(&ran.digest, &recalled).is_ok(),
    };
    let values = deploy::config(root, Tree::Commit(&tip), deployment, stage)?.values;
    let current = deploy::image(&values, deployment, stage)?;
    let runs = current.as_ref().and_then(|image| image.digest.as_ref());
    let is_earlier = |ran: &deploy::Ran| Some(&ran.digest) != runs && meant(ran);
    let ran = deploy::images(root, deployment, stage, &tip, |ran| ran.iter().any(is_earlier))?;
    let found = ran.iter().find(|ran| is_earlier(ran));
    let target = found
        .and_then(|ran| pinned(&ran.image))
        .ok_or_else(|| Refusal::NothingBefore {
            stage: stage.name.clone(),
            image: current.as_ref().map_or_else(|| "none".to_owned(), Held::reference),
        })?;
    deploy::admit(&target.digest, &recalled)?;
    let Some(promotion) = deploy::plan(root, deployment, stage, target.clone(), Cause::RollBack)? else {
        return Ok(Moved::Already(target));
    };
    let image = proven(workplace, &target, promotion.before.as_ref()).await?;
    let text = PullRequest {
        deployment,
        stage,
        promotion: &promotion,
        cause: Cause::RollBack,
        image,
        checked: None,
    }
    .text();
    carry_out(workplace, promotion, text, options.extent)
}
