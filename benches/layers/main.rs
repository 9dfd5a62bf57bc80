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

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use measure::{Row, machine, table};

/// Times builds of a frozen environment.
#[derive(Debug, Parser)]
#[command(name = "layers")]
struct Arguments {
    /// How many rounds to take the median of
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Also have the stage built by an earlier floe, whose program `floe` and whose `common/` are in this directory
    #[arg(long, value_name = "DIRECTORY")]
    before: Option<PathBuf>,
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
    let many = many::measure(rounds);
    let mission = mission::measure(arguments.before.as_deref(), rounds);
    let rows = [mission, ten::measure(rounds), many].concat();
    writeln!(io::stdout(), "{}", table::plain(&rows))?;
    if let (Some(file), Some(page)) = (arguments.markdown, page) {
        let section = table::markdown("layers", &rows, &machine::describe(&[]), rounds);
        fs::write(&file, table::with_section(&page, "layers", &section))?;
    }
    if rows.iter().any(Row::is_missed) {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
