//! What floe itself takes, beside what the tests do: its own work for each, and its memory.

use std::fs;
use std::time::Duration;

use super::measure::usage::watched;
use super::measure::{Bar, Figure, Row};
use super::workplace::{Notebooks, Workplace};

const TESTS: u32 = 1000;

/// One cell that prints a gibibyte, a mebibyte at a time.
const FLOOD: &str = "line = 'x' * (2**20 - 1)\nfor _ in range(1024):\n    print(line)";

/// The work of processors for floe alone, without that for the tests.
pub fn many(workplace: &Workplace) -> Vec<Row> {
    let modules = tempfile::tempdir().unwrap();
    let names = (0..TESTS).map(|number| format!("m{number:04}")).collect::<Vec<_>>();
    for name in &names {
        fs::write(modules.path().join(format!("{name}.py")), "").unwrap();
    }
    let words = ["test-imports", "base"]
        .into_iter()
        .chain(names.iter().map(String::as_str));
    let mut command = workplace.floe(&words.collect::<Vec<_>>());
    let usage = watched(command.env("PYTHONPATH", modules.path()));
    vec![Row::alone(
        format!("floe's own work for each of {TESTS} trivial tests"),
        Figure::Time(usage.work / TESTS),
        Some(Bar::Within(Duration::from_millis(5).into())),
    )]
}

/// The memory of floe alone, without that of the kernel.
pub fn flood(workplace: &Workplace) -> Vec<Row> {
    let notebooks = Notebooks::new(1, &[FLOOD]);
    let words = ["test-notebooks", "base"].into_iter().chain(notebooks.names());
    let mut command = workplace.floe(&words.collect::<Vec<_>>());
    let usage = watched(command.current_dir(notebooks.path()));
    vec![Row::alone(
        "floe's memory while a cell prints 1 GiB".to_owned(),
        Figure::Bytes(usage.memory),
        Some(Bar::Within(Figure::Bytes(100_000_000))),
    )]
}
