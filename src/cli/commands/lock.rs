//! `floe lock`: new frozen specs in seconds, from what is listed and what is frozen already.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::{Format, Global, Missions};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::cli::signals;
use crate::envs::Upgrade;
use crate::reference::EnvironmentName;
use crate::spec::changes::{Change, Kind};
use crate::spec::frozen::normalized;
use crate::workflow::{self, LockOptions, Locked};

/// The version of the form of JSON. It rises when what is there changes its meaning or goes.
const JSON_VERSION: u32 = 1;

/// More than these of what asks for a package are not named.
const NAMED: usize = 3;

/// Solve specs and write their frozen specs, without a build; what is frozen stays where it fits
#[derive(Debug, Args)]
pub struct LockArgs {
    #[command(flatten)]
    missions: Missions,
    /// Only this environment; may be given several times. `base` is the one that all missions share
    #[arg(long, value_name = "NAME")]
    env: Vec<EnvironmentName>,
    #[command(flatten)]
    solving: Solving,
}

/// How specs are solved.
#[derive(Debug, Clone, Args)]
pub(super) struct Solving {
    /// Let these packages move, though what is frozen would do; all packages where none is named
    #[arg(short = 'U', long, value_name = "PACKAGE", num_args = 0.., value_delimiter = ',')]
    upgrade: Option<Vec<String>>,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How to print the changes
    #[arg(long, default_value = "text")]
    pub format: Format,
}

impl Solving {
    /// What need not stay as it is frozen.
    pub fn upgrade(&self) -> Upgrade {
        match self.upgrade.as_deref() {
            None => Upgrade::Nothing,
            Some([]) => Upgrade::All,
            Some(names) => Upgrade::These(names.iter().map(|name| normalized(name)).collect::<BTreeSet<_>>()),
        }
    }
}

/// Solves the environments of missions and writes what they come to.
pub fn execute(global: &Global, args: &LockArgs) -> Result<(), Failure> {
    let session = Session::open(global, &[("USE_FROZEN", "0".to_owned())])?;
    let missions = args.missions.of(&session.workplace)?;
    let options = LockOptions {
        environments: args.env.clone(),
        upgrade: args.solving.upgrade(),
        dry_run: args.solving.dry_run,
    };
    let (workplace, interrupts) = (&session.workplace, &session.interrupts);
    let locked = signals::interruptible(interrupts, || {
        workflow::lock(workplace, &missions, &options, output::program("uv"), interrupts)
    })?;
    output::result(&match args.solving.format {
        Format::Text => locked.iter().map(|locked| text(locked, args.solving.dry_run)).collect(),
        Format::Json => {
            let environments = locked.iter().map(json).collect::<Vec<_>>();
            format!(
                "{:#}\n",
                json!({ "version": JSON_VERSION, "environments": environments })
            )
        }
    })?;
    if locked.iter().any(|locked| locked.written.is_some()) && !args.solving.dry_run {
        let names = missions.iter().map(ToString::to_string).collect::<Vec<_>>();
        let test = format!("floe test {}", names.join(" "));
        output::next(&test, "builds what changed and runs its tests");
    }
    Ok(())
}

/// What is new in a frozen spec, for people.
pub(super) fn text(locked: &Locked, dry_run: bool) -> String {
    let path = locked.path.display();
    let Some(written) = &locked.written else {
        return format!("{path}: stays as it is\n");
    };
    let would = if dry_run { "would be " } else { "" };
    let new = if written.new {
        format!("{would}new, ")
    } else {
        String::new()
    };
    if written.changes.is_empty() {
        return format!("{path}: {new}{}\n", written.same_packages());
    }
    let summary = written.changes.summary();
    if written.new {
        return format!("{path}: {new}{summary}\n");
    }
    let rows = written.changes.rows(|change| why(locked, change));
    format!("{path}: {summary}\n    {}\n", rows.join("\n    "))
}

/// What asks for a package that came or moved.
fn why(locked: &Locked, change: &Change) -> String {
    if change.kind == Kind::Removed {
        return String::new();
    }
    asked_by(locked, &change.name)
}

/// What asks for a package, with `for ` before it; nothing where nothing does, as for what the base environment brings.
pub(super) fn asked_by(locked: &Locked, name: &str) -> String {
    let askers = locked.asked_by.get(&normalized(name)).map_or(&[][..], Vec::as_slice);
    if askers.is_empty() {
        return String::new();
    }
    let named = askers.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match askers.len().saturating_sub(NAMED) {
        0 => format!("for {named}"),
        more => format!("for {named} and {more} more"),
    }
}

/// What is new in a frozen spec, for programs.
pub(super) fn json(locked: &Locked) -> Value {
    let written = locked.written.as_ref();
    let changes = written.map_or(&[][..], |written| &written.changes.0);
    let changes = changes.iter().map(|change| {
        let mut value = json!(change);
        value["askedBy"] = json!(locked.asked_by.get(&normalized(&change.name)));
        value
    });
    json!({
        "path": locked.path,
        "changed": written.is_some(),
        "new": written.is_some_and(|written| written.new),
        "changes": changes.collect::<Vec<_>>(),
    })
}
