//! Imports, each in a process of its own, beside one process that imports everything.

use world::run;

use super::measure::{Bar, Row, medians, spent};
use super::workplace::Workplace;

/// Modules of the standard library and of the installation, heavy and light.
const MODULES: &[&str] = &[
    "argparse",
    "asyncio",
    "csv",
    "ctypes",
    "dataclasses",
    "decimal",
    "email",
    "fractions",
    "gzip",
    "html",
    "http.server",
    "inspect",
    "json",
    "logging",
    "multiprocessing",
    "numpy",
    "numpy.fft",
    "numpy.linalg",
    "numpy.random",
    "pandas",
    "pandas.plotting",
    "pathlib",
    "pickle",
    "PIL",
    "PIL.Image",
    "pprint",
    "sqlite3",
    "ssl",
    "statistics",
    "tarfile",
    "traceback",
    "unittest",
    "urllib.request",
    "uuid",
    "zipfile",
    "dateutil",
    "matplotlib",
    "matplotlib.pyplot",
    "matplotlib.ticker",
    "nbclient",
];

/// The other side is not told apart by module: one that breaks hides the rest.
pub fn measure(workplace: &Workplace, rounds: usize) -> Vec<Row> {
    let words = ["test-imports", "base"]
        .iter()
        .chain(MODULES)
        .copied()
        .collect::<Vec<_>>();
    let program = format!("import {}", MODULES.join(", "));
    let ours = &mut || spent(|| run(&mut workplace.floe(&words)));
    let theirs = &mut || spent(|| run(workplace.command("python").args(["-c", &program])));
    let [[ours, _], [theirs, _]] = medians(rounds, [ours, theirs]);
    vec![Row::new(
        format!("{} imports, each isolated, 2 at a time", MODULES.len()),
        ours,
        ("one process, not isolated", theirs),
        Some(Bar::Times(2.0)),
    )]
}
