//! Tests that are not run again, on images of a real engine.

use std::fs;

use world::{Ended, LocalRegistry};

use super::frozen::twins;

#[test]
fn a_change_in_one_environment_runs_its_tests_alone_and_a_gate_may_refuse_that() {
    let (repository, registry) = (twins(), LocalRegistry::start());
    let floe = |arguments: &[&str]| repository.floe(&[arguments, &["twins"]].concat());
    floe(&["test"]).expect(0).says(&["12 tests run: 12 passed\n"]);

    repository.write(
        "missions/twins/environments/newer/tests/imports",
        "iniconfig\nipykernel\nsix\n",
    );
    let second = floe(&["test"]).expect(0);
    second.says(&["older: 3 tests passed in run 2", "10 tests run: 10 passed, 3 carried"]);
    let runs = fs::read_dir(repository.path().join(".floe/runs")).unwrap();
    let run = runs.map(|entry| entry.unwrap().path()).max().unwrap();
    let read = |file: &str| fs::read_to_string(run.join(file)).unwrap();
    assert_eq!(read("junit.xml").matches("name=\"carried-from\"").count(), 3);
    assert!(read("report.html").contains("nothing has changed for it since"));

    let registry = registry.address("hub");
    let push = || {
        let mut push = repository.command(&["push", "twins", "--registry", &registry]);
        // It is refused in any case, which saves its way to the registry.
        push.env(
            "GATE_COMMANDS",
            "(grep -o carried $FLOE_EVIDENCE || echo all of them ran) && false",
        );
        Ended::of(push.output().unwrap())
    };
    push().expect(102).says(&["(exit code 1):\ncarried"]);
    floe(&["test", "--all-tests"])
        .expect(0)
        .says(&["13 tests run: 13 passed"]);
    push().expect(102).says(&["all of them ran"]);
}
