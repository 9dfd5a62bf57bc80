//! `floe freeze`: the frozen specs of an image's environments, from what it holds.

use crate::builder::{self, Built};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::freeze::{self, Export, Written};
use crate::plan::BuildPlan;
use crate::reference::MissionName;

/// Freezes the images of `missions` as they were built, and the common image.
pub async fn command(session: &Session, missions: &[MissionName]) -> Result<(), Failure> {
    let plan = session.plan(missions)?;
    let engine = session.engine().await?;
    let built = builder::find(&plan, &engine, &session.state).await?;
    let written = run(session, &plan, &built, missions).await?;
    output::result(&shown(&written))
}

/// Writes the frozen specs of what `missions` consist of; answers those that changed.
pub async fn run(
    session: &Session,
    plan: &BuildPlan,
    built: &[Built],
    missions: &[MissionName],
) -> Result<Vec<Written>, Failure> {
    let engine = session.engine().await?;
    let options = session.options(plan, false)?;
    let display = session.display();
    let mut written = Vec::new();
    for (image, built) in plan.images.iter().zip(built) {
        let wanted = image.mission.as_ref().is_none_or(|mission| missions.contains(mission));
        if !wanted || image.frozen.is_empty() {
            continue;
        }
        let mounts = session.mounts();
        let exported = freeze::export(&Export::of(image, built), &engine, &options, &mounts, display.as_ref()).await?;
        for (file, frozen) in image.frozen.iter().zip(exported) {
            written.extend(freeze::keep(
                &session.repository,
                file,
                frozen,
                !session.settings.use_frozen,
            )?);
        }
    }
    Ok(written)
}

/// Whether a frozen spec of the plan is missing, or was made from other specs than there are now.
pub fn is_due(session: &Session, plan: &BuildPlan) -> bool {
    let mut files = plan.images.iter().flat_map(|image| &image.frozen);
    files.any(|file| file.stale || !session.repository.path(&file.path).exists())
}

/// What was written, for people.
pub fn shown(written: &[Written]) -> String {
    if written.is_empty() {
        return "the frozen specs are up to date\n".to_owned();
    }
    written.iter().map(one).collect()
}

fn one(written: &Written) -> String {
    let path = written.path.display();
    if written.changes.is_empty() {
        return format!("{path}: the same packages, from other specs\n");
    }
    let summary = written.changes.summary();
    if written.new {
        return format!("{path}: new, {summary}\n");
    }
    let changes = written.changes.to_text();
    let lines = changes.lines().filter(|line| *line != summary);
    let lines = lines.map(|line| format!("    {line}\n")).collect::<Vec<_>>().concat();
    format!("{path}: {summary}\n{lines}")
}
