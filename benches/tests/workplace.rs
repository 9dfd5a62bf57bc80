//! An installation that outlives a run, with the packages of the notebooks and the programs that floe is measured
//! beside; and directories of tests, which do not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use world::run;

/// What floe is measured beside, and what the notebooks import.
const PACKAGES: &[&str] = &[
    "ipykernel",
    "matplotlib",
    "nbclient",
    "nbmake",
    "numpy",
    "pandas",
    "papermill",
    "pytest-xdist",
];

/// Where the measured programs work.
pub struct Workplace {
    root: PathBuf,
}

/// A directory of notebooks, which goes with its value.
pub struct Notebooks {
    directory: tempfile::TempDir,
    names: Vec<String>,
}

impl Workplace {
    /// Makes the installation, if it is not there yet.
    pub fn open() -> Self {
        let root = world::scratch().join("test-benchmark");
        let workplace = Self { root };
        let ready = workplace.root.join("ready");
        if !ready.exists() {
            fs::create_dir_all(&workplace.root).unwrap();
            run(Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(workplace.conda_dir()));
            let mut install = workplace.command("pip");
            run(install.args(["install", "--quiet", "--upgrade"]).args(PACKAGES));
            fs::write(ready, "").unwrap();
        }
        workplace
    }

    /// The base environment.
    pub fn conda_dir(&self) -> PathBuf {
        self.root.join("conda")
    }

    /// A program of the installation.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.conda_dir().join("bin").join(program));
        self.settle(&mut command);
        command
    }

    /// One of floe's programs for the inside of an image, with two tests at a time.
    pub fn floe(&self, words: &[&str]) -> Command {
        let mut command = world::floe();
        command.arg("applet").args(words).env("TEST_JOBS", "2");
        self.settle(&mut command);
        command
    }

    fn settle(&self, command: &mut Command) {
        let bin = self.conda_dir().join("bin");
        command
            .env("CONDA_DIR", self.conda_dir())
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("MPLCONFIGDIR", self.root.join("matplotlib"))
            .env("IPYTHONDIR", self.root.join("ipython"))
            .env_remove("VIRTUAL_ENV");
    }

    /// The measured programs with their versions.
    pub fn versions(&self) -> Vec<String> {
        let names = ["papermill", "nbclient", "nbmake", "pytest-xdist", "ipykernel"];
        let listed = run(self.command("pip").args(["list", "--format", "freeze"]));
        let version = |name: &&str| {
            let line = listed
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name}==")))?;
            Some(format!("{name} {line}"))
        };
        names.iter().filter_map(version).collect()
    }
}

impl Notebooks {
    /// `count` notebooks whose code cells are `cells`.
    pub fn new(count: usize, cells: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let names = (1..=count)
            .map(|number| format!("n{number:02}.ipynb"))
            .collect::<Vec<_>>();
        for name in &names {
            fs::write(directory.path().join(name), notebook(cells)).unwrap();
        }
        Self { directory, names }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The names of the files in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

fn notebook(cells: &[&str]) -> String {
    let cells = cells.iter().enumerate().map(|(index, source)| {
        json!({
            "cell_type": "code",
            "id": format!("cell-{index}"),
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": null,
        })
    });
    let kernel = json!({"name": "python3", "display_name": "Python 3", "language": "python"});
    json!({
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": cells.collect::<Vec<_>>(),
    })
    .to_string()
}
