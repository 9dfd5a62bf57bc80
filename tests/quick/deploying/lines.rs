//! Stages that are deployed by lines for the shell.

use world::Ended;

use super::place::{LINES, Place};

#[test]
fn a_stage_is_deployed_by_its_own_line_which_knows_the_image() {
    let place = Place::new(&[&format!("name: staging, {LINES}")]);
    place
        .floe(&["deploy", "hub", "staging"])
        .expect(0)
        .says(&["deploying hub staging", "floe check hub staging"]);
    assert_eq!(place.live(), Some(place.image()));
    let plan = place.floe(&["deploy", "hub", "staging", "--plan"]).expect(0);
    assert_eq!(plan.stdout, format!("would deploy {}\n", place.image()));
}

#[test]
fn a_plan_changes_nothing_and_tells_what_would_refuse() {
    let place = Place::new(&[&format!("name: staging, {LINES}")]);
    place.names("staging", &format!("sha256:{}", "0".repeat(64)));
    place.commit();
    place
        .floe(&["deploy", "hub", "staging", "--plan"])
        .expect(0)
        .says(&["would refuse", "is not in its registry"]);
    assert_eq!(place.live(), None);
}

#[test]
fn what_a_line_prints_is_shown_without_what_is_hidden() {
    let stage =
        "name: staging, driver: {command: {apply: 'echo the word is $DB_PASSWORD; echo $DB_PASSWORD >&2; exit 3'}}";
    let place = Place::new(&[stage]);
    let mut command = place.repository.command(&["deploy", "hub", "staging"]);
    command.env("DB_PASSWORD", "hunter2-hunter2");
    let ended = Ended::of(command.output().unwrap())
        .expect(101)
        .says(&["the word is ***", "apply: *** (exit code 3)"]);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_failure_is_sorted_and_its_cause_named() {
    for (apply, code, says) in [
        (
            "echo dial tcp: connect: connection refused >&2; exit 1",
            75,
            "connection refused",
        ),
        ("cp nope there", 101, "nope"),
        ("nosuchprogram", 101, "put it on PATH"),
    ] {
        let place = Place::new(&[&format!("name: staging, driver: {{command: {{apply: '{apply}'}}}}")]);
        place.floe(&["deploy", "hub", "staging"]).expect(code).says(&[says]);
    }
}

#[test]
fn what_is_destroyed_has_its_name_typed_and_is_not_protected() {
    let place = Place::new(&[
        &format!("name: staging, {LINES}"),
        &format!("name: prod, protected: true, {LINES}"),
    ]);
    place.write("live", "x");
    place
        .floe(&["destroy", "hub", "staging"])
        .expect(102)
        .says(&["was not typed", "--confirm staging"]);
    let wrong = place.floe(&["destroy", "hub", "staging", "--confirm", "prod"]);
    wrong.expect(102).says(&["\"prod\" was typed"]);
    let prod = place.floe(&["destroy", "hub", "prod", "--confirm", "prod"]);
    prod.expect(102).says(&["prod is protected"]);
    assert!(place.live().is_some());
    place
        .floe(&["destroy", "hub", "staging", "--confirm", "staging"])
        .expect(0);
    assert_eq!(place.live(), None);
}

#[test]
fn a_stage_that_its_driver_cannot_destroy_says_so() {
    let place = Place::new(&["name: staging"]);
    place
        .floe(&["destroy", "hub", "staging", "--confirm", "staging"])
        .expect(102)
        .says(&["its driver is git"]);
}

#[test]
fn what_a_reconciler_deploys_must_be_pushed_and_is_waited_for() {
    let place = Place::new(&["name: staging, driver: {git: {status: cat live}}"]);
    place
        .floe(&["deploy", "hub", "staging"])
        .expect(102)
        .says(&["origin does not have main", "git push origin main"]);
    let remote = place.path().join("tf/remote");
    world::run(
        std::process::Command::new("git")
            .args(["init", "-q", "--bare"])
            .arg(&remote),
    );
    place.git(&["remote", "add", "origin", &remote.to_string_lossy()]);
    place.git(&["push", "-q", "origin", "main"]);
    place.write("live", "hub/one:0\n");
    place
        .floe(&["deploy", "hub", "staging", "--timeout", "1s"])
        .expect(75)
        .says(&["waiting for the roll-out: it runs hub/one:0"]);
    place.write("live", &place.image());
    place
        .floe(&["deploy", "hub", "staging"])
        .expect(0)
        .says(&["floe changed nothing"]);
}
