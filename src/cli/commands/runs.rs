//! `floe runs`: the earlier test runs of a repository.

use clap::Args;

use crate::cli::args::{Format, Global};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::{output, session};
use crate::report::amounts::duration;
use crate::report::untrusted::Untrusted;
use crate::run::store::{self, Earlier, Standing};
use crate::state::State;

/// List earlier test runs, the newest first
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// How many are listed
    #[arg(short, long, value_name = "N", default_value_t = 20)]
    number: usize,
    /// List all
    #[arg(long, conflicts_with = "number")]
    all: bool,
    /// How to print them
    #[arg(long, default_value = "text")]
    format: Format,
}

/// Prints the earlier runs, the newest first.
pub fn execute(global: &Global, args: &RunsArgs) -> Result<(), Failure> {
    let repository = session::repository(global)?.ok_or_else(|| {
        Failure::new(ExitCode::Invalid, "no repository with missions/ is here")
            .hint("change to one, or name it with --directory")
    })?;
    let state = State::of(repository.root());
    let all = store::directories(&state.runs_directory())?;
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
            output::result(&table(&shown))?;
            if all.is_empty() {
                output::say("No test has been run here.");
            } else if all.len() > shown.len() {
                output::say(&format!("… and {} earlier ones (--all)", all.len() - shown.len()));
            }
            Ok(())
        }
    }
}

/// The runs as a table.
fn table(runs: &[Earlier]) -> String {
    let head = ["RUN", "MISSION", "BEGAN", "VERDICT", "TESTS", "TOOK", "IMAGE"].map(str::to_owned);
    let mut rows = vec![head];
    rows.extend(runs.iter().map(row));
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
    ] {
        if number > 0 {
            counts.push(format!("{number} {word}"));
        }
    }
    let verdict = match run.standing {
        Standing::Passed => "passed",
        Standing::Failed => "failed",
        Standing::Running => "running",
        Standing::Interrupted => "interrupted",
        Standing::Unreadable => "unreadable",
    };
    let part = run.part.as_ref().map(|part| format!(" {part}")).unwrap_or_default();
    let began = run.began.map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
    [
        visible(&run.id),
        visible(&run.mission),
        began.unwrap_or_default(),
        format!("{verdict}{part}"),
        counts.join(", "),
        run.seconds.map(duration).unwrap_or_default(),
        visible(&run.image),
    ]
}
