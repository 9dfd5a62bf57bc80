//! `floe remove`: packages taken out of an environment's specs, solved and frozen in one step.

use clap::Args;
use serde_json::json;

use super::lock::{self, Solving};
use crate::cli::args::{Format, Global};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::cli::signals;
use crate::reference::{EnvironmentName, MissionName};
use crate::spec::edit::{self, PackageKind};
use crate::workflow::{self, Change, Locked, Specified, Specify};

/// The version of the form of JSON. It rises when what is there changes its meaning or goes.
const JSON_VERSION: u32 = 1;

/// Remove packages from an environment: its specs, its frozen spec and its lock, without a build
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// The packages, by their names
    #[arg(value_name = "PACKAGE", required = true)]
    packages: Vec<String>,
    /// The mission, if `setup-env` names none or another
    #[arg(long)]
    mission: Option<MissionName>,
    #[command(flatten)]
    solving: Solving,
}

/// Removes packages from an environment.
pub fn execute(global: &Global, args: &RemoveArgs) -> Result<(), Failure> {
    let wanted = Specify {
        mission: args.mission.clone(),
        environment: args.environment.clone(),
        change: Change::Remove(args.packages.clone()),
        kind: None,
        file: None,
        upgrade: args.solving.upgrade(),
        dry_run: args.solving.dry_run,
    };
    specified(global, &wanted, &args.solving)
}

/// Changes specs, and prints what became of them.
pub(super) fn specified(global: &Global, wanted: &Specify, solving: &Solving) -> Result<(), Failure> {
    let session = Session::open(global, &[("USE_FROZEN", "0".to_owned())])?;
    let (workplace, interrupts) = (&session.workplace, &session.interrupts);
    let specified = signals::interruptible(interrupts, || {
        workflow::specify(workplace, wanted, output::program("uv"), interrupts)
    })?;
    output::result(&match solving.format {
        Format::Text => text(&specified, solving.dry_run),
        Format::Json => format!("{:#}\n", json(&specified)),
    })?;
    if specified.locked.written.is_some() && !solving.dry_run {
        let test = format!("floe test {} --env {}", specified.mission, wanted.environment);
        output::next(&test, "builds it and runs its tests");
    }
    Ok(())
}

fn text(specified: &Specified, dry_run: bool) -> String {
    let edits = specified.edits.iter().map(|(path, edited)| {
        let place = format!("{}:{}", path.display(), edited.line);
        match (&edited.before, &edited.after) {
            (Some(before), Some(after)) if before == after => format!("{place}: {after}, as before\n"),
            (Some(before), Some(after)) => format!("{place}: {after}, before {before}\n"),
            (None, Some(after)) => format!("{place}: {after}\n"),
            (before, None) => {
                let before = before.as_deref().unwrap_or_default();
                format!("{place}: no more {before}{}\n", stays(&specified.locked, before))
            }
        }
    });
    edits.collect::<String>() + &lock::text(&specified.locked, dry_run)
}

/// Whether and why a package stays that no list of the environment asks for any more.
fn stays(locked: &Locked, requirement: &str) -> String {
    let names = [PackageKind::Pip, PackageKind::Conda].map(|kind| edit::package(requirement, kind));
    let Some(name) = names.into_iter().flatten().find(|name| locked.holds.contains(name)) else {
        return String::new();
    };
    match lock::asked_by(locked, &name) {
        askers if askers.is_empty() => "; it stays, as part of the base environment".to_owned(),
        askers => format!("; it stays {askers}"),
    }
}

fn json(specified: &Specified) -> serde_json::Value {
    let edits = specified.edits.iter().map(|(path, edited)| {
        json!({
            "path": path,
            "line": edited.line,
            "before": edited.before,
            "after": edited.after,
        })
    });
    json!({
        "version": JSON_VERSION,
        "mission": specified.mission,
        "edits": edits.collect::<Vec<_>>(),
        "frozen": lock::json(&specified.locked),
    })
}
