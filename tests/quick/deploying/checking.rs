//! `floe check`.

use serde_json::{Value, json};

use super::place::{LINES, Place, VERSION, hub};

/// What floe remembers of the check of `staging`.
fn remembered(place: &Place) -> Value {
    let hex = place.digest.trim_start_matches("sha256:");
    let path = place.path().join(format!(".floe/checks/hub/staging/{hex}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_stage_is_checked_by_its_hub_and_its_lines_and_that_is_remembered() {
    let url = hub("200 OK", VERSION);
    let test = "'test $FLOE_URL = \"$URL\" && echo $FLOE_IMAGE | grep -q $FLOE_DIGEST'";
    let test = test.replace("$URL", &url);
    let place = Place::new(&[&format!(
        "name: staging, check: {{url: '{url}', tests: [{test}]}}, {LINES}"
    )]);
    place.write("live", &place.image());
    place
        .floe(&["check", "hub", "staging"])
        .expect(0)
        .says(&["2 of 2 passed"]);
    let checked = remembered(&place);
    assert_eq!(checked["digest"], json!(place.digest));
    assert_eq!(checked["tests"][0], json!({"name": "hub", "failed": null}));
}

#[test]
fn a_test_that_fails_hangs_or_ends_hides_no_other() {
    let tests = "['echo what was wrong; exit 7', 'sleep 100', 'true']";
    let place = Place::new(&[&format!("name: staging, check: {{tests: {tests}}}, {LINES}")]);
    place.write("live", &place.image());
    place
        .floe(&["check", "hub", "staging", "--timeout", "1s"])
        .expect(100)
        .says(&[
            "what was wrong",
            "2 of 3 failed",
            "exit code 7: what was wrong",
            "passed: true",
        ]);
    let checked = remembered(&place);
    assert_eq!(checked["tests"][0]["failed"], "exit code 7: what was wrong");
    assert_eq!(checked["tests"][1]["failed"], "it did not end within 1 s");
    assert_eq!(checked["tests"][2]["failed"], Value::Null);
}

#[test]
fn an_image_is_not_checked_by_a_stage_that_runs_another() {
    let place = Place::new(&[&format!("name: staging, check: {{tests: ['true']}}, {LINES}")]);
    place.write("live", "hub/one:0\n");
    place
        .floe(&["check", "hub", "staging"])
        .expect(102)
        .says(&["runs hub/one:0", "floe wait hub staging"]);
    assert!(!place.path().join(".floe/checks").exists());
}

#[test]
fn a_hub_that_does_not_answer_is_a_failed_test_and_nothing_to_check_is_no_success() {
    let place = Place::new(&["name: staging, check: {url: 'http://127.0.0.1:9/'}", "name: prod"]);
    place
        .floe(&["check", "hub", "staging"])
        .expect(100)
        .says(&["1 of 1 failed", "refused"]);
    place.floe(&["check", "hub", "prod"]).expect(4).says(&["check: {url"]);
}

#[test]
fn what_one_machine_checked_another_one_promotes() {
    let place = Place::new(&["name: staging, check: {tests: ['true']}", "name: prod"]);
    place.names("prod", &place.registry.image("hub/one", "other"));
    place.commit();
    place
        .floe(&["promote", "hub", "prod"])
        .expect(102)
        .says(&["was not checked"]);
    place.floe(&["check", "hub", "staging"]).expect(0);
    // All that this machine remembers.
    std::fs::remove_dir_all(place.path().join(".floe")).unwrap();
    place.git(&["config", "user.name", "t"]);
    place.git(&["config", "user.email", "t@example.org"]);
    place.floe(&["promote", "hub", "prod"]).expect(0);
}

#[test]
fn imports_that_cannot_be_run_are_told_and_stay_open_in_the_pull_request() {
    let place = Place::new(&["name: staging, check: {tests: ['true']}", "name: prod"]);
    let stages = std::fs::read_to_string(place.path().join("deployments/hub/deployment.yml")).unwrap();
    place.write("deployments/hub/deployment.yml", &format!("mission: m\n{stages}"));
    place.names("prod", &place.registry.image("hub/one", "other"));
    place.commit();
    let check = ["check", "hub", "staging"];
    place
        .floe(&check)
        .expect(0)
        .says(&["not run: mission m is not in this repository", "1 of 1 passed"]);
    place.write("missions/m/environments/e/e.pip", "numpy\n");
    place.commit();
    place
        .floe(&check)
        .expect(0)
        .says(&["does not say which commit it was built from"]);
    let text = place.floe(&["promote", "hub", "prod", "--dry-run"]).expect(0).stdout;
    assert!(text.contains("- [ ] imports of what was added: not run: "), "{text}");
}
