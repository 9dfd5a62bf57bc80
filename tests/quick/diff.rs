//! `floe diff`, as a person calls it.

use std::fs;
use std::path::Path;
use std::process::Output;

use world::{committed, git};

const OLD: &str = "dependencies:\n  - numpy=1.26.4=py311_0\n  - pip:\n      - six==1.16.0\n";
const NEW: &str = "dependencies:\n  - numpy=2.1.0=py311_0\n  - pip:\n      - six==1.16.0\n";

fn floe(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = world::floe();
    command.args(arguments).current_dir(directory).output().unwrap()
}

fn prints(directory: &Path, arguments: &[&str]) -> String {
    let output = floe(directory, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn fails(directory: &Path, arguments: &[&str]) -> (i32, String) {
    let output = floe(directory, arguments);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A repository with one commit, whose frozen specs have changed since.
fn repository() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let environments = root.path().join("missions/m/environments");
    fs::create_dir_all(root.path().join("common")).unwrap();
    for name in ["a", "b"] {
        fs::create_dir_all(environments.join(name)).unwrap();
        fs::write(environments.join(name).join(format!("{name}-frozen.yml")), OLD).unwrap();
    }
    committed(root.path(), &["."]);
    git(root.path(), &["tag", "v1"]);
    fs::write(environments.join("a/a-frozen.yml"), NEW).unwrap();
    root
}

#[test]
fn two_files_are_compared_without_a_repository() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("old.yml"), OLD).unwrap();
    fs::write(dir.path().join("new.yml"), NEW).unwrap();
    assert_eq!(
        prints(dir.path(), &["diff", "old.yml", "new.yml"]),
        "up  numpy  conda  1.26.4 → 2.1.0\n1 up\n"
    );
    assert_eq!(prints(dir.path(), &["diff", "old.yml", "old.yml"]), "no difference\n");
    let json = prints(dir.path(), &["diff", "new.yml", "old.yml", "--format", "json"]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["summary"]["down"],
        1
    );
    assert!(prints(dir.path(), &["diff", "old.yml", "new.yml", "--format", "markdown"]).starts_with("| package |"));
}

#[test]
fn a_commit_is_compared_with_the_files_as_they_are() {
    let root = repository();
    let path = "missions/m/environments/a/a-frozen.yml";
    for arguments in [
        ["diff", "v1", "--mission", "m", "--env", "a"].as_slice(),
        &["diff", &format!("v1:{path}")],
        &["diff", &format!("HEAD:{path}"), path],
    ] {
        assert!(prints(root.path(), arguments).starts_with("up  numpy"), "{arguments:?}");
    }
    let same = ["diff", "v1", "HEAD", "--mission", "m", "--env", "a"];
    assert_eq!(prints(root.path(), &same), "no difference\n");
}

#[test]
fn what_cannot_be_compared_is_named() {
    let root = repository();
    let (code, said) = fails(root.path(), &["diff", "v1", "--mission", "m"]);
    assert_eq!(code, 2);
    assert!(
        said.contains("several environments") && said.contains("--env: a, b"),
        "{said}"
    );
    let (code, said) = fails(root.path(), &["diff", "v1:no/such.yml"]);
    assert_eq!(code, 3);
    assert!(said.contains("holds no no/such.yml"), "{said}");
    let (code, said) = fails(root.path(), &["diff", "no-such.yml", "v1"]);
    assert_eq!(code, 3);
    assert!(said.contains("no-such.yml: No such file"), "{said}");
    fs::write(root.path().join("floating.yml"), "dependencies:\n- numpy\n").unwrap();
    let (code, said) = fails(root.path(), &["diff", "floating.yml", "floating.yml"]);
    assert_eq!(code, 3);
    assert!(said.contains("floating.yml:2: `numpy` is not frozen"), "{said}");
}
