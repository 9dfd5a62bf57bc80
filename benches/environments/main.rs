//! How long it takes to make, freeze and copy environments, beside the programs that people would use instead.
//!
//! `scripts/bench environments [ROW…] [--rounds N] [--markdown FILE]`. Both sides of a row run in turns on the same
//! machine with the same packages and warm caches, and the median of the rounds counts. What misses its bar makes the
//! run fail.

#[path = "../measure/mod.rs"]
#[expect(dead_code, reason = "other benchmarks measure more")]
mod measure;

mod assembling;
mod cloning;
mod creating;
mod exporting;
mod mission;
mod pip;
mod specs;
mod workplace;

use std::io;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use measure::run::{Asked, show};
use workplace::Workplace;

/// Times floe beside other programs.
#[derive(Debug, Parser)]
#[command(name = "environments")]
struct Arguments {
    /// What to measure; everything, if nothing is named
    rows: Vec<Measured>,
    #[command(flatten)]
    asked: Asked,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measured {
    /// An environment made from its frozen spec
    Create,
    /// A pip list alone
    Pip,
    /// The layers of a frozen environment of pip packages
    Layers,
    /// The frozen spec of an environment
    Export,
    /// The copy of an environment
    Clone,
    /// A mission with two environments
    Mission,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let run = arguments.asked.begin("environments", 5)?;
    let rows = if arguments.rows.is_empty() {
        Measured::value_variants().to_vec()
    } else {
        arguments.rows
    };
    let rounds = run.rounds;
    let workplace = Workplace::open();
    let mut measured = Vec::new();
    for row in rows {
        let more = match row {
            Measured::Create => creating::measure(&workplace, rounds),
            Measured::Pip => pip::measure(&workplace, rounds),
            Measured::Layers => assembling::measure(&workplace, rounds),
            Measured::Export => exporting::measure(&workplace, rounds),
            Measured::Clone => cloning::measure(&workplace, rounds),
            Measured::Mission => mission::measure(rounds),
        };
        show(&more)?;
        measured.extend(more);
    }
    run.end(&measured, &workplace.versions())
}
