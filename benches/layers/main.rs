//! How long it takes until an image holds a frozen environment, and what a change of one package costs, beside the same
//! environment installed by a stage of the build, and by a Dockerfile that people would write.
//!
//! `scripts/bench layers [--rounds N] [--markdown FILE]`. What each side has kept of packages is warm, and the median of the rounds
//! counts. What misses its bar makes the run fail.

#[path = "../measure/mod.rs"]
#[expect(dead_code, reason = "other benchmarks measure more")]
mod measure;

mod mission;

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use measure::{Bar, Figure, Row, machine, medians, table};
use mission::{Form, Mission};

/// Times builds of a frozen environment.
#[derive(Debug, Parser)]
#[command(name = "layers")]
struct Arguments {
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

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let page = arguments.markdown.as_deref().map(table::page).transpose()?;
    let rounds = usize::from(arguments.rounds);
    let mission = Mission::new();
    let [[assembled], [staged], [written], [changed], [nothing]] = medians(
        rounds,
        [
            &mut || [mission.build_anew(Form::Assembled)],
            &mut || [mission.build_anew(Form::Staged)],
            &mut || [mission.build_by_dockerfile()],
            &mut || [mission.build_changed()],
            &mut || [mission.build_again()],
        ],
    );
    let what = mission.describe();
    let within = |seconds| Some(Bar::Within(Figure::Time(std::time::Duration::from_secs(seconds))));
    let rows = [
        Row::new(
            format!("frozen spec to image, {what}"),
            assembled,
            ("in a stage", staged),
            Some(Bar::Times(0.45)),
        ),
        Row::new(
            "  beside a Dockerfile",
            assembled,
            ("uv pip install --compile-bytecode", written),
            Some(Bar::Times(0.6)),
        ),
        Row {
            what: "  one package changed".to_owned(),
            ours: changed.into(),
            theirs: None,
            bar: within(4),
        },
        Row {
            what: "  nothing changed".to_owned(),
            ours: nothing.into(),
            theirs: None,
            bar: None,
        },
    ];
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
