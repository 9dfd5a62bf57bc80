//! Processes that are killed on the way.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use world::channel::server::Fault;

use super::site::{DONE, Form, INVALID, Site};

/// Starts a program and kills it as soon as `now` holds.
#[track_caller]
fn kill_when(command: &mut Command, now: impl Fn() -> bool) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while !now() {
        assert!(Instant::now() < deadline, "the moment to kill it never came");
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended before the moment to kill it: {ended:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    kill(&mut child);
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success(), "it ended before it was killed");
}

/// How many records of packages there are.
fn records(prefix: &Path) -> usize {
    let entries = std::fs::read_dir(prefix.join("conda-meta"));
    let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".json")).count()
}

#[test]
fn killed_while_packages_are_fetched() {
    for form in [Form::Floating, Form::Frozen] {
        let site = Site::new(form, &["python", "fixtool"]);
        site.server.fail("python-3.11", Fault::Hang);
        let asked = || {
            let requests = site.server.requests();
            requests.iter().any(|request| request.path.contains("python-3.11"))
        };
        kill_when(&mut site.command(&site.words()), asked);
        site.expect_none();
        site.server.heal();
        site.expect_repaired();
    }
}

#[test]
fn killed_while_packages_are_linked() {
    let site = Site::new(Form::Frozen, &["python", "numpy", "fixtool"]);
    let prefix = site.prefix();
    kill_when(&mut site.command(&site.words()), || records(&prefix) >= 2);
    assert!(prefix.join(".floe-incomplete").exists());
    site.expect_none();
    site.expect_repaired();
}

#[test]
fn killed_while_bytecode_is_compiled() {
    let site = Site::new(Form::Frozen, &["python", "fixtool"]);
    let prefix = site.prefix();
    let compiled = prefix.join("lib/python3.11/json/__pycache__");
    kill_when(&mut site.command(&site.words()), || compiled.exists());
    // It has a python that starts, and yet it is not complete.
    assert!(prefix.join("bin/python").exists());
    site.expect_none();
    site.expect_repaired();
}

#[test]
fn killed_while_an_environment_is_changed() {
    let site = Site::new(Form::Floating, &["python", "fixtool=0.1"]);
    site.expect_repaired();
    let before = records(&site.prefix());
    site.write("more.conda", "pandas\nmatplotlib\n");
    let update = ["env-update", "x", "more.conda"];
    let prefix = site.prefix();
    kill_when(&mut site.command(&update), || records(&prefix) > before);
    for words in [
        &["kernel-setup", "x"][..],
        &["env-export", "x"],
        &["env-clone", "x", "y"],
    ] {
        site.floe(words).expect(INVALID).says(&["env-update"]);
    }
    site.floe(&update).expect(DONE);
    site.expect_whole();
    site.floe(&["test-imports", "x", "pandas", "fixtool"]).expect(DONE);
}
