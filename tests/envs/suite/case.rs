//! A directory of tests, run on an installation that is made once and kept between runs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use floe::event::{Cause, CauseKind, Event, Memory, Summary, TestFinished, Verdict};
use floe::kernel::spec::{JupyterDirectories, SearchPath};
use floe::process;
use floe::suite::discover;
use floe::suite::options::RunOptions;
use floe::suite::runner::{self, Options, Surroundings};
use serde_json::{Value, json};
use world::{notebook, venv_with};

/// The tests of one environment, `cal`, and how they are run.
pub struct Case {
    directory: tempfile::TempDir,
    pub options: Options,
}

/// What a run emitted.
pub struct Run {
    pub summary: Summary,
    pub events: Vec<Event>,
    artifacts: PathBuf,
}

impl Case {
    pub fn new() -> Self {
        Self::with("suite", &["ipykernel"])
    }

    /// The same with these packages, in an installation of this name.
    pub fn with(name: &str, packages: &[&str]) -> Self {
        let conda_dir = conda_dir(name, packages);
        let directory = tempfile::tempdir().unwrap();
        for name in ["environments/cal/tests", "modules", "scratch", "home", "artifacts"] {
            fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        let path = |name: &str| directory.path().join(name);
        let variables = [
            ("PATH", OsString::from("/usr/bin:/bin")),
            ("HOME", path("home").into()),
            ("PYTHONPATH", path("modules").into()),
        ];
        let surroundings = Surroundings {
            conda_dir: conda_dir.clone(),
            artifacts: path("artifacts"),
            scratch: path("scratch"),
            kernels: SearchPath::new(&JupyterDirectories {
                prefix: conda_dir,
                ..JupyterDirectories::default()
            }),
            variables: variables.map(|(name, value)| (name.into(), value)).into(),
            memory: None,
        };
        let two_at_a_time = RunOptions {
            jobs: NonZeroUsize::new(2),
            ..RunOptions::default()
        };
        let mut options = Options::new(&two_at_a_time, BTreeMap::new(), surroundings);
        options.settle = Duration::from_mins(1);
        Self { directory, options }
    }

    /// Writes a file of the environment's tests.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join("environments/cal/tests").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn script(&self, text: &str) {
        let path = self.file("test", text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Writes a module that tests can import.
    pub fn module(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join("modules").join(format!("{name}.py")), text).unwrap();
    }

    /// Writes a notebook of code cells.
    pub fn notebook(&self, name: &str, cells: &[&str]) {
        self.file(name, &notebook(cells));
    }

    /// Writes a notebook of cells in their full form.
    pub fn notebook_of(&self, name: &str, cells: &[Value]) {
        let notebook = json!({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells});
        self.file(name, &notebook.to_string());
    }

    pub async fn run(&self) -> Run {
        let plan = discover::load(&self.directory.path().join("environments")).unwrap();
        process::adopt_orphans().unwrap();
        let sink = Memory::default();
        let summary = runner::run(&plan, &self.options, &sink).await;
        Run {
            summary,
            events: sink.events(),
            artifacts: self.options.artifacts.clone(),
        }
    }

    /// The agent as a program: `floe applet NAME …` in this case's directory of tests, with this case's environment.
    pub fn agent(&self) -> Command {
        let mut command = world::floe();
        command
            .arg("applet")
            .envs(&self.options.variables)
            .env("CONDA_DIR", &self.options.conda_dir)
            .env("TMPDIR", &self.options.scratch)
            .current_dir(self.directory.path().join("environments/cal/tests"));
        command
    }

    /// Adds a kernel `cal` in place of the real one.
    pub fn kernel(&mut self, argv: &[&str]) {
        let directory = self.directory.path().join("jupyter");
        let kernel = directory.join("kernels/cal");
        fs::create_dir_all(&kernel).unwrap();
        fs::write(kernel.join("kernel.json"), json!({"argv": argv}).to_string()).unwrap();
        self.options.kernels.0.insert(0, directory);
    }

    /// Runs one notebook of code cells and returns its end.
    pub async fn one(cells: &[&str]) -> TestFinished {
        let case = Self::new();
        case.notebook("x.ipynb", cells);
        case.run().await.finished("cal::notebooks::x.ipynb").clone()
    }

    /// Whether nothing is left in the directory for temporary files.
    pub fn is_clean(&self) -> bool {
        fs::read_dir(&self.options.scratch).unwrap().next().is_none()
    }
}

impl Run {
    pub fn finished(&self, id: &str) -> &TestFinished {
        let mut found = self.events.iter().filter_map(|event| match event {
            Event::TestFinished(finished) if finished.id.to_string() == id => Some(finished),
            _ => None,
        });
        let first = found
            .next()
            .unwrap_or_else(|| panic!("{id} did not end: {:#?}", self.events));
        assert!(found.next().is_none(), "{id} ended twice");
        first
    }

    pub fn passed(&self, id: &str) -> bool {
        self.finished(id).verdict == Verdict::Passed
    }

    /// The executed notebook.
    pub fn notebook(&self, id: &str) -> Value {
        let path = self.finished(id).notebook.as_ref().unwrap();
        serde_json::from_slice(&fs::read(self.artifacts.join(path)).unwrap()).unwrap()
    }
}

/// A code cell.
pub fn code(source: &str) -> Value {
    tagged(source, &[])
}

/// A code cell with tags.
pub fn tagged(source: &str, tags: &[&str]) -> Value {
    json!({"cell_type": "code", "metadata": {"tags": tags}, "source": source, "outputs": [], "execution_count": null})
}

/// The cause of a failure of this kind.
#[track_caller]
pub fn cause(finished: &TestFinished, kind: CauseKind) -> &Cause {
    match &finished.verdict {
        Verdict::Failed(cause) if cause.kind == kind => cause,
        _ => panic!("expected {}: {finished:#?}", kind.label()),
    }
}

/// A virtual environment with ipykernel in place of `$CONDA_DIR`; its environment `cal` is itself.
fn conda_dir(name: &str, packages: &[&str]) -> PathBuf {
    venv_with(name, packages, |prefix| {
        fs::create_dir(prefix.join("envs")).unwrap();
        symlink("..", prefix.join("envs/cal")).unwrap();
        let kernel = prefix.join("share/jupyter/kernels/cal");
        fs::create_dir_all(&kernel).unwrap();
        let python = prefix.join("bin/python");
        let argv = json!([python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]);
        let spec = json!({"argv": argv, "display_name": "cal", "language": "python"});
        fs::write(kernel.join("kernel.json"), spec.to_string()).unwrap();
    })
}
