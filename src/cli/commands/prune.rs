//! `floe prune`: what floe keeps on disks, and what of it goes.

mod cluster;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use crate::cli::args::cluster::SomewhereArgs;
use crate::cli::args::{Format, Global};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::questions::{self, Answer};
use crate::cli::session::Session;
use crate::quantity::{Limit, bytes};
use crate::report::amounts::count;
use crate::report::untrusted::Untrusted;
use crate::workflow::{self, Held, HeldKind, Keep};

/// Show what floe keeps on disks, and remove what nobody needs any more
///
/// Only what carries floe's labels, or lies in .floe/, is named or removed: images of earlier files, containers of calls that
/// were killed, volumes of earlier programs of floe, and, where it is said how many or how old, test runs. With `--on` it is
/// what calls that were killed have left on a cluster; a run that was detached stays there unless it is named or too old.
/// What is to go is shown first; on a terminal it is asked, elsewhere `--yes` is needed.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Only images of these missions, of another repository, too
    #[arg(value_name = "MISSION")]
    missions: Vec<String>,
    /// Keep the N newest test runs
    #[arg(long, value_name = "N")]
    keep_runs: Option<usize>,
    /// Only images and runs that are older, e.g. 30d, 12h
    #[arg(long, value_name = "TIME", value_parser = age)]
    older: Option<Limit>,
    /// Remove earlier images of what missions share, too, which those of other repositories on this engine may extend
    #[arg(long)]
    shared: bool,
    /// Remove what was downloaded, too
    #[arg(long)]
    caches: bool,
    #[command(flatten)]
    somewhere: SomewhereArgs,
    /// Remove this run from the cluster, detached or not; repeat it for more
    #[arg(long = "run", value_name = "RUN", requires = "on")]
    runs: Vec<String>,
    #[command(flatten)]
    consent: Consent,
    /// How to print it; JSON is printed and nothing removed, unless `--yes` is given
    #[arg(long, default_value = "text")]
    format: Format,
}

/// Whether somebody has said already what is to be done.
#[derive(Debug, Args)]
struct Consent {
    /// Only show it
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Days, beside what times are written as elsewhere.
fn age(text: &str) -> Result<Limit, String> {
    match text.strip_suffix('d').map(str::parse::<u64>) {
        Some(Ok(days)) => Ok(Limit(std::time::Duration::from_hours(24 * days))),
        _ => text
            .parse()
            .map_err(|_| "expected a time such as 30d, 12h or 90m".to_owned()),
    }
}

/// Shows what there is, and removes what goes.
pub async fn execute(global: &Global, args: &PruneArgs) -> Result<(), Failure> {
    let session = Session::open(global, &[])?;
    if let Some(somewhere) = args.somewhere.somewhere() {
        return cluster::execute(&session, args, &somewhere).await;
    }
    let workplace = &session.workplace;
    let missions = args.missions.iter().map(|name| Ok(name.parse()?));
    let keep = Keep {
        missions: missions.collect::<Result<_, workflow::WorkflowError>>()?,
        younger: args.older.map(|limit| limit.0),
        runs: args.keep_runs,
        shared: !args.shared,
        caches: !args.caches,
    };
    let (held, cache) = workflow::held(workplace, &keep).await?;
    let going = held.iter().filter(|held| held.stays.is_none()).count();
    let size = held
        .iter()
        .filter(|held| held.stays.is_none())
        .map(|held| held.bytes)
        .sum::<u64>();
    match args.format {
        Format::Json => {
            let value = json!({"held": held, "frees": size, "builder-cache": cache});
            output::result(&format!("{value:#}\n"))?;
        }
        Format::Text => output::result(&shown(&held, cache))?,
    }
    if going == 0 {
        output::say("Nothing is to go.");
        return Ok(());
    }
    let what = format!("{}, {}", count(going, "thing"), bytes(size));
    if !args.may_remove(&what, &session).await? {
        return Ok(());
    }
    let freed = workflow::prune(workplace, &held).await?;
    output::say(&format!("Removed {}, freed {}.", count(going, "thing"), bytes(freed)));
    Ok(())
}

impl PruneArgs {
    /// Whether `what` is to be removed: the call says so, or somebody who is asked.
    async fn may_remove(&self, what: &str, session: &Session) -> Result<bool, Failure> {
        if self.consent.dry_run || (self.format == Format::Json && !self.consent.yes) {
            output::say(&format!("{what} would go."));
            return Ok(false);
        }
        if self.consent.yes {
            return Ok(true);
        }
        match questions::ask(&format!("Remove {what}? [y/N]"), &session.interrupts).await? {
            Answer::Given(answer) if matches!(answer.as_str(), "y" | "Y" | "yes") => Ok(true),
            Answer::Given(_) | Answer::Ended => {
                output::say("Nothing is removed.");
                Ok(false)
            }
            Answer::Nobody => {
                let failure = Failure::new(ExitCode::Refused, format!("{what} would go, and nobody said yes"));
                Err(failure.hint("`floe prune --yes` asks nobody"))
            }
        }
    }
}

/// What there is: what goes one by one, and what stays in sums.
fn shown(held: &[Held], cache: Option<u64>) -> String {
    let mut text = String::new();
    let going = held.iter().filter(|held| held.stays.is_none()).collect::<Vec<_>>();
    let width = going.iter().map(|held| held.name.chars().count()).max().unwrap_or(0);
    if !going.is_empty() {
        text.push_str("Goes:\n");
    }
    for held in going {
        let made = held.made.map(age_of).unwrap_or_default();
        let name = Untrusted::default().inline(&held.name);
        let line = format!(
            "  {:9}  {name:width$}  {:>9}  {made}",
            word(held.kind),
            bytes(held.bytes)
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let mut sums = BTreeMap::<(HeldKind, String, &str), (usize, u64)>::new();
    for held in held {
        if let Some(reason) = held.stays {
            let key = (held.kind, held.mission.clone().unwrap_or_default(), reason);
            let sum = sums.entry(key).or_default();
            *sum = (sum.0 + 1, sum.1 + held.bytes);
        }
    }
    if !sums.is_empty() {
        text.push_str("Stays:\n");
    }
    for ((kind, mission, reason), (number, size)) in sums {
        let of = if mission.is_empty() {
            mission
        } else {
            format!(" of {mission}")
        };
        let what = format!("{}{}", count(number, word(kind)), Untrusted::default().inline(&of));
        let _ = writeln!(text, "  {what:34}  {:>9}  {reason}", bytes(size));
    }
    if let Some(cache) = cache.filter(|cache| *cache > 0) {
        let _ = writeln!(
            text,
            "The builder's cache, which others may share, has {}: `docker builder prune`",
            bytes(cache)
        );
    }
    text
}

fn word(kind: HeldKind) -> &'static str {
    match kind {
        HeldKind::Image => "image",
        HeldKind::Container => "container",
        HeldKind::Volume => "volume",
        HeldKind::Run => "run",
        HeldKind::Cache => "cache",
    }
}

/// How long ago it was, in the largest unit that fits.
fn age_of(made: Timestamp) -> String {
    let minutes = Timestamp::now().duration_since(made).as_mins();
    match minutes {
        ..60 => format!("{minutes} min old"),
        60..2880 => format!("{} h old", minutes / 60),
        _ => format!("{} days old", minutes / 1440),
    }
}
