//! A test run by this floe beside the same by an earlier one, each in an image of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use world::run;

use super::measure::side::Side;
use super::measure::{Bar, Row, medians, time};

/// What may be added to a run.
const MOST: Bar = Bar::Times(1.03);

/// What the notebooks are, how many, and the cell of each.
const SUITES: [(&str, usize, &str); 2] = [
    (
        "compute for a second",
        8,
        "print(sum(i * i % 7 for i in range(12_000_000)))",
    ),
    ("print one line", 40, "print(1)"),
];

/// Needs the engine. `before` holds an earlier floe: its program, `floe`, and its `common/`.
pub fn measure(before: &Path, rounds: usize) -> Vec<Row> {
    let sides = [None, Some(before)].map(|before| Suite(Side::new(before)));
    let rows = SUITES.map(|(what, count, cell)| {
        for side in &sides {
            side.build(count, cell);
        }
        let [now, then] = &sides;
        let [[now], [then]] = medians(rounds, [&mut || [now.test()], &mut || [then.test()]]);
        let what = format!("a run of {count} notebooks that {what}");
        Row::new(what, now, ("an earlier floe", then), Some(MOST))
    });
    rows.into()
}

/// A floe, and the mission whose tests it runs.
struct Suite(Side);

impl Suite {
    const MISSION: &str = "bench-run";

    /// Makes an image with so many notebooks of one cell, in place of another suite's.
    fn build(&self, count: usize, cell: &str) {
        self.forget();
        let environment = format!("missions/{}/environments/bench", Self::MISSION);
        let tests = self.0.repository.path().join(&environment).join("tests");
        let _ = fs::remove_dir_all(tests);
        self.0
            .repository
            .write(&format!("{environment}/bench.pip"), "# nothing of its own\n");
        let cell = json!({
            "cell_type": "code", "metadata": {}, "source": cell, "outputs": [], "execution_count": null,
        });
        let notebook = json!({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}).to_string();
        for number in 0..count {
            self.0
                .repository
                .write(&format!("{environment}/tests/n{number}.ipynb"), &notebook);
        }
        run(&mut self.0.command(&["build", Self::MISSION]));
    }

    fn test(&self) -> Duration {
        let mut words = vec!["test", Self::MISSION, "--kind", "notebooks"];
        if !self.0.is_earlier() {
            // The earlier ones do not carry results.
            words.push("--all-tests");
        }
        time(self.0.command(&words).env("TEST_JOBS", "2"))
    }

    /// Removes the image, if there is one.
    fn forget(&self) {
        let image = self.0.command(&["image", Self::MISSION]).output();
        let image = image.map(|told| String::from_utf8_lossy(&told.stdout).into_owned());
        if let Some(image) = image.unwrap_or_default().split_whitespace().next() {
            let _ = Command::new("docker").args(["rmi", "--force", image]).output();
        }
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        self.forget();
    }
}
