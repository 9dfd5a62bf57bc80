//! Notebooks that packages of PyPI ship, and the verdict of nbclient on each: floe's is the same, or the list says why it
//! is not and ours is right.
//!
//! `notebooks.txt` names packages in brackets, and below each the notebooks of its source archive. What follows ` => ` on
//! a line is floe's verdict where it differs, and why.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use floe::event::wire::{Decoder, Piece};
use floe::event::{Event, Verdict};
use world::{run, venv};

const LIST: &str = include_str!("corpus/notebooks.txt");

/// What nbclient and the notebooks need.
const PACKAGES: [&str; 7] = [
    "nbclient==0.11.0",
    "ipykernel",
    "ipywidgets",
    "matplotlib",
    "numpy",
    "pandas",
    "unearth",
];

/// A notebook of the list.
struct Listed {
    package: &'static str,
    path: &'static str,
    /// Floe's verdict where it is not nbclient's, and why.
    differs: Option<(&'static str, &'static str)>,
}

fn listed() -> Vec<Listed> {
    let mut package = "";
    let mut all = Vec::new();
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            package = name;
            continue;
        }
        let (path, differs) = match line.split_once(" => ") {
            Some((path, rest)) => (path, rest.split_once(": ")),
            None => (line, None),
        };
        all.push(Listed { package, path, differs });
    }
    all
}

/// An installation with nbclient.
fn installation() -> PathBuf {
    venv("corpus", &PACKAGES)
}

/// Unpacks the source archive of a package below `directory`, from the index; returns the directory of its files.
fn fetch(venv: &Path, root: &Path, package: &str, directory: &Path) -> PathBuf {
    let archives = root.join("archives").join(package);
    if !archives.join("whole").exists() {
        fs::create_dir_all(&archives).unwrap();
        let mut unearth = Command::new(venv.join("bin/unearth"));
        run(unearth.args(["--no-binary", package, "--download"]).arg(&archives));
        fs::write(archives.join("whole"), "").unwrap();
    }
    let files = fs::read_dir(&archives).unwrap().flatten().map(|entry| entry.path());
    let archive = files
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".tar.gz"));
    run(Command::new("tar")
        .arg("--extract")
        .arg("--file")
        .arg(archive.unwrap())
        .arg("--directory")
        .arg(directory));
    let (name, version) = package.split_once("==").unwrap();
    directory.join(format!("{name}-{version}"))
}

/// The verdict of nbclient on each notebook, and its words where it failed.
fn of_nbclient(venv: &Path, notebooks: &[PathBuf]) -> BTreeMap<PathBuf, (bool, String)> {
    let mut child = Command::new(venv.join("bin/python"))
        .arg("-c")
        .arg(include_str!("corpus/nbclient.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for notebook in notebooks {
        writeln!(input, "{}", notebook.display()).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let verdicts = lines
        .lines()
        .map(|line| serde_json::from_str::<(PathBuf, bool, String)>(line).unwrap());
    verdicts.map(|(path, passed, words)| (path, (passed, words))).collect()
}

/// The verdict of floe on each notebook, and its message where it failed.
fn of_floe(venv: &Path, notebooks: &[PathBuf], directory: &Path) -> BTreeMap<PathBuf, (bool, String)> {
    let output = world::floe()
        .args(["applet", "test-notebooks", "--cell-timeout", "60", "base"])
        .args(notebooks)
        .env("CONDA_DIR", venv)
        .env("FLOE_EVENTS", "1")
        .current_dir(directory)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let mut decoder = Decoder::default();
    let pieces = decoder.feed(&output.stdout).into_iter().collect::<Vec<_>>();
    let records = pieces.into_iter().chain(decoder.finish());
    let finished = records.filter_map(|piece| match piece {
        Piece::Record(record) => match record.event {
            Event::TestFinished(test) => Some(test),
            _ => None,
        },
        Piece::Text(_) | Piece::Refused(_) => None,
    });
    finished
        .map(|test| {
            let verdict = match test.verdict {
                Verdict::Failed(cause) => (false, format!("{}: {}", cause.kind.label(), cause.message)),
                _ => (true, String::new()),
            };
            (PathBuf::from(test.id.name), verdict)
        })
        .collect()
}

mod long {
    #[test]
    #[ignore = "hundreds of notebooks, twice"]
    fn notebooks_that_people_ship_get_the_verdict_of_nbclient_or_a_better_one() {
        super::compare();
    }

    #[test]
    #[ignore = "needs packages of hundreds of megabytes"]
    fn a_forked_kernel_draws_and_shows_what_a_new_one_does() {
        super::draw();
    }
}

fn root() -> PathBuf {
    let root = world::scratch().join("corpus");
    fs::create_dir_all(&root).unwrap();
    root
}

/// Cells whose outputs do not differ from run to run, but in the IDs of widgets.
const SHOWING: &str = r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [
    {"cell_type": "code", "metadata": {}, "execution_count": null, "outputs": [], "source":
        "import matplotlib, numpy as np, pandas as pd\nfrom matplotlib import pyplot as plt\nmatplotlib.get_backend()"},
    {"cell_type": "code", "metadata": {}, "execution_count": null, "outputs": [], "source":
        "x = np.linspace(0, 7, 200)\nfig, ax = plt.subplots()\nax.plot(x, np.sin(x)); ax.set_title(r'$\\sin x$');"},
    {"cell_type": "code", "metadata": {}, "execution_count": null, "outputs": [], "source":
        "plt.hist(x, 9, edgecolor='k')"},
    {"cell_type": "code", "metadata": {}, "execution_count": null, "outputs": [], "source":
        "pd.DataFrame({'x': x, 'y': pd.date_range('2020', periods=200)}).describe()"},
    {"cell_type": "code", "metadata": {}, "execution_count": null, "outputs": [], "source":
        "import ipywidgets\nslider = ipywidgets.IntSlider(3)\ndisplay(slider)\nslider.observe(print, 'value')\nslider.value = 5"},
    {"cell_type": "code", "metadata": {}, "execution_count": null, "outputs": [], "source":
        "out = ipywidgets.Output()\nwith out: print('in the widget')\nout.outputs"}
]}"#;

/// The outputs of all cells of an executed notebook, without what differs from run to run.
fn outputs(notebook: &Path) -> String {
    fn forget(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                fields.insert("model_id".to_owned(), serde_json::Value::Null);
                fields.values_mut().for_each(forget);
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(forget),
            _ => {}
        }
    }
    let mut notebook: serde_json::Value = serde_json::from_slice(&fs::read(notebook).unwrap()).unwrap();
    forget(&mut notebook["cells"]);
    serde_json::to_string_pretty(&notebook["cells"]).unwrap()
}

