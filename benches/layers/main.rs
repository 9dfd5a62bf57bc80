//! How long it takes until an image holds a frozen environment, and what a change of one package costs, beside the same
//! environment installed by a stage of the build, and by a Dockerfile that people would write; what the tests cost after a
//! change in one environment of ten; and how the time grows with the number of packages.
//!
//! `scripts/bench layers [--rounds N] [--markdown FILE]`. What each side has kept of packages is warm, and the median of the rounds
//! counts. What misses its bar makes the run fail.

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

use measure::{Bar, Figure, Row, machine, medians, table};
use mission::{Form, Mission};
use ten::Ten;

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
    let many = many::measure(rounds);
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
    let (memory, (push, sent)) = (mission.memory(), mission.push_changed());
    let what = mission.describe();
    drop(mission);
    let ten = Ten::new();
    let mut round = 0;
    let [[all], [carried]] = medians(
        rounds,
        [&mut || [ten.test_all()], &mut || {
            round += 1;
            [ten.test_changed(round)]
        }],
    );
    let within = |seconds| Some(Bar::Within(Figure::Time(std::time::Duration::from_secs(seconds))));
    let rows = vec![
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
        Row {
            what: "  its push after one package changed".to_owned(),
            ours: push.into(),
            theirs: None,
            bar: None,
        },
        Row {
            what: "  bytes of that push".to_owned(),
            ours: Figure::Bytes(sent),
            theirs: None,
            // A wheel of 6 kB, and what says what the image is.
            bar: Some(Bar::Within(Figure::Bytes(2_000_000))),
        },
        Row {
            what: "  floe's memory".to_owned(),
            ours: Figure::Bytes(memory),
            theirs: None,
            bar: Some(Bar::Within(Figure::Bytes(250_000_000))),
        },
        Row::new(
            "the tests after one of ten environments changed",
            carried,
            ("all of them", all),
            Some(Bar::Times(0.2)),
        ),
    ];
    let rows = rows.into_iter().chain(many).collect::<Vec<_>>();
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
