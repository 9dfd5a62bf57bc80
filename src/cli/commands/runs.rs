//! `floe runs`: the earlier test runs of a repository.

use clap::Args;
use jiff::Timestamp;

use crate::cli::args::cluster::SomewhereArgs;
use crate::cli::args::{Format, Global};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::session::Session;
use crate::cli::{output, session};
use crate::report::amounts::duration;
use crate::report::untrusted::Untrusted;
use crate::run::store::{self, Earlier, Standing};
use crate::state::State;
use crate::workflow::{self, LeftOutlook, Somewhere};

/// List earlier test runs, the newest first, and those that were left to a cluster
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// How many are listed
    #[arg(short, long, value_name = "N", default_value_t = 20)]
    number: usize,
    /// List all
    #[arg(long, conflicts_with = "number")]
    all: bool,
    #[command(flatten)]
    somewhere: SomewhereArgs,
    /// How to print them
    #[arg(long, default_value = "text")]
    format: Format,
}

/// Prints the earlier runs, the newest first, or those that a cluster has.
pub async fn execute(global: &Global, args: &RunsArgs) -> Result<(), Failure> {
    match args.somewhere.somewhere() {
        Some(somewhere) => there(&Session::open(global, &[])?, args, &somewhere).await,
        None => here(global, args),
    }
}

async fn there(session: &Session, args: &RunsArgs, somewhere: &Somewhere) -> Result<(), Failure> {
    let mut left = workflow::left(&session.workplace, somewhere).await?;
    left.truncate(if args.all { usize::MAX } else { args.number });
    if args.format == Format::Json {
        return output::result(&output::json(&left)?);
    }
    output::result(&table(LEFT_HEAD, left.iter().map(row_of_left)))?;
    if left.is_empty() {
        output::say("No run was left to this cluster.");
    }
    Ok(())
}

fn here(global: &Global, args: &RunsArgs) -> Result<(), Failure> {
    let repository = session::repository(global)?.ok_or_else(|| {
        Failure::new(ExitCode::Invalid, "no repository with missions/ is here")
            .hint("change to one, or name it with --directory")
    })?;
    let state = State::of(repository.root());
    let all = store::all(&state.runs_directory())?;
    let most = if args.all { usize::MAX } else { args.number };
    let shown = all
        .iter()
        .take(most)
        .map(|directory| Earlier::of(directory))
        .collect::<Vec<_>>();
    match args.format {
        Format::Json => {
            let value = serde_json::to_value(&shown);
            let value = value.map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
            output::result(&format!("{value:#}\n"))
        }
        Format::Text => {
            output::result(&table(HEAD, shown.iter().map(row)))?;
            if all.is_empty() {
                output::say("No test has been run here.");
            } else if all.len() > shown.len() {
                output::say(&format!("… and {} earlier ones (--all)", all.len() - shown.len()));
            }
            Ok(())
        }
    }
}

const HEAD: [&str; 7] = ["RUN", "MISSION", "BEGAN", "VERDICT", "TESTS", "TOOK", "IMAGE"];

const LEFT_HEAD: [&str; 6] = ["RUN", "MISSION", "BEGAN", "STANDS", "TESTS", "IMAGE"];

/// The runs as a table.
fn table<const N: usize>(head: [&str; N], runs: impl Iterator<Item = [String; N]>) -> String {
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(runs);
    if rows.len() == 1 {
        return String::new();
    }
    let widths = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = (0..rows[0].len()).map(widths).collect::<Vec<_>>();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn row(run: &Earlier) -> [String; 7] {
    let visible = |text: &str| Untrusted::default().inline(text);
    let mut counts = Vec::new();
    let summary = run.summary;
    for (number, word) in [
        (summary.passed, "passed"),
        (summary.failed, "failed"),
        (run.flaky, "flaky"),
        (summary.skipped, "skipped"),
        (summary.carried, "carried"),
    ] {
        if number > 0 {
            counts.push(format!("{number} {word}"));
        }
    }
    let verdict = match run.standing {
        Standing::Passed => "passed",
        Standing::Failed => "failed",
        Standing::Running => "running",
        Standing::Detached => "detached",
        Standing::Interrupted => "interrupted",
        Standing::Unreadable => "unreadable",
    };
    let part = run.part.as_ref().map(|part| format!(" {part}")).unwrap_or_default();
    [
        visible(&run.id),
        visible(&run.mission),
        run.began.map(moment).unwrap_or_default(),
        format!("{verdict}{part}"),
        counts.join(", "),
        run.seconds.map(duration).unwrap_or_default(),
        visible(&run.image),
    ]
}

fn row_of_left(run: &LeftOutlook) -> [String; 6] {
    let visible = |text: &str| Untrusted::default().inline(text);
    let stands = match (run.pods, run.running) {
        (0, _) => "gone".to_owned(),
        (_, 0) => "ended".to_owned(),
        (pods, running) => format!("running ({running} of {pods} pods)"),
    };
    let followed = if run.followed { ", followed" } else { "" };
    [
        visible(&run.id),
        visible(&run.mission),
        run.began.map(moment).unwrap_or_default(),
        format!("{stands}{followed}"),
        run.tests.to_string(),
        visible(&run.image),
    ]
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
