//! Freezing: the frozen specs of images' environments, from what those hold.

use super::{BuildOptions, BuiltPlan, Interrupts, WorkflowError, Workplace, build};
use crate::builder;
use crate::freeze::{self, Export, Written};
use crate::plan::FrozenFile;
use crate::reference::{EnvironmentName, MissionName};
use crate::spec::frozen::Frozen;

/// Freezes the images of `missions` as they were built, and the common image. Returns what changed.
pub async fn freeze(
    workplace: &Workplace,
    missions: &[MissionName],
    interrupts: &Interrupts,
) -> Result<Vec<Written>, WorkflowError> {
    let plan = workplace.plan(missions)?;
    let built = workplace.built(&plan).await?;
    build::tell_stale(workplace, &plan, false)?;
    write(workplace, &BuiltPlan { plan, built }, missions, |_, _| true, interrupts).await
}

/// Writes those frozen specs of what `missions` consist of that are `due`, given that the image was just built or not.
/// Returns what changed.
pub(super) async fn write(
    workplace: &Workplace,
    images: &BuiltPlan,
    missions: &[MissionName],
    due: impl Fn(&FrozenFile, bool) -> bool,
    interrupts: &Interrupts,
) -> Result<Vec<Written>, WorkflowError> {
    let engine = workplace.engine().await?;
    let options = workplace.options(&images.plan)?;
    let (mounts, display) = (workplace.mounts(), workplace.display());
    let floating = !workplace.settings.use_frozen;
    let mut written = Vec::new();
    for (image, built) in images.plan.images.iter().zip(&images.built) {
        let wanted = image.role.mission().is_none_or(|mission| missions.contains(mission));
        let due = image.frozen.iter().filter(|file| wanted && due(file, built.fresh));
        // What was solved of the base environment was taken out of an image already.
        let (known, due) = due.partition::<Vec<_>, _>(|file| file.shared && file.solved.is_some());
        for file in known {
            if let Some(solved) = &file.solved {
                let frozen = Frozen::load(solved)?;
                written.extend(freeze::keep(&workplace.repository, file, frozen, floating)?);
            }
        }
        if due.is_empty() {
            continue;
        }
        let export = Export::of(image, built, &due);
        let stop = async {
            interrupts.first().await;
        };
        let exported = freeze::export(&export, engine, &options, &mounts, display.as_ref(), stop).await?;
        let Some(exported) = exported else {
            return Err(WorkflowError::Interrupted(interrupts.first().await));
        };
        for (file, held) in due.into_iter().zip(exported) {
            let frozen = match &file.solved {
                // The image is made of it; what the packages need of each other, only the image tells.
                Some(solved) => Frozen::load(solved)?.with_needs_of(held),
                None => held,
            };
            written.extend(freeze::keep(&workplace.repository, file, frozen, floating)?);
        }
    }
    Ok(written)
}

/// Writes those frozen specs of a floating build that are due: see [`FrozenFile::is_due`].
pub(super) async fn write_due(
    workplace: &Workplace,
    images: &BuiltPlan,
    missions: &[MissionName],
    options: BuildOptions,
    interrupts: &Interrupts,
) -> Result<Vec<Written>, WorkflowError> {
    let again = options.refresh || options.no_cache;
    let due = |file: &FrozenFile, fresh| file.is_due(&workplace.repository, fresh, again);
    write(workplace, images, missions, due, interrupts).await
}

/// What an environment of an image holds, floe's own or not. `None` where the engine has no such image.
pub async fn held_by_image(
    workplace: &Workplace,
    reference: &str,
    environment: &EnvironmentName,
    interrupts: &Interrupts,
) -> Result<Option<Frozen>, WorkflowError> {
    let engine = workplace.engine().await?;
    let Some(image) = engine.image(reference).await? else {
        return Ok(None);
    };
    // A tag made of the ID does not move, and unlike the ID a build can start from it.
    let fixed = builder::upstream(&image.id);
    engine.tag(&image.id, &fixed).await?;
    let wanted = Export {
        name: reference.to_owned(),
        reference: fixed.to_string(),
        environments: vec![environment.clone()],
    };
    let (options, mounts, display) = (workplace.site_options()?, workplace.mounts(), workplace.display());
    let stop = async {
        interrupts.first().await;
    };
    let exported = freeze::export(&wanted, engine, &options, &mounts, display.as_ref(), stop).await?;
    let Some(exported) = exported else {
        return Err(WorkflowError::Interrupted(interrupts.first().await));
    };
    Ok(exported.into_iter().next())
}
