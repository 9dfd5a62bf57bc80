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

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use measure::{Row, machine, table};
use workplace::Workplace;

/// Times floe beside other programs.
#[derive(Debug, Parser)]
#[command(name = "environments")]
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
    let page = arguments.markdown.as_deref().map(table::page).transpose()?;
    let rows = if arguments.rows.is_empty() {
        Measured::value_variants().to_vec()
    } else {
        arguments.rows
    };
    let rounds = usize::from(arguments.rounds);
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
        // Each is shown as soon as it is known: a whole run takes minutes.
        writeln!(io::stderr(), "{}", table::plain(&more))?;
        measured.extend(more);
    }
    writeln!(io::stdout(), "{}", table::plain(&measured))?;
    if let (Some(file), Some(page)) = (arguments.markdown, page) {
        let machine = machine::describe(&workplace.versions());
        let section = table::markdown("environments", &measured, &machine, rounds);
        std::fs::write(&file, table::with_section(&page, "environments", &section))?;
    }
    if measured.iter().any(Row::is_missed) {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
