//! Imports of what was added to specs, by what a real image holds.

use world::{Ended, LocalRegistry, committed, git};

use super::{last, mission};
use crate::workshop::Workshop;

#[test]
fn what_was_added_is_imported_by_the_names_under_which_the_image_holds_it() {
    let repository = mission("adding");
    committed(repository.path(), &["common", "missions"]);
    let lists = "missions/adding/environments/small/small.pip";
    repository.write(lists, "iniconfig\npython-dateutil\ngone-away; python_version < '3'\n");
    repository.floe(&["build", "adding"]).expect(0);
    let tested = repository.floe(&["test", "adding", "--added"]).expect(0);
    tested.says(&["gone-away is not installed, for its line has a condition"]);
    let outcome = last(&repository);
    let ids = outcome.tests.iter().map(|test| test.id.to_string());
    assert_eq!(ids.collect::<Vec<_>>(), ["small::imports::dateutil"]);
    // A part of the tests is no evidence for the image.
    assert!(!repository.path().join(".floe/evidence").exists());
    git(repository.path(), &["commit", "-qam", "more"]);
    let since = ["test", "adding", "--added", "--since", "HEAD", "small"];
    repository
        .floe(&since)
        .expect(4)
        .says(&["nothing was added since HEAD"]);
    repository.floe(&["test", "adding", "--added"]).expect(0);
}

/// Builds, tests and pushes the mission, and commits that the stage `staging` runs the result.
fn release(repository: &Workshop, registry: &LocalRegistry) {
    let mut all = repository.command(&["all", "arriving"]);
    all.env("REGISTRY", registry.address("hub"));
    let printed = Ended::of(all.output().unwrap()).expect(0).stdout;
    let (name, digest) = printed.trim().split_once('@').unwrap();
    let values = format!("singleuser:\n  image: {name}:1@{digest}\n");
    repository.write("deployments/hub/config/staging.yaml", &values);
    commit(repository);
}

fn commit(repository: &Workshop) {
    committed(repository.path(), &["common", "missions", "deployments"]);
}

#[test]
fn a_check_imports_what_was_added_since_the_image_that_the_stage_ran_before() {
    let (repository, registry) = (mission("arriving"), LocalRegistry::start());
    let deployment = "mission: arriving\nstages:\n- name: staging\n  check: {tests: ['true']}\n- name: prod\n";
    repository.write("deployments/hub/deployment.yml", deployment);
    let prod = format!("singleuser:\n  image: {}:none\n", registry.address("hub/arriving"));
    repository.write("deployments/hub/config/prod.yaml", &prod);
    commit(&repository);
    release(&repository, &registry);
    let check = ["check", "hub", "staging"];
    // It ran none before, so that nothing was added.
    let first = repository.floe(&check).expect(0);
    assert!(!first.stderr.contains("iniconfig"), "{}", first.stderr);
    repository.write(
        "missions/arriving/environments/small/small.pip",
        "iniconfig\npython-dateutil\n",
    );
    commit(&repository);
    release(&repository, &registry);
    repository
        .floe(&check)
        .expect(0)
        .says(&["passed: imports of what was added: python-dateutil in small"]);
    let ids = last(&repository).tests.into_iter().map(|test| test.id.to_string());
    assert_eq!(ids.collect::<Vec<_>>(), ["small::imports::dateutil"]);
    let promote = ["promote", "hub", "prod", "--dry-run"];
    let text = repository.floe(&promote).expect(0).stdout;
    assert!(
        text.contains("- [x] imports of what was added: python-dateutil in small"),
        "{text}"
    );
    repository.floe(&["check", "hub", "staging", "--no-imports"]).expect(0);
    let text = repository.floe(&promote).expect(0).stdout;
    assert!(
        text.contains("- [ ] imports of what was added: not run: they were left out"),
        "{text}"
    );
}
