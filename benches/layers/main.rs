//! How long it takes until an image holds a frozen environment, and what a change of one package costs, beside the same
//! environment installed by a stage of the build, and by a Dockerfile that people would write; what the tests cost after a
//! change in one environment of ten; and how the time grows with the number of packages.
//!
//! `scripts/bench layers [--before DIRECTORY] [--rounds N] [--markdown FILE]`. What each side has kept of packages is warm, and
//! the median of the rounds counts. What misses its bar makes the run fail.

#[path = "../measure/mod.rs"]
#[expect(dead_code, reason = "other benchmarks measure more")]
mod measure;

mod many;
mod mission;
mod ten;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use measure::run::Asked;

/// Times builds of a frozen environment.
#[derive(Debug, Parser)]
#[command(name = "layers")]
struct Arguments {
    /// Also have the stage built by an earlier floe, whose program `floe` and whose `common/` are in this directory
    #[arg(long, value_name = "DIRECTORY")]
    before: Option<PathBuf>,
    #[command(flatten)]
    asked: Asked,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let run = arguments.asked.begin("layers", 3)?;
    let rounds = run.rounds;
    let many = many::measure(rounds);
    let mission = mission::measure(arguments.before.as_deref(), rounds);
    let rows = [mission, ten::measure(rounds), many].concat();
    run.end(&rows, &[])
}
