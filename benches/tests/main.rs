//! How long it takes to run tests, beside the programs that people use instead.
//!
//! `scripts/bench tests [ROW…] [--before DIRECTORY] [--rounds N] [--markdown FILE]`. Both sides of a row run in turns on the
//! same machine in the same installation, and the median of the rounds counts. What misses its bar makes the run fail.

#[path = "../measure/mod.rs"]
#[expect(dead_code, reason = "other benchmarks measure more")]
mod measure;

mod before;
mod image;
mod imports;
mod notebooks;
mod overhead;
mod workplace;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use measure::run::{Asked, show};
use workplace::Workplace;

/// Times floe's test runner beside other programs.
#[derive(Debug, Parser)]
#[command(name = "tests")]
struct Arguments {
    /// What to measure; everything, if nothing is named
    rows: Vec<Measured>,
    /// Also measure a run beside an earlier floe: a directory with its program, `floe`, and its `common/`
    #[arg(long, value_name = "DIRECTORY")]
    before: Option<PathBuf>,
    #[command(flatten)]
    asked: Asked,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measured {
    /// Notebooks that do next to nothing
    Tiny,
    /// Notebooks with numpy, pandas and matplotlib
    Science,
    /// Imports, each in a process of its own
    Imports,
    /// floe's own time for each of many tests
    Overhead,
    /// floe's memory while a notebook prints a lot
    Flood,
    /// A suite in a container, started from the host
    Image,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let run = arguments.asked.begin("tests", 3)?;
    let rows = if arguments.rows.is_empty() && arguments.before.is_none() {
        Measured::value_variants().to_vec()
    } else {
        arguments.rows
    };
    let rounds = run.rounds;
    let workplace = Workplace::open();
    let mut measured = Vec::new();
    for row in rows {
        let more = match row {
            Measured::Tiny => notebooks::tiny(&workplace, rounds),
            Measured::Science => notebooks::science(&workplace, rounds),
            Measured::Imports => imports::measure(&workplace, rounds),
            Measured::Overhead => overhead::many(&workplace),
            Measured::Flood => overhead::flood(&workplace),
            Measured::Image => image::measure(rounds),
        };
        show(&more)?;
        measured.extend(more);
    }
    if let Some(before) = &arguments.before {
        measured.extend(before::measure(before, rounds));
    }
    run.end(&measured, &workplace.versions())
}
