//! How long `floe plan` takes in a repository of many missions.
//!
//! `scripts/bench plan [--rounds N] [--markdown FILE]`. The median of the rounds counts. What misses its bar makes the run
//! fail.

#[path = "../measure/mod.rs"]
#[expect(dead_code, reason = "other benchmarks measure more")]
mod measure;

mod repository;

use std::fs;
use std::io;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;

use measure::run::Asked;
use measure::{Bar, Row, medians, time};

/// How many missions a large repository has, and one that is larger than any.
const MISSIONS: [usize; 2] = [200, 1000];

/// Times the plan of a large repository.
#[derive(Debug, Parser)]
#[command(name = "plan")]
struct Arguments {
    #[command(flatten)]
    asked: Asked,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let run = arguments.asked.begin("plan", 5)?;
    let rounds = run.rounds;
    let [few, many] = MISSIONS.map(|missions| measure(missions, rounds));
    let named = |missions: usize, what: &str| {
        format!(
            "plan of {missions} missions of {} environments, {what}",
            repository::ENVIRONMENTS
        )
    };
    let within = |milliseconds| Some(Bar::Within(Duration::from_millis(milliseconds).into()));
    let [small, large] = MISSIONS;
    let mut measured = vec![
        Row::alone(named(small, "cold"), few.cold, within(1000)),
        Row::alone(named(small, "warm"), few.warm, within(200)),
        Row::alone(named(small, "since a commit"), few.since, within(200)),
    ];
    #[expect(clippy::cast_precision_loss, reason = "these are small numbers")]
    let linear = Some(Bar::Times(1.2 * large as f64 / small as f64));
    let grown = [
        ("cold", few.cold, many.cold),
        ("warm", few.warm, many.warm),
        ("since a commit", few.since, many.since),
    ];
    measured.extend(grown.map(|(what, few, many)| Row::new(named(large, what), many, ("with 200", few), linear)));
    run.end(&measured, &[])
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
