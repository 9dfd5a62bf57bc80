//! A test run by this floe beside the same by an earlier one, each in an image of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use world::{Repository, run};

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
    let sides = [Side::new(None), Side::new(Some(before))];
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

/// A floe, and a repository that it works on.
struct Side {
    repository: Repository,
    /// An earlier program.
    program: Option<PathBuf>,
}

impl Side {
    const MISSION: &str = "bench-run";

    fn new(before: Option<&Path>) -> Self {
        let repository = Repository::with_engine();
        let program = before.map(|before| {
            let common = repository.path().join("common");
            fs::remove_dir_all(&common).unwrap();
            run(Command::new("cp").arg("-a").arg(before.join("common")).arg(&common));
            fs::canonicalize(before.join("floe")).unwrap()
        });
        Self { repository, program }
    }

    /// Makes an image with so many notebooks of one cell, in place of another suite's.
    fn build(&self, count: usize, cell: &str) {
        self.forget();
        let environment = format!("missions/{}/environments/bench", Self::MISSION);
        let tests = self.repository.path().join(&environment).join("tests");
        let _ = fs::remove_dir_all(tests);
        self.repository
            .write(&format!("{environment}/bench.pip"), "# nothing of its own\n");
        let cell = json!({
            "cell_type": "code", "metadata": {}, "source": cell, "outputs": [], "execution_count": null,
        });
        let notebook = json!({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}).to_string();
        for number in 0..count {
            self.repository
                .write(&format!("{environment}/tests/n{number}.ipynb"), &notebook);
        }
        run(&mut self.command(&["build", Self::MISSION]));
    }

    fn test(&self) -> Duration {
        let mut words = vec!["test", Self::MISSION, "--kind", "notebooks"];
        if self.program.is_none() {
            // The earlier ones do not carry results.
            words.push("--all-tests");
        }
        time(self.command(&words).env("TEST_JOBS", "2"))
    }

    /// Removes the image, if there is one.
    fn forget(&self) {
        let image = self.command(&["image", Self::MISSION]).output();
        let image = image.map(|told| String::from_utf8_lossy(&told.stdout).into_owned());
        if let Some(image) = image.unwrap_or_default().split_whitespace().next() {
            let _ = Command::new("docker").args(["rmi", "--force", image]).output();
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let own = self.repository.command(words);
        let Some(program) = &self.program else {
            return own;
        };
        let mut command = Command::new(program);
        command.args(words).current_dir(self.repository.path());
        command.stdin(Stdio::null()).env_clear();
        command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.forget();
    }
}
