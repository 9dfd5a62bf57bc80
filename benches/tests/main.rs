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

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use measure::{Row, machine, table};
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
    /// How many rounds to take the median of
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
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
    let page = arguments.markdown.as_deref().map(table::page).transpose()?;
    let rows = if arguments.rows.is_empty() && arguments.before.is_none() {
        Measured::value_variants().to_vec()
    } else {
        arguments.rows
    };
    let rounds = usize::from(arguments.rounds);
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
        // Each is shown as soon as it is known: a whole run takes minutes.
        writeln!(io::stderr(), "{}", table::plain(&more))?;
        measured.extend(more);
    }
    if let Some(before) = &arguments.before {
        measured.extend(before::measure(before, rounds));
    }
    writeln!(io::stdout(), "{}", table::plain(&measured))?;
    if let (Some(file), Some(page)) = (arguments.markdown, page) {
        let machine = machine::describe(&workplace.versions());
        let section = table::markdown("tests", &measured, &machine, rounds);
        std::fs::write(&file, table::with_section(&page, "tests", &section))?;
    }
    if measured.iter().any(Row::is_missed) {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
