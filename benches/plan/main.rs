//! How long `floe plan` takes in a repository of many missions.
//!
//! `scripts/bench plan [--rounds N] [--markdown FILE]`. The median of the rounds counts. What misses its bar makes the run
//! fail.

#[path = "../measure/mod.rs"]
#[expect(dead_code, reason = "other benchmarks measure more")]
mod measure;

mod repository;

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;

use measure::{Bar, Row, machine, medians, table, time};

/// How many missions a large repository has, and one that is larger than any.
const MISSIONS: [usize; 2] = [200, 1000];

/// Times the plan of a large repository.
#[derive(Debug, Parser)]
#[command(name = "plan")]
struct Arguments {
    /// How many rounds to take the median of
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Also write the table, with the machine and the versions, into this page
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let page = arguments.markdown.as_deref().map(table::page).transpose()?;
    let rounds = usize::from(arguments.rounds);
    let [few, many] = MISSIONS.map(|missions| measure(missions, rounds));
    let named = |missions: usize, what: &str| {
        format!(
            "plan of {missions} missions of {} environments, {what}",
            repository::ENVIRONMENTS
        )
    };
    let alone = |what: String, ours: Duration, most: u64| Row {
        what,
        ours: ours.into(),
        theirs: None,
        bar: Some(Bar::Within(Duration::from_millis(most).into())),
    };
    let [small, large] = MISSIONS;
    let mut measured = vec![
        alone(named(small, "cold"), few.cold, 1000),
        alone(named(small, "warm"), few.warm, 200),
        alone(named(small, "since a commit"), few.since, 200),
    ];
    #[expect(clippy::cast_precision_loss, reason = "these are small numbers")]
    let linear = Some(Bar::Times(1.2 * large as f64 / small as f64));
    let grown = [
        ("cold", few.cold, many.cold),
        ("warm", few.warm, many.warm),
        ("since a commit", few.since, many.since),
    ];
    measured.extend(grown.map(|(what, few, many)| Row::new(named(large, what), many, ("with 200", few), linear)));
    writeln!(io::stdout(), "{}", table::plain(&measured))?;
    if let (Some(file), Some(page)) = (arguments.markdown, page) {
        let section = table::markdown("plan", &measured, &machine::describe(&[]), rounds);
        fs::write(&file, table::with_section(&page, "plan", &section))?;
    }
    if measured.iter().any(Row::is_missed) {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// What a plan takes.
struct Times {
    /// Where floe remembers nothing, as in a new clone.
    cold: Duration,
    /// Where it has planned the same before.
    warm: Duration,
    /// The same, of what an edit of one mission touches.
    since: Duration,
}

fn measure(missions: usize, rounds: usize) -> Times {
    let repository = repository::of(missions);
    repository.write("missions/m0000/environments/e0/e0.pip", "package-000\n");
    let plan = |words: &[&str]| -> Command {
        let mut command = repository.command(words);
        command.env("USE_FROZEN", "1");
        command
    };
    let state = repository.path().join(".floe");
    let [[cold], [warm], [since]] = medians(
        rounds,
        [
            &mut || {
                if state.exists() {
                    fs::remove_dir_all(&state).unwrap();
                }
                [time(&mut plan(&["plan", "--format", "json"]))]
            },
            &mut || [time(&mut plan(&["plan", "--format", "json"]))],
            &mut || [time(&mut plan(&["plan", "--since", "HEAD"]))],
        ],
    );
    Times { cold, warm, since }
}
