//! Freezing: the frozen specs of images' environments, from what those hold.

use super::{Images, WorkflowError, Workplace};
use crate::freeze::{self, Export, Written};
use crate::plan::BuildPlan;
use crate::reference::MissionName;

/// Freezes the images of `missions` as they were built, and the common image. Returns what changed.
pub async fn freeze(workplace: &Workplace, missions: &[MissionName]) -> Result<Vec<Written>, WorkflowError> {
    let plan = workplace.plan(missions)?;
    let built = workplace.built(&plan).await?;
    write(workplace, &Images { plan, built }, missions).await
}

/// Writes the frozen specs of what `missions` consist of. Returns what changed.
pub(super) async fn write(
    workplace: &Workplace,
    images: &Images,
    missions: &[MissionName],
) -> Result<Vec<Written>, WorkflowError> {
    let engine = workplace.engine().await?;
    let options = workplace.options(&images.plan)?;
    let (mounts, display) = (workplace.mounts(), workplace.display());
    let floating = !workplace.settings.use_frozen;
    let mut written = Vec::new();
    for (image, built) in images.plan.images.iter().zip(&images.built) {
        let wanted = image.mission.as_ref().is_none_or(|mission| missions.contains(mission));
        if !wanted || image.frozen.is_empty() {
            continue;
        }
        let export = Export::of(image, built);
        let exported = freeze::export(&export, engine, &options, &mounts, display.as_ref()).await?;
        for (file, frozen) in image.frozen.iter().zip(exported) {
            written.extend(freeze::keep(&workplace.repository, file, frozen, floating)?);
        }
    }
    Ok(written)
}

/// Whether a frozen spec of the plan is missing, or was made from other specs than there are now.
pub(super) fn is_due(workplace: &Workplace, plan: &BuildPlan) -> bool {
    let mut files = plan.images.iter().flat_map(|image| &image.frozen);
    files.any(|file| file.stale || !workplace.repository.path(&file.path).exists())
}
