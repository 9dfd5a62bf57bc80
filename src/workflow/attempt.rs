//! A package tried: added to an environment of a throw-away image, and the environment's tests run there.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::test::{aside, current};
use super::{
    Asked, Change, Interrupts, Observed, Specify, SpecifyError, WorkflowError, Workplace, choose, lock, specify,
};
use crate::builder::Built;
use crate::compose;
use crate::context::Context;
use crate::engine::BuildRequest;
use crate::image::label;
use crate::reference::MissionName;
use crate::run::history;
use crate::spec::edit::{self, PackageKind};
use crate::spec::env;
use crate::state::FileError;

/// Adds what is `wanted` to its environment in an image of its own, and runs the tests of that environment that were asked
/// for. The mission's image is built first if it is not up to date; nothing of the attempt stays but its run.
pub async fn attempt(
    workplace: &Workplace,
    wanted: &Specify,
    asked: &Asked,
    interrupts: &Interrupts,
) -> Result<Observed, WorkflowError> {
    let mission = specify::mission(workplace, wanted)?;
    let directory = workplace
        .repository
        .environments(&mission)
        .join(wanted.environment.as_str());
    let kind = match wanted.kind {
        Some(kind) => kind,
        None => lock::installs(workplace, &env::load(&directory)?)?,
    };
    let requirements = match &wanted.change {
        Change::Add(requirements) | Change::Remove(requirements) => requirements,
    };
    for requirement in requirements {
        edit::package(requirement, kind).ok_or_else(|| SpecifyError::Nameless {
            requirement: requirement.clone(),
        })?;
    }
    let mut asked = asked.clone();
    asked.selection.environments = vec![wanted.environment.clone()];
    let choice = choose(workplace, &mission, &asked)?;
    let images = current(workplace, std::slice::from_ref(&mission), asked.no_build, interrupts).await?;
    let image = with(workplace, wanted, (kind, requirements), images.of(&mission), interrupts).await?;
    // Runs of an attempt tell nothing of the mission's own tests.
    let run = history::new_run(&format!("try-{mission}").parse::<MissionName>()?);
    let observed = aside(workplace, &choice, &image, (&asked, run), interrupts).await;
    workplace.engine().await?.remove_image(&image.id).await?;
    observed
}

/// An image like `image`, with the requirements in the environment.
async fn with(
    workplace: &Workplace,
    wanted: &Specify,
    (kind, requirements): (PackageKind, &[String]),
    image: &Built,
    interrupts: &Interrupts,
) -> Result<Built, WorkflowError> {
    let engine = workplace.engine().await?;
    let found = workplace.image(image).await?;
    let scratch = tempfile::tempdir().map_err(FileError::of(&std::env::temp_dir()))?;
    let list = format!("try.{kind}");
    let path = scratch.path().join(&list);
    std::fs::write(&path, requirements.join("\n") + "\n").map_err(FileError::of(&path))?;
    let options = workplace.site_options()?;
    let mut args = BTreeMap::from([("BASE_IMAGE".to_owned(), image.reference.to_string())]);
    args.extend(options.proxies.clone());
    let request = BuildRequest {
        image: format!("{} with {}", wanted.environment, requirements.join(", ")),
        dockerfile: compose::addition(&wanted.environment, &list, &found.user, &workplace.mounts()).text,
        context: Context::new(scratch.path()),
        args,
        mounts: options.mounts.clone(),
        // An image of this call's own: another floe that tries the same removes its one.
        labels: BTreeMap::from([(label::TRY.to_owned(), Uuid::new_v4().to_string())]),
        tags: Vec::new(),
        no_cache: false,
    };
    let display = workplace.display();
    let id = tokio::select! {
        built = engine.build(request, display.as_ref()) => built?,
        how = interrupts.first() => return Err(WorkflowError::Interrupted(how)),
    };
    Ok(Built {
        id,
        fresh: true,
        ..image.clone()
    })
}
