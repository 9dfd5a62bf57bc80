//! Test runs on the real engine: parts, limits, retries, interrupts, faults, and what they are evidence of.

mod added;
mod ends;
mod faults;
mod trust;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use floe::event::{CauseKind, Event, Record, RunStarted};
use floe::run::log;
use floe::run::outcome::Outcome;
use world::notebook;

use crate::workshop::Workshop;

/// A repository with a mission of this name: an environment `small` with imports, and a script that does more than to
/// start its tests.
fn mission(name: &str) -> Workshop {
    let repository = Workshop::new();
    let environment = format!("missions/{name}/environments/small");
    repository.write(&format!("{environment}/small.pip"), "iniconfig\n");
    repository.write(&format!("{environment}/tests/imports"), "iniconfig\njson\ncsv\n");
    let script = "#! /bin/bash\nset -eu\n/opt/common-scripts/test-environments\ntest \"$(whoami)\" = jovyan\n";
    repository.write(&format!("missions/{name}/environments/test"), script);
    // The tests of the image's server are not what these runs are about.
    repository.write("setup-env", "export TEST_SERVER=0\n");
    repository
}

/// Adds a notebook to the tests of the mission's environment.
fn add(repository: &Workshop, mission: &str, name: &str, source: &str) {
    let path = format!("missions/{mission}/environments/small/tests/{name}");
    repository.write(&path, &notebook(&[source]));
}

/// The logs of all runs, the oldest first.
fn logs(repository: &Workshop) -> Vec<Vec<Record>> {
    let logs = runs(repository).into_iter().map(|run| run.join("events.jsonl"));
    let mut logs = logs.map(|log| log::read(&log).unwrap()).collect::<Vec<_>>();
    logs.sort_by_key(|log| log[0].at);
    logs
}

fn last(repository: &Workshop) -> Outcome {
    Outcome::of(&logs(repository).pop().unwrap())
}

fn begun(log: &[Record]) -> &RunStarted {
    match &log[0].event {
        Event::RunStarted(begun) => begun,
        other => panic!("a log begins with {other:?}"),
    }
}

fn failures(outcome: &Outcome) -> Vec<(String, CauseKind)> {
    let failures = outcome.failures();
    failures
        .map(|(test, cause)| (test.id.to_string(), cause.kind))
        .collect()
}

/// A call of floe that runs until it is interrupted, once a test of this kind has begun.
fn running(repository: &Workshop, arguments: &[&str], kind: &str) -> Child {
    started(repository, repository.command(arguments), kind)
}

/// The same with a command that was prepared for this repository.
fn started(repository: &Workshop, mut command: Command, kind: &str) -> Child {
    let earlier = runs(repository);
    let child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    let begun = |run: &PathBuf| {
        let log = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
        log.lines()
            .any(|line| line.contains(kind) && line.contains("test-started"))
    };
    while !runs(repository).difference(&earlier).any(begun) {
        assert!(Instant::now() < deadline, "no {kind} began");
        sleep(Duration::from_millis(50));
    }
    child
}

/// The directories of all runs.
fn runs(repository: &Workshop) -> BTreeSet<PathBuf> {
    let runs = fs::read_dir(repository.path().join(".floe/runs"));
    runs.into_iter().flatten().flatten().map(|run| run.path()).collect()
}

fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}
