//! Floating specs, solved before images are made of what they come to.
//!
//! An image that solves them by itself is another than the one that its frozen specs make later. So they are solved in the
//! image that it extends, and it is built as a frozen build would build it.

use super::build::BuildOptions;
use super::{Interrupts, WorkflowError, Workplace, temporary};
use crate::builder::{self, BuildError, Built};
use crate::config::Settings;
use crate::event::Event;
use crate::freeze::{self, Export, FreezeError};
use crate::plan::{BuildPlan, FrozenFile, ImagePlan};
use crate::reference::{Digest, Hasher, MissionName, Role};
use crate::spec::frozen::Frozen;

/// What came of solving floating specs.
#[derive(Default)]
pub(super) struct Ahead {
    /// The images that had to be built for it, from the first of a plan on.
    pub(super) built: Vec<Built>,
    /// The missions whose specs were not solved, and why.
    pub(super) failed: Vec<(Role, BuildError)>,
}

/// Solves the floating specs of `missions` as far as they were not solved here, or all of them `again`. One mission's that have no
/// solution do not end the others', unless that is wished.
pub(super) async fn ahead(
    workplace: &Workplace,
    missions: &[MissionName],
    options: BuildOptions,
    how: &builder::Options,
    interrupts: &Interrupts,
) -> Result<Ahead, WorkflowError> {
    let again = options.refresh || options.no_cache;
    let mut plan = workplace.plan(missions)?;
    if solve_base(workplace, &plan, again, how, interrupts).await? {
        plan = workplace.plan(missions)?;
    }
    let solved = workplace.solved();
    let base = common(&plan).frozen.first().and_then(|file| file.key.as_ref());
    let origin = |file: &FrozenFile| origin(&file.specs, base, &workplace.settings);
    let due = plan.images.iter().filter(|image| {
        let known = |file: &FrozenFile| solved.is_known(&file.path, &origin(file));
        image.solving.is_some() && (again || !image.frozen.iter().all(known))
    });
    let due = due.collect::<Vec<_>>();
    if due.is_empty() {
        return Ok(Ahead::default());
    }
    let mut failed = Vec::new();
    let shared = workplace.plan(&[])?;
    let built = carried_out(workplace, &shared, how, interrupts).await?;
    let parent = built.last().expect("a plan holds the common image");
    for image in due {
        let (engine, display) = (workplace.engine().await?, workplace.display());
        let names = image.frozen.iter().map(|file| file.environment.as_str());
        display.emit(Event::Note {
            text: format!("solving {} of {}", names.collect::<Vec<_>>().join(", "), image.role),
        });
        let stop = async {
            interrupts.first().await;
        };
        let found = match freeze::solve(image, parent, engine, how, display.as_ref(), stop).await {
            Err(FreezeError::Build(error)) => {
                let several = how.several;
                let error = several.passes_over(missions.len(), &image.role, error, display.as_ref())?;
                failed.push((image.role.clone(), error));
                continue;
            }
            found => found?,
        };
        let Some(found) = found else {
            return Err(WorkflowError::Interrupted(interrupts.first().await));
        };
        let all = found.into_iter().collect::<Option<Vec<_>>>();
        for (index, file) in image.frozen.iter().enumerate() {
            match &all {
                Some(all) => keep(workplace, file, all[index].clone(), &origin(file))?,
                // The image solves all of them, or none.
                None => solved.keep_nothing(&file.path, &origin(file))?,
            }
        }
    }
    Ok(Ahead { built, failed })
}

/// Solves the base environment, if that is due: by building the common image of floating specs, for only an image tells what
/// its base image brings. Returns whether it did.
async fn solve_base(
    workplace: &Workplace,
    plan: &BuildPlan,
    again: bool,
    how: &builder::Options,
    interrupts: &Interrupts,
) -> Result<bool, WorkflowError> {
    let Some(file) = common(plan).frozen.first() else {
        return Ok(false);
    };
    let missing = !workplace.repository.path(&file.path).exists();
    if !again && (file.solved.is_some() || !(file.stale || missing)) {
        return Ok(false);
    }
    let (engine, display) = (workplace.engine().await?, workplace.display());
    display.emit(Event::Note {
        text: "solving base, by a common image of its floating specs".to_owned(),
    });
    let floating = workplace.plan_with(&[], None)?;
    let built = carried_out(workplace, &floating, how, interrupts).await?;
    let image = built.last().expect("a plan holds the common image");
    let export = Export::of(common(&floating), image, &[file]);
    let stop = async {
        interrupts.first().await;
    };
    let exported = freeze::export(&export, engine, how, &workplace.mounts(), display.as_ref(), stop).await?;
    let Some(exported) = exported else {
        return Err(WorkflowError::Interrupted(interrupts.first().await));
    };
    for frozen in exported {
        keep(workplace, file, frozen, &file.origin_of_base(&workplace.repository))?;
    }
    Ok(true)
}

fn common(plan: &BuildPlan) -> &ImagePlan {
    let common = plan.images.iter().find(|image| image.role == Role::Common);
    common.expect("a plan holds the common image")
}

/// Keeps what floating specs came to, as it is to be written to the repository.
fn keep(workplace: &Workplace, file: &FrozenFile, frozen: Frozen, origin: &Digest) -> Result<(), WorkflowError> {
    let (frozen, _) = freeze::compared(file, None, frozen, true);
    Ok(workplace.solved().keep(&file.path, &frozen, origin)?)
}

/// What decides what the floating specs of a mission's environment are solved to, or are not solved again: they, the frozen
/// base environment, and where the site gets packages from.
pub(super) fn origin(specs: &Digest, base: Option<&Digest>, settings: &Settings) -> Digest {
    let mut hasher = Hasher::default();
    hasher.part("specs", specs.as_str().as_bytes());
    hasher.part("base", base.map_or("", Digest::as_str).as_bytes());
    hasher.part("channels", settings.site.conda_channels.join(" ").as_bytes());
    hasher.part("index", settings.site.pip_index.clone().unwrap_or_default().as_bytes());
    hasher.finish()
}

/// The images of a plan, built as far as they are not up to date.
pub(super) async fn carried_out(
    workplace: &Workplace,
    plan: &BuildPlan,
    how: &builder::Options,
    interrupts: &Interrupts,
) -> Result<Vec<Built>, WorkflowError> {
    let (engine, display) = (workplace.engine().await?, workplace.display());
    let built = tokio::select! {
        built = builder::build(plan, engine, engine, &workplace.state, how, display.as_ref()) => built.map_err(WorkflowError::from),
        // Dropping the build ends its session, and with it everything that the engine does for it.
        how = interrupts.first() => Err(WorkflowError::Interrupted(how)),
    };
    if !matches!(&built, Ok(built) if built.iter().all(|image| !image.fresh)) {
        temporary::sweep(engine).await;
    }
    built
}
