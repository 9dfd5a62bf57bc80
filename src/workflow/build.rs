//! Building, and when what floating specs came to is frozen.

use std::num::NonZeroUsize;

use super::weigh::{Budget, weigh};
use super::workplace::image_of;
use super::{Interrupts, WorkflowError, Workplace, freeze, solve};
use crate::builder::{self, BuildError, Built, Several};
use crate::event::Event;
use crate::fault::Explained as _;
use crate::freeze::Written;
use crate::plan::BuildPlan;
use crate::reference::MissionName;

/// How images are built.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuildOptions {
    /// Build everything again.
    pub no_cache: bool,
    /// Solve floating specs again.
    pub refresh: bool,
    /// Refuse frozen specs whose floating specs have changed since.
    pub strict: bool,
    /// How several missions are built: as many at a time as the settings say, if it does not.
    pub several: Several,
    /// How large the images of missions may be; `None` where nobody is to be told how large they are.
    pub budget: Option<Budget>,
}

/// The images of a plan, as they were built.
#[derive(Debug)]
pub struct BuiltPlan {
    /// The plan.
    pub plan: BuildPlan,
    /// Its images, in its order.
    pub built: Vec<Built>,
}

impl BuiltPlan {
    /// The image of a mission of the plan.
    #[must_use]
    pub fn of(&self, mission: &MissionName) -> &Built {
        image_of(&self.plan, &self.built, mission)
    }
}

/// Builds the images of `missions`, and freezes what floating specs came to, where that is due. Returns what was written;
/// `None` where nothing was built and nothing was to be frozen.
pub async fn build(
    workplace: &Workplace,
    missions: &[MissionName],
    options: BuildOptions,
    interrupts: &Interrupts,
) -> Result<Option<Vec<Written>>, WorkflowError> {
    let images = images(workplace, missions, options, interrupts).await?;
    if workplace.settings.use_frozen {
        return Ok(None);
    }
    let fresh = images.built.iter().any(|image| image.fresh);
    let written = freeze::write_due(workplace, &images, missions, options, interrupts).await?;
    Ok(Some(written).filter(|written| fresh || !written.is_empty()))
}

/// Says which frozen specs of a frozen build are stale, or refuses the first if that is to be `strict`.
pub(super) fn tell_stale(workplace: &Workplace, plan: &BuildPlan, strict: bool) -> Result<(), WorkflowError> {
    let frozen = plan.images.iter().flat_map(|image| &image.frozen);
    for file in frozen.filter(|file| file.stale && workplace.settings.use_frozen) {
        let stale = WorkflowError::Stale {
            path: file.path.clone(),
        };
        if strict {
            return Err(stale);
        }
        let hint = stale.hint().unwrap_or_default();
        workplace.display().emit(Event::Warning {
            text: format!("{stale}; {hint}"),
        });
    }
    Ok(())
}

/// How many missions are built at a time where nothing says so.
fn processors() -> Option<NonZeroUsize> {
    let processors = std::thread::available_parallelism().ok()?;
    NonZeroUsize::new(4).map(|most| processors.min(most))
}

/// Builds the images of `missions`, as far as they are not up to date.
pub async fn images(
    workplace: &Workplace,
    missions: &[MissionName],
    options: BuildOptions,
    interrupts: &Interrupts,
) -> Result<BuiltPlan, WorkflowError> {
    let display = workplace.display();
    let mut plan = workplace.plan(missions)?;
    for text in &plan.notices {
        display.emit(Event::Warning { text: text.clone() });
    }
    tell_stale(workplace, &plan, options.strict)?;
    let mut how = builder::Options {
        no_cache: options.no_cache,
        refresh: options.refresh && !workplace.settings.use_frozen,
        several: Several {
            at_once: options
                .several
                .at_once
                .or(workplace.settings.build.jobs)
                .or_else(processors),
            ..options.several
        },
        ..workplace.options(&plan)?
    };
    // Which commits are not named is said of all images, once.
    let doubt = how.doubt.take();
    let mut unsolved = Vec::new();
    if !workplace.settings.use_frozen {
        let ahead = solve::ahead(workplace, missions, options, &how, interrupts).await?;
        (how.built, unsolved) = (ahead.built, ahead.failed);
        how.failed_before = unsolved.len();
        let is_solved = |mission: &&MissionName| unsolved.iter().all(|(role, _)| role.mission() != Some(mission));
        let solved = missions.iter().filter(is_solved).cloned().collect::<Vec<_>>();
        plan = workplace.plan(&solved)?;
    }
    how.doubt = doubt;
    let built = solve::carried_out(workplace, &plan, &how, interrupts).await;
    if unsolved.is_empty() {
        let images = BuiltPlan { plan, built: built? };
        if let Some(budget) = options.budget {
            weigh(workplace, &images, budget).await?;
        }
        return Ok(images);
    }
    match built {
        Err(WorkflowError::Build(BuildError::Several { failed, .. })) => unsolved.extend(failed),
        built => drop(built?),
    }
    Err(WorkflowError::Build(BuildError::Several {
        all: missions.len(),
        failed: unsolved,
    }))
}
