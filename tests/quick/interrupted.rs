//! Calls that are interrupted while they solve.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use world::{Repository, person, run};

/// A repository with an environment, and a solver that says when it begins and does not end by itself.
fn repository() -> Repository {
    let repository = Repository::new();
    repository.write("missions/m/environments/x/x.pip", "six\n");
    repository.write(
        "common/common-env/base-frozen.yml",
        "name: base\ndependencies:\n  - python=3.11.2\n  - pip:\n    - based==1.0\n",
    );
    // It belongs to the frozen spec that this one takes the place of.
    fs::remove_file(repository.path().join("common/common-env/base-frozen.lock")).unwrap();
    let solver = repository.write(
        "bin/test",
        "#! /bin/sh\necho $$ >\"$(dirname $0)/../began\"\nexec sleep 100\n",
    );
    fs::rename(&solver, solver.with_file_name("uv")).unwrap();
    repository
}

fn call(repository: &Repository, words: &[&str]) -> Command {
    let mut call = repository.command(words);
    let path = std::env::var("PATH").unwrap();
    call.env("PATH", format!("{}/bin:{path}", repository.path().display()));
    call
}

/// The files of the environment.
fn files(repository: &Repository) -> Vec<String> {
    let directory = repository.path().join("missions/m/environments/x");
    let entries = fs::read_dir(directory).unwrap();
    let mut names = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect::<Vec<_>>();
    names.sort();
    names
}

/// Waits for the solver to begin. Returns its process.
fn began(repository: &Repository) -> String {
    let file = repository.path().join("began");
    let begun = Instant::now();
    loop {
        let pid = fs::read_to_string(&file).unwrap_or_default();
        if pid.ends_with('\n') {
            fs::remove_file(&file).unwrap();
            return pid.trim().to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "no solver was started");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_interrupts_a_call_that_solves_ends_it_and_its_solver_and_leaves_the_specs_alone() {
    let repository = repository();
    for (words, signal, code) in [
        (&["add", "x", "tabulate"][..], "-INT", 130),
        (&["remove", "x", "six"], "-TERM", 143),
        (&["lock", "m"], "-INT", 130),
    ] {
        let mut child = call(&repository, words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let solver = began(&repository);
        run(Command::new("kill").args([signal, &child.id().to_string()]));
        let begun = Instant::now();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{words:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{words:?}");
        assert!(
            !Path::new("/proc").join(solver).exists(),
            "{words:?}: its solver goes on"
        );
        assert_eq!(files(&repository), ["x.pip"], "{words:?}");
    }
    let spec = fs::read_to_string(repository.path().join("missions/m/environments/x/x.pip")).unwrap();
    assert_eq!(spec, "six\n");
}

#[test]
fn ctrl_c_ends_solver_and_call_alike_and_is_no_failure_of_either() {
    let repository = repository();
    let call = call(&repository, &["lock", "m"]);
    let root = repository.path().display().to_string();
    let steps = r#"[{"file": "ROOT/began"}, {"type": "\u0003"}]"#.replace("ROOT", &root);
    let shown = run(&mut person(&steps, &call));
    assert!(
        shown.ends_with("ended with 130\n") && !shown.contains("error"),
        "{shown}"
    );
    assert_eq!(files(&repository), ["x.pip"]);
}
