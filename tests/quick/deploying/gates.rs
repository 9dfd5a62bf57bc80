//! What keeps a stage from being deployed: each gate by its reason and its way out.

use super::place::{LINES, Place};

/// A deployment that is refused, and did nothing.
#[track_caller]
fn refused(place: &Place, stage: &str, says: &[&str]) {
    place.floe(&["deploy", "hub", stage]).expect(102).says(says);
    assert_eq!(place.live(), None);
}

#[test]
fn another_account_is_told_from_one_that_is_not_known() {
    let place = Place::new(&[&format!(
        "name: staging, identity: {{command: cat account, prints: '123'}}, {LINES}"
    )]);
    place.write("account", "456\n");
    refused(
        &place,
        "staging",
        &["belongs to \"123\"", "in use is \"456\"", "cat account"],
    );
    let destroyed = place.floe(&["destroy", "hub", "staging", "--confirm", "staging"]);
    destroyed.expect(102).says(&["in use is \"456\""]);
    place
        .floe(&["wait", "hub", "staging"])
        .expect(102)
        .says(&["in use is \"456\""]);
    std::fs::remove_file(place.path().join("account")).unwrap();
    refused(
        &place,
        "staging",
        &["which account is in use is not known", "No such file"],
    );
    place.write("account", "123\n");
    place.floe(&["deploy", "hub", "staging"]).expect(0);
}

#[test]
fn a_protected_stage_wants_its_name() {
    let place = Place::new(&[&format!("name: staging, protected: true, {LINES}")]);
    refused(
        &place,
        "staging",
        &["staging is protected; its name was not typed", "--confirm staging"],
    );
    let wrong = place.floe(&["deploy", "hub", "staging", "--confirm", "prod"]);
    wrong.expect(102).says(&["\"prod\" was typed"]);
    assert_eq!(place.live(), None);
    place
        .floe(&["deploy", "hub", "staging", "--confirm", "staging"])
        .expect(0);
    assert_eq!(place.live(), Some(place.image()));
}

#[test]
fn what_is_deployed_is_committed_and_checked_out() {
    let place = Place::new(&[
        &format!("name: staging, {LINES}"),
        &format!("name: prod, branch: release, {LINES}"),
    ]);
    // Another stage's own file is none of this one.
    place.write("deployments/hub/config/prod.yaml", "a: 1\n");
    place.write("deployments/hub/config/common.yaml", "a: 1\n");
    refused(&place, "staging", &["common.yaml is not committed", "commit or stash"]);
    std::fs::remove_file(place.path().join("deployments/hub/config/common.yaml")).unwrap();
    place.floe(&["deploy", "hub", "staging"]).expect(0);
    std::fs::remove_file(place.path().join("live")).unwrap();
    place.git(&["checkout", "-q", "."]);
    place.git(&["branch", "release"]);
    place.write("README", "");
    place.commit();
    refused(&place, "prod", &["live on release", "git switch release"]);
    place.git(&["switch", "-q", "release"]);
    place.floe(&["deploy", "hub", "prod"]).expect(0);
}

#[test]
fn an_image_is_pinned_there_and_not_recalled() {
    let place = Place::new(&[&format!("name: staging, {LINES}")]);
    let recalled = format!("- {{digest: '{}', reason: it eats data}}\n", place.digest);
    place.write("deployments/recalled.yml", &recalled);
    refused(&place, "staging", &["is recalled: it eats data"]);
    std::fs::remove_file(place.path().join("deployments/recalled.yml")).unwrap();
    place.names("staging", &format!("sha256:{}", "0".repeat(64)));
    place.commit();
    refused(&place, "staging", &["is not in its registry", "floe wait"]);
    let tagged = format!(
        "singleuser: {{image: {{name: {}, tag: '1'}}}}\n",
        place.registry.address("hub/one")
    );
    place.write("deployments/hub/config/staging.yaml", &tagged);
    place.commit();
    refused(&place, "staging", &["by a tag"]);
    place.write("deployments/hub/config/staging.yaml", "{}\n");
    place.commit();
    refused(&place, "staging", &["names no image"]);
}

#[test]
fn what_is_not_declared_is_a_mistake_of_the_call() {
    let place = Place::new(&[&format!("name: staging, {LINES}")]);
    for command in ["deploy", "wait", "check", "destroy"] {
        place
            .floe(&[command, "hub", "nope"])
            .expect(2)
            .says(&["no stage nope", "staging"]);
        place
            .floe(&[command, "nope", "staging"])
            .expect(2)
            .says(&["no deployment nope", "hub"]);
    }
    place.write(
        "deployments/hub/deployment.yml",
        "stages:\n- name: staging\n  drivers: git\n",
    );
    place
        .floe(&["wait", "hub", "staging"])
        .expect(3)
        .says(&["deployments/hub/deployment.yml:", "drivers"]);
}

#[test]
fn an_image_that_nothing_says_passed_its_tests_is_not_deployed() {
    let place = Place::new(&[&format!("name: staging, {LINES}")]);
    place.names("staging", &place.registry.image("hub/one", "untested"));
    place.commit();
    refused(
        &place,
        "staging",
        &["has no evidence in its registry that it passed its tests"],
    );
}
