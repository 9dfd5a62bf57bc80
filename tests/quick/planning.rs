//! What `floe plan` prints, where no engine answers: in continuous integration, before any job has begun.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use world::Repository;

/// A repository of two missions whose state is committed.
fn committed() -> Repository {
    let repository = Repository::new();
    for name in ["one", "two"] {
        repository.write(&format!("missions/{name}/environments/{name}/{name}.pip"), "six\n");
        repository.write(&format!("missions/{name}/environments/{name}/tests/imports"), "six\n");
    }
    repository.write("missions/one/.dockerignore", "notes/\n");
    repository.write(".gitignore", ".floe/\n");
    world::committed(repository.path(), &["."]);
    repository
}

/// The missions that changes since the last commit touch.
fn touched(repository: &Repository) -> Value {
    let matrix = repository.floe(&["plan", "--since", "HEAD", "--format", "github-matrix"]);
    let matrix: Value = serde_json::from_str(&matrix.expect(0).stdout).unwrap();
    matrix["include"].clone()
}

#[test]
fn a_change_touches_its_mission_one_of_common_all_and_what_no_image_reads_none() {
    let repository = committed();
    assert_eq!(touched(&repository), json!([]));
    repository.write("README.md", "changed");
    repository.write("missions/one/notes/a.txt", "changed");
    repository.write("missions/one/environments/one/one-frozen.yml", "name: one\n");
    assert_eq!(touched(&repository), json!([]));
    repository.write("missions/one/.dockerignore", "notes/\nmore/\n");
    assert_eq!(touched(&repository), json!([{"mission": "one"}]));
    repository.write("missions/one/.dockerignore", "notes/\n");
    repository.write("missions/two/environments/two/two.pip", "six>1\n");
    assert_eq!(touched(&repository), json!([{"mission": "two"}]));
    repository.write("common/Dockerfile.trailer", "USER jovyan\n");
    assert_eq!(touched(&repository), json!([{"mission": "one"}, {"mission": "two"}]));
}

#[test]
fn a_plan_is_told_to_people_and_to_programs() {
    let repository = committed();
    repository.write("missions/two/environments/two/two.pip", "six>1\n");
    let text = repository.floe(&["plan", "--since", "HEAD"]).expect(0);
    let text = text.says(&["whether images are there is not known"]).stdout;
    for part in [
        "touched by",
        "missions/two/environments/two/two.pip",
        "1 mission is not touched since HEAD.",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let json = repository.floe(&["plan", "--format", "json"]).expect(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let two = &json["missions"][1];
    assert_eq!(
        (&two["mission"], &two["image"]["state"]),
        (&json!("two"), &json!("stale"))
    );
    assert_eq!(two["environments"][0]["reason"], "not built before");
    let gitlab = repository
        .floe(&["plan", "--since", "HEAD", "--format", "gitlab"])
        .expect(0)
        .stdout;
    let gitlab: Value = serde_yaml::from_str(&gitlab).unwrap();
    assert_eq!(gitlab, json!({"floe two": {"script": ["scripts/image-all two"]}}));
}

#[test]
fn a_commit_that_is_not_there_is_refused() {
    let refused = committed().floe(&["plan", "--since", "nowhere"]).expect(3);
    refused.says(&["there is no commit \"nowhere\"", "that this clone has"]);
}

#[test]
fn what_floe_remembers_of_files_gives_way_to_any_change_and_to_damage() {
    let repository = committed();
    let plan = || repository.floe(&["plan", "--format", "json"]).expect(0).stdout;
    // Nothing is remembered of a file that was written a moment before.
    std::thread::sleep(Duration::from_millis(2100));
    let first = plan();
    let memo = repository.path().join(".floe/memo");
    let kept = || {
        let entries = fs::read_dir(&memo).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    assert_eq!(kept().len(), 5, "common, and for two missions the plan and the tests");
    assert_eq!(plan(), first);
    for file in kept() {
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("six", "sax")).unwrap();
    }
    assert_eq!(plan(), first);
    assert!(first.contains("\"6 tests\""), "{first}");
    repository.write("missions/one/environments/one/tests/imports", "six\nsys\n");
    assert!(plan().contains("\"7 tests\""));
    repository.write("missions/two/environments/two/new.txt", "six\n");
    assert_eq!(touched(&repository), json!([{"mission": "one"}, {"mission": "two"}]));
}
