//! Build, test and push in one call, ending at the first that does not succeed.

use std::path::PathBuf;

use super::choose::demand;
use super::{
    Asked, BuildOptions, Interrupts, Observed, Pushed, WorkflowError, Workplace, choose, freeze, images, push, test,
};
use crate::builder::Built;
use crate::freeze::Written;
use crate::publish;
use crate::reference::MissionName;

/// How far a call has come.
#[derive(Debug)]
pub enum Milestone<'a> {
    /// The image has evidence from an earlier run, whose directory this is, and is not tested again.
    PassedBefore(&'a Built, PathBuf),
    /// The image was tested.
    Tested(&'a Observed),
    /// What the image holds was frozen.
    Frozen(&'a [Written]),
    /// The image was pushed, or stays.
    Pushed(&'a Built, Pushed),
}

/// Builds, tests, freezes and pushes the images of `missions`, if their registry would take them. An image that has evidence
/// is not tested again, unless some of its tests alone are asked for; what is frozen and pushed has passed all of them. The first run that does not pass is the end of the call, and is returned.
pub async fn all(
    workplace: &Workplace,
    missions: &[MissionName],
    options: BuildOptions,
    asked: &Asked,
    interrupts: &Interrupts,
    mut reached: impl FnMut(Milestone<'_>),
) -> Result<Option<Observed>, WorkflowError> {
    push::admitted(workplace, missions).await?;
    let key = push::signing_key(workplace)?;
    let images = images(workplace, missions, options, interrupts).await?;
    for mission in missions {
        let image = images.of(mission);
        let demand = demand(workplace, mission)?;
        let earlier = publish::evidence(&image.role, &image.id, &demand, &workplace.state);
        let tested = earlier.is_err();
        if let (Ok(statement), true) = (&earlier, asked.is_complete() && !asked.all_tests) {
            let run = workplace.state.run(statement.run());
            reached(Milestone::PassedBefore(image, run));
        } else {
            let choice = choose(workplace, mission, asked)?;
            let observed = test::one(workplace, &choice, image, asked, interrupts).await?;
            reached(Milestone::Tested(&observed));
            if !observed.passed() {
                return Ok(Some(observed));
            }
        }
        // What ran only a part of its tests is not frozen, and is refused below.
        if !workplace.settings.use_frozen && (asked.is_complete() || !tested) {
            let missions = std::slice::from_ref(mission);
            let written = freeze::write_due(workplace, &images, missions, options, interrupts).await?;
            if tested || !written.is_empty() {
                reached(Milestone::Frozen(&written));
            }
        }
        let pushed = push::one(workplace, &images.plan, mission, image, key.as_ref(), interrupts).await?;
        reached(Milestone::Pushed(image, pushed));
    }
    Ok(None)
}