fn draw() {
    let venv = installation();
    let directory = tempfile::tempdir().unwrap();
    let notebooks = ["a.ipynb", "b.ipynb"].map(|name| directory.path().join(name));
    for notebook in &notebooks {
        fs::write(notebook, SHOWING).unwrap();
    }
    let executed = |option: &[&str], name: &str| {
        let artifacts = directory.path().join(name);
        let mut command = world::floe();
        command
            .args(["applet", "test-notebooks"])
            .args(option)
            .args(["base", "a.ipynb", "b.ipynb"])
            .env("CONDA_DIR", &venv)
            .env("FLOE_ARTIFACTS", &artifacts)
            .current_dir(directory.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        outputs(&artifacts.join("notebooks/base/b.ipynb"))
    };
    let (cold, warm) = (executed(&["--cold"], "cold"), executed(&[], "warm"));
    assert!(cold.contains("image/png") && cold.contains("widget-view"), "{cold}");
    assert_eq!(warm, cold);
}

fn compare() {
    let root = root();
    let venv = installation();
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let listed = listed();
    assert!(listed.len() >= 100);
    // What a notebook writes beside itself must not be there for the other side.
    let find = |directory: &Path| {
        let mut packages = BTreeMap::new();
        let paths = listed.iter().map(|notebook| {
            let files = packages
                .entry(notebook.package)
                .or_insert_with(|| fetch(&venv, &root, notebook.package, directory));
            let path = files.join(notebook.path);
            assert!(path.is_file(), "{} holds no {}", notebook.package, notebook.path);
            path
        });
        paths.collect::<Vec<_>>()
    };
    let (their_paths, our_paths) = (find(theirs.path()), find(ours.path()));
    let nbclient = of_nbclient(&venv, &their_paths);
    let empty = tempfile::tempdir().unwrap();
    let floe = of_floe(&venv, &our_paths, empty.path());
    let mut wrong = Vec::new();
    for ((notebook, theirs), ours) in listed.iter().zip(&their_paths).zip(&our_paths) {
        let word = |passed: bool| if passed { "passed" } else { "failed" };
        let (their_verdict, their_words) = &nbclient[theirs];
        let (our_verdict, our_words) = &floe[ours];
        let agreed = match notebook.differs {
            None => their_verdict == our_verdict,
            Some((ours, _)) => their_verdict != our_verdict && ours == word(*our_verdict),
        };
        if !agreed {
            wrong.push(format!(
                "{} {}\n  nbclient: {} {their_words}\n  floe: {} {our_words}",
                notebook.package,
                notebook.path,
                word(*their_verdict),
                word(*our_verdict),
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        listed.len(),
        wrong.join("\n")
    );
}
