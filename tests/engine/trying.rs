//! Packages that are tried in a throw-away image, and a mission that is edited while its tests are watched.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::workshop::{Workshop, docker};

fn mission(name: &str) -> Workshop {
    let repository = Workshop::new();
    let environment = format!("missions/{name}/environments/small");
    repository.write(&format!("{environment}/small.pip"), "iniconfig\n");
    repository.write(&format!("{environment}/tests/imports"), "iniconfig\n");
    repository.write("setup-env", &format!("export TEST_SERVER=0\nexport MISSION={name}\n"));
    repository
}

#[test]
fn a_package_is_tried_without_a_trace_and_kept_only_if_the_tests_pass() {
    let repository = mission("trying");
    let environment = "missions/trying/environments/small";
    repository.write(&format!("{environment}/tests/imports"), "iniconfig\ntoolz\n");
    repository.floe(&["freeze"]).expect(3);
    // The image is built first, and lacks what the tests need.
    repository.floe(&["test", "--use-frozen", "0"]).expect(100);
    let spec = fs::read_to_string(repository.path().join(format!("{environment}/small.pip")));
    repository
        .floe(&["try", "small", "toolz==1.0.0", "--use-frozen", "0"])
        .expect(0)
        .says(&[
            "small::imports::toolz",
            "next: `floe add small 'toolz==1.0.0'` keeps it",
        ]);
    repository
        .floe(&["try", "small", "six", "--use-frozen", "0"])
        .expect(100);
    repository
        .floe(&["try", "small", "nosuchthing-of-anybody", "--use-frozen", "0"])
        .expect(101);
    let left = docker(&["images", "--quiet", "--filter", "label=org.floe.try"]);
    assert_eq!(left, "", "an image of an attempt stays");
    assert_eq!(
        fs::read_to_string(repository.path().join(format!("{environment}/small.pip"))).ok(),
        spec.ok()
    );
    // Attempts tell nothing of the mission's own tests.
    repository
        .floe(&["test", "--use-frozen", "0", "--last-failed", "--list"])
        .expect(0)
        .prints(&["small::imports::toolz"]);
}

#[test]
fn an_edit_is_tested_while_somebody_watches() {
    let repository = mission("watched");
    let imports = "missions/watched/environments/small/tests/imports";
    let mut child = repository
        .command(&["test", "--watch", "--use-frozen", "0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (sender, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut buffer) {
            let _ = sender.send(String::from_utf8_lossy(&buffer[..count]).into_owned());
        }
    });
    let mut text = String::new();
    let mut wait_for = |wanted: &str| {
        let until = Instant::now() + Duration::from_mins(5);
        while !text.contains(wanted) {
            let left = until.saturating_duration_since(Instant::now());
            text += &said
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("{wanted:?} is not in:\n{text}"));
        }
        text.clear();
    };
    wait_for("waiting for edits");
    repository.write(imports, "iniconfig\nnosuchmodule\n");
    wait_for("tests/imports was edited");
    wait_for("waiting for edits");
    repository.write(imports, "iniconfig\n");
    wait_for("PASSED");
    wait_for("waiting for edits");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
