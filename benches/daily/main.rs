//! How long what people do all day takes, beside uv on the same lists.
//!
//! `scripts/bench daily [ROW…] [--rounds N] [--markdown FILE]`. Both sides of a row run in turns on the same machine with
//! the same cache, and the median of the rounds counts. What misses its bar makes the run fail.

#[path = "../measure/mod.rs"]
#[expect(dead_code, reason = "other benchmarks measure more")]
mod measure;

mod image;
mod packages;

use std::io;
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};

use measure::Row;
use measure::run::Asked;
use world::venv;

/// Times what people do all day.
#[derive(Debug, Parser)]
#[command(name = "daily")]
struct Arguments {
    /// What to measure; everything, if nothing is named
    rows: Vec<Measured>,
    #[command(flatten)]
    asked: Asked,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measured {
    /// Packages added, and environments locked
    Packages,
    /// A package tried, an edit tested, and calls with nothing to do
    Image,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let run = arguments.asked.begin("daily", 5)?;
    let rounds = run.rounds;
    let wanted = |row| arguments.rows.is_empty() || arguments.rows.contains(&row);
    let uv = venv("uv", &["uv"]).join("bin/uv");
    let mut rows = Vec::<Row>::new();
    if wanted(Measured::Packages) {
        rows.extend(packages::measure(&uv, rounds));
    }
    if wanted(Measured::Image) {
        rows.extend(image::measure(&uv, rounds));
    }
    let version = Command::new(&uv).arg("--version").output()?.stdout;
    let version = String::from_utf8_lossy(&version).trim().to_owned();
    run.end(&rows, &[version])
}
