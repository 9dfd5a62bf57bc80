//! How long what people do all day takes, beside uv on the same lists.
//!
//! `scripts/bench daily [ROW…] [--rounds N] [--markdown FILE]`. Both sides of a row run in turns on the same machine with
//! the same cache, and the median of the rounds counts. What misses its bar makes the run fail.

#[path = "../measure/mod.rs"]
#[expect(dead_code, reason = "other benchmarks measure more")]
mod measure;

mod image;
mod packages;

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};

use measure::{Row, machine, table};
use world::venv;

/// Times what people do all day.
#[derive(Debug, Parser)]
#[command(name = "daily")]
struct Arguments {
    /// What to measure; everything, if nothing is named
    rows: Vec<Measured>,
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
    let page = arguments.markdown.as_deref().map(table::page).transpose()?;
    let rounds = usize::from(arguments.rounds);
    let wanted = |row| arguments.rows.is_empty() || arguments.rows.contains(&row);
    let uv = venv("uv", &["uv"]).join("bin/uv");
    let mut rows = Vec::<Row>::new();
    if wanted(Measured::Packages) {
        rows.extend(packages::measure(&uv, rounds));
    }
    if wanted(Measured::Image) {
        rows.extend(image::measure(&uv, rounds));
    }
    writeln!(io::stdout(), "{}", table::plain(&rows))?;
    if let (Some(file), Some(page)) = (arguments.markdown, page) {
        let version = Command::new(&uv).arg("--version").output()?.stdout;
        let version = String::from_utf8_lossy(&version).trim().to_owned();
        let section = table::markdown("daily", &rows, &machine::describe(&[version]), rounds);
        fs::write(&file, table::with_section(&page, "daily", &section))?;
    }
    if rows.iter().any(Row::is_missed) {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
