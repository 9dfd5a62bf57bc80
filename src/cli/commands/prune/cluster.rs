//! What floe has on a cluster, and what of it goes.

use std::fmt::Write as _;

use serde_json::json;

use super::{PruneArgs, age_of};
use crate::cli::args::Format;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::report::amounts::count;
use crate::report::untrusted::Untrusted;
use crate::workflow::{self, HeldRun, KeepThere, Somewhere};

/// Shows what there is on the cluster, and removes what goes.
pub(super) async fn execute(session: &Session, args: &PruneArgs, somewhere: &Somewhere) -> Result<(), Failure> {
    let workplace = &session.workplace;
    let keep = KeepThere {
        runs: args.runs.clone(),
        younger: args.older.map(|limit| limit.0),
    };
    let held = workflow::held_there(workplace, somewhere, &keep).await?;
    let going = held.iter().filter(|held| held.stays.is_none()).count();
    match args.format {
        Format::Json => output::result(&output::json(&json!({"held": held}))?)?,
        Format::Text => output::result(&shown(&held))?,
    }
    if going == 0 {
        output::say("Nothing is to go.");
        return Ok(());
    }
    let what = format!("{} from the cluster", count(going, "run"));
    if args.may_remove(&what, session).await? {
        workflow::prune_there(workplace, somewhere, &held).await?;
        output::say(&format!("Removed {what}."));
    }
    Ok(())
}

fn shown(held: &[HeldRun]) -> String {
    let visible = |text: &str| Untrusted::default().inline(text);
    let width = held.iter().map(|held| held.run.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (title, goes) in [("Goes:", true), ("Stays:", false)] {
        let mut some = held.iter().filter(|held| held.stays.is_none() == goes).peekable();
        if some.peek().is_some() {
            let _ = writeln!(text, "{title}");
        }
        for held in some {
            let jobs = count(held.jobs, "Job");
            let began = held.began.map(age_of).unwrap_or_default();
            let why = held.stays.unwrap_or_default();
            let line = format!("  {:width$}  {jobs:>7}  {began:<12}  {why}", visible(&held.run));
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}
