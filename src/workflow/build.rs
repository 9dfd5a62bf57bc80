//! Building, and when what floating specs came to is frozen.

use super::error::Undone;
use super::workplace::image_of;
use super::{Interrupts, WorkflowError, Workplace, freeze};
use crate::builder::{self, Built};
use crate::event::Event;
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
}

/// The images of a plan, as they were built.
#[derive(Debug)]
pub struct Images {
    /// The plan.
    pub plan: BuildPlan,
    /// Its images, in its order.
    pub built: Vec<Built>,
}

impl Images {
    /// The image of a mission of the plan.
    #[must_use]
    pub fn of(&self, mission: &MissionName) -> &Built {
        image_of(&self.plan, &self.built, mission)
    }
}

/// Builds the images of `missions`, and freezes what floating specs came to: where something was built, or a frozen spec
/// is missing or stale. Returns what was written; `None` where nothing was to be frozen.
pub async fn build(
    workplace: &Workplace,
    missions: &[MissionName],
    options: BuildOptions,
    interrupts: &Interrupts,
) -> Result<Option<Vec<Written>>, WorkflowError> {
    let images = images(workplace, missions, options, interrupts).await?;
    let fresh = images.built.iter().any(|image| image.fresh);
    if workplace.settings.use_frozen || !(fresh || freeze::is_due(workplace, &images.plan)) {
        return Ok(None);
    }
    freeze::write(workplace, &images, missions).await.map(Some)
}

/// Builds the images of `missions`, as far as they are not up to date.
pub async fn images(
    workplace: &Workplace,
    missions: &[MissionName],
    options: BuildOptions,
    interrupts: &Interrupts,
) -> Result<Images, WorkflowError> {
    let plan = workplace.plan(missions)?;
    let settings = &workplace.settings;
    let how = builder::Options {
        no_cache: options.no_cache,
        refresh: options.refresh && !settings.use_frozen,
        ..workplace.options(&plan)?
    };
    let display = workplace.display();
    if settings.use_frozen {
        let frozen = plan.images.iter().flat_map(|image| &image.frozen);
        for file in frozen.filter(|file| file.stale) {
            let stale = WorkflowError::Stale {
                path: file.path.clone(),
            };
            if options.strict {
                return Err(stale);
            }
            let hint = stale.hint().unwrap_or_default();
            display.emit(Event::Warning {
                text: format!("{stale}; {hint}"),
            });
        }
    }
    let engine = workplace.engine().await?;
    let built = tokio::select! {
        built = builder::build(&plan, engine, &workplace.state, &how, display.as_ref()) => built?,
        // Dropping the build ends its session, and with it everything that the engine does for it.
        how = interrupts.first() => return Err(WorkflowError::Interrupted(how, Undone::Build)),
    };
    Ok(Images { plan, built })
}
