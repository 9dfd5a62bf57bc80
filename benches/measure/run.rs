//! One run of a benchmark: what people ask of it, and what becomes of its rows.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use super::{Row, machine, table};

/// What people ask of every benchmark.
#[derive(Debug, clap::Args)]
pub struct Asked {
    /// How many rounds to take the median of, in place of as many as the benchmark is worth
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Also write the table, with the machine and the versions, into this page
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Shows rows that are known already: a whole run takes minutes.
pub fn show(rows: &[Row]) -> io::Result<()> {
    writeln!(io::stderr(), "{}", table::plain(rows))
}

/// A run that has begun.
pub struct Run {
    name: &'static str,
    /// How many rounds to take the median of.
    pub rounds: usize,
    page: Option<(PathBuf, String)>,
}

impl Asked {
    /// Begins a run of the benchmark `name`, of so many rounds unless others were asked for. Fails where its page cannot be read or
    /// written: later, its figures would be lost.
    pub fn begin(self, name: &'static str, rounds: u16) -> io::Result<Run> {
        let page = match self.markdown {
            Some(file) => Some((file.clone(), table::page(&file)?)),
            None => None,
        };
        Ok(Run {
            name,
            rounds: self.rounds.unwrap_or(rounds).into(),
            page,
        })
    }
}

impl Run {
    /// Prints the table, and writes it into its page with `versions`; the benchmark fails where a bar is missed.
    pub fn end(self, rows: &[Row], versions: &[String]) -> io::Result<ExitCode> {
        writeln!(io::stdout(), "{}", table::plain(rows))?;
        if let Some((file, page)) = self.page {
            let section = table::markdown(self.name, rows, &machine::describe(versions), self.rounds);
            fs::write(&file, table::with_section(&page, self.name, &section))?;
        }
        Ok(if rows.iter().any(Row::is_missed) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}
