//! The same suite in a container: started from the host with all that comes with a run, and by the program inside alone.

use std::fmt::Write as _;
use std::process::Command;

use world::{Repository, run};

use super::measure::{Row, medians, spent};

/// Needs the engine, and a minute or two for the image.
pub fn measure(rounds: usize) -> Vec<Row> {
    let repository = Repository::with_engine();
    let environment = "missions/bench-suite/environments/bench";
    repository.write(&format!("{environment}/bench.pip"), "# nothing of its own\n");
    let mut imports = String::new();
    for module in [
        "json", "csv", "ssl", "sqlite3", "asyncio", "email", "logging", "decimal",
    ] {
        let _ = writeln!(imports, "{module}");
    }
    repository.write(&format!("{environment}/tests/imports"), &imports);
    let cell = r#"{"cell_type": "code", "metadata": {}, "source": "print(1)", "outputs": [], "execution_count": null}"#;
    let notebook = format!(r#"{{"nbformat": 4, "nbformat_minor": 4, "metadata": {{}}, "cells": [{cell}]}}"#);
    for number in 0..8 {
        repository.write(&format!("{environment}/tests/n{number}.ipynb"), &notebook);
    }
    repository.floe(&["build", "bench-suite"]).expect(0);
    let image = repository.floe(&["image", "bench-suite"]).expect(0).stdout;
    let image = image.split_whitespace().next().unwrap().to_owned();
    // The server of an image is tested from the host alone.
    let same = &["test", "bench-suite", "--kind", "imports", "--kind", "notebooks"];
    let host = &mut || spent(|| repository.floe(same).expect(0));
    let inside = &mut || {
        let mut command = Command::new("docker");
        command.args(["run", "--rm", &image, "/opt/common-scripts/test-environments"]);
        spent(|| run(&mut command))
    };
    let [[host, _], [inside, _]] = medians(rounds, [host, inside]);
    run(Command::new("docker").args(["rmi", "--force", &image]));
    vec![Row::new(
        "floe test of an image, 16 tests",
        host,
        ("docker run … test-environments", inside),
        None,
    )]
}
