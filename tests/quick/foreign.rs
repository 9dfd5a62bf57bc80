//! A repository may be somebody else's: what a pull request from a fork can hold, and what becomes of it.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use world::{Ended, Repository};

/// A repository whose mission has this template.
fn template(text: &str) -> Repository {
    let repository = Repository::new();
    repository.write("missions/m/Dockerfile.custom.tera", text);
    repository
}

/// Composes the mission `m`, which must not take long whatever it holds.
fn compose(repository: &Repository) -> Ended {
    let began = Instant::now();
    let mut command = repository.command(&["compose", "m"]);
    let ended = Ended::of(command.env("HIDDEN_FROM_TEMPLATES", "visible").output().unwrap());
    assert!(began.elapsed() < Duration::from_secs(30), "{ended:?}");
    ended
}

#[test]
fn a_template_is_rendered_from_the_mission_alone() {
    let composed = compose(&template("FROM ${BASE_IMAGE}\n# {{ mission }} {{ 1 + 1 }}\n"));
    assert!(composed.expect(0).stdout.contains("# m 2\n"));
    for call in ["get_env(name='HIDDEN_FROM_TEMPLATES')", "now()", "get_random(end=9)"] {
        let refused = compose(&template(&format!("FROM x\nRUN {{{{ {call} }}}}\n")));
        let refused = refused
            .expect(3)
            .says(&["missions/m/Dockerfile.custom.tera:2: ", "sees nothing of the host"]);
        assert!(!refused.stderr.contains("visible"));
    }
}

#[test]
fn the_work_of_a_template_is_bounded() {
    let endless = [
        "{% for i in range(end=1000000000) %}x{% endfor %}",
        "{% for i in range(end=100000) %}{% for j in range(end=100000) %}{% endfor %}{% endfor %}",
        "{% set x = 'xxxxxxxx' %}{% for i in range(end=64) %}{% set_global x = x ~ x %}{% endfor %}{{ x }}",
        "{% macro f(n) %}{{ self::f(n=n) }}{% endmacro %}{{ self::f(n=1) }}",
        "{% for i in range(end=10000000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}",
    ];
    for text in endless {
        let refused = compose(&template(text));
        refused.expect(3).says(&["missions/m/Dockerfile.custom.tera: "]);
    }
}

#[test]
fn links_out_of_a_mission_are_refused_before_anything_is_read() {
    let repository = Repository::new();
    repository.write("missions/m/environments/e/e.pip", "six\n");
    repository.write("missions/m/environments/e/tests/keep", "");
    symlink(
        "/etc/passwd",
        repository.path().join("missions/m/environments/e/tests/imports"),
    )
    .unwrap();
    for arguments in [&["compose", "m"][..], &["test", "m", "--list"], &["build", "m"]] {
        let refused = repository.floe(arguments);
        let refused = refused
            .expect(3)
            .says(&["missions/m/environments/e/tests/imports is a link to /etc/passwd"]);
        assert!(!refused.stderr.contains("root:"), "{}", refused.stderr);
    }
}

#[test]
fn a_pipe_and_a_device_are_not_waited_for() {
    for (kind, place) in [("p", "missions/m/environments/e/tests/imports"), ("p", "setup-env")] {
        let repository = Repository::new();
        repository.write("missions/m/environments/e/e.pip", "six\n");
        repository.write("missions/m/environments/e/tests/keep", "");
        let made = Command::new("mknod")
            .arg(repository.path().join(place))
            .arg(kind)
            .status();
        assert!(made.unwrap().success());
        listed(&repository).expect(3).says(&[place]);
    }
}

/// Lists the tests of the mission `m`, which must not take long whatever its definitions are.
fn listed(repository: &Repository) -> Ended {
    let mut command = repository.command(&["test", "m", "--list"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("it is waited for");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ended::of(child.wait_with_output().unwrap())
}
