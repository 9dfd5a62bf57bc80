//! `floe freeze`: the frozen specs of environments, from what an image holds.

use clap::Args;

use crate::cli::args::{Global, Missions};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::freeze::Written;
use crate::workflow;

/// Write frozen specs from what missions' built images hold, and show what changed
#[derive(Debug, Clone, Args)]
pub struct FreezeArgs {
    #[command(flatten)]
    missions: Missions,
}

/// Freezes the images of missions as they were built, and the common image.
pub async fn execute(global: &Global, args: &FreezeArgs) -> Result<(), Failure> {
    let session = Session::open(global, &[])?;
    let missions = args.missions.of(&session.workplace)?;
    let written = workflow::freeze(&session.workplace, &missions, &session.interrupts).await?;
    output::result(&shown(&written))
}

/// What was written, for people.
pub(super) fn shown(written: &[Written]) -> String {
    if written.is_empty() {
        return "nothing to write: the frozen specs stay as they are\n".to_owned();
    }
    written.iter().map(one).collect()
}

fn one(written: &Written) -> String {
    let path = written.path.display();
    if written.changes.is_empty() {
        return format!("{path}: {}\n", written.same_packages());
    }
    let summary = written.changes.summary();
    if written.new {
        return format!("{path}: new, {summary}\n");
    }
    let changes = written.changes.to_text();
    let lines = changes.lines().filter(|line| *line != summary);
    let lines = lines.map(|line| format!("    {line}\n")).collect::<Vec<_>>().concat();
    let why = if written.respecified {
        "its specs have changed"
    } else {
        "its specs are the same, and what they come to is not"
    };
    format!("{path}: {summary}; {why}\n{lines}")
}
