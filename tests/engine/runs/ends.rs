//! How runs end: whole or in parts, in time or not, interrupted or killed.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use floe::event::{CauseKind, Event, Verdict};
use floe::run::outcome::Outcome;
use world::{Ended, LocalRegistry};

use super::{add, begun, failures, last, logs, mission, running, signal};
use crate::workshop::containers;

#[test]
fn the_parts_of_a_run_are_green_together_and_no_part_is_evidence() {
    let registry = LocalRegistry::start();
    let repository = mission("parted");
    add(&repository, "parted", "one.ipynb", "1");
    repository.floe(&["build", "parted"]).expect(0);
    for index in 1..=3 {
        repository
            .floe(&["test", "parted", "--partition", &format!("{index}/3")])
            .expect(0);
    }
    let logs = logs(&repository);
    let whole = Outcome::merged(&logs.concat());
    assert!(whole.passed, "{whole:#?}");
    assert_eq!(whole.summary.passed, 5, "three imports, a notebook and the script");
    for lost in 0..3 {
        let rest = logs.iter().enumerate().filter(|(index, _)| *index != lost);
        let rest = rest.flat_map(|(_, log)| log.clone()).collect::<Vec<_>>();
        assert!(!Outcome::merged(&rest).passed, "a lost part reads as green");
    }
    assert!(!Outcome::merged(&[logs.concat(), logs[0].clone()].concat()).passed);
    repository
        .floe(&["push", "parted", "--registry", &registry.address("hub")])
        .expect(102)
        .says(&["no passing test results"]);
    // One part more than there are tests at least one of which is empty.
    for index in 1..=9 {
        repository
            .floe(&["test", "parted", "--partition", &format!("{index}/9")])
            .expect(0);
    }
    let nine = &super::logs(&repository)[3..];
    assert!(nine.iter().any(|log| begun(log).expected.is_empty()));
    assert!(Outcome::merged(&nine.concat()).passed);
}

#[test]
fn a_flaky_test_passes_and_its_image_is_pushed_with_a_warning_in_its_evidence() {
    let registry = LocalRegistry::start();
    let repository = mission("flaky");
    let source = "import pathlib\ntried = pathlib.Path('/tmp/tried')\nfirst = not tried.exists()\ntried.touch()\nassert not first";
    add(&repository, "flaky", "flaky.ipynb", source);
    repository.floe(&["build", "flaky"]).expect(0);
    repository.floe(&["test", "flaky"]).expect(100);
    repository.floe(&["test", "flaky", "--retries", "2"]).expect(0);
    let log = logs(&repository).pop().unwrap();
    let retried = log
        .iter()
        .filter(|record| matches!(record.event, Event::TestRetried { attempt: 1, .. }));
    assert_eq!(retried.count(), 1);
    let outcome = Outcome::of(&log);
    let flaky = outcome.tests.iter().filter(|test| test.is_flaky()).collect::<Vec<_>>();
    assert_eq!(flaky.len(), 1);
    let evidence = fs::read_dir(repository.path().join(".floe/evidence"))
        .unwrap()
        .next()
        .unwrap();
    let statement: serde_json::Value = serde_json::from_slice(&fs::read(evidence.unwrap().path()).unwrap()).unwrap();
    let predicate = &statement["predicate"];
    assert_eq!(predicate["result"], "WARNED");
    assert_eq!(
        predicate["warnedTests"],
        serde_json::json!(["small::notebooks::flaky.ipynb"])
    );
    let definitions = begun(&log).definitions.as_ref().unwrap().as_str();
    let digest = predicate["configuration"][0]["digest"]["sha256"].as_str().unwrap();
    assert_eq!(definitions, format!("sha256:{digest}"));
    repository
        .floe(&["push", "flaky", "--registry", &registry.address("hub")])
        .expect(0);
}

#[test]
fn what_failed_is_run_again_alone_and_a_failure_takes_evidence_back() {
    let registry = LocalRegistry::start();
    let repository = mission("again");
    // It fails where the run says so, which a test's files do not.
    add(&repository, "again", "slow.ipynb", "import time; time.sleep(3)");
    repository.floe(&["build", "again"]).expect(0);
    repository.floe(&["test", "again"]).expect(0);
    repository
        .floe(&["test", "again", "slow", "--cell-timeout", "1s"])
        .expect(100);
    assert_eq!(
        failures(&last(&repository)),
        [("small::notebooks::slow.ipynb".to_owned(), CauseKind::Timeout)]
    );
    repository
        .floe(&["push", "again", "--registry", &registry.address("hub")])
        .expect(102);
    repository.floe(&["test", "again", "--rerun-failed"]).expect(0);
    let log = logs(&repository).pop().unwrap();
    assert_eq!(begun(&log).expected.len(), 1);
    repository
        .floe(&["push", "again", "--registry", &registry.address("hub")])
        .expect(102);
    repository
        .floe(&["test", "again", "--rerun-failed"])
        .expect(4)
        .says(&["no test of again failed when it was last run"]);
}

#[test]
fn one_interrupt_ends_the_tests_in_order_and_the_report_is_complete() {
    let repository = mission("once");
    add(&repository, "once", "long.ipynb", "import time; time.sleep(3600)");
    add(&repository, "once", "longer.ipynb", "import time; time.sleep(3600)");
    repository.floe(&["build", "once"]).expect(0);
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let child = running(&repository, &["test", "once", "--jobs", "1"], "notebooks");
        signal(&child, name);
        Ended::of(child.wait_with_output().unwrap())
            .expect(code)
            .says(&["interrupted"]);
        assert_eq!(containers("once"), "");
        let log = logs(&repository).pop().unwrap();
        let ended = log
            .iter()
            .filter(|record| matches!(record.event, Event::SuiteFinished { .. }));
        assert_eq!(ended.count(), 1, "the agent did not end its tests in order: {log:#?}");
        let outcome = Outcome::of(&log);
        assert_eq!(outcome.summary.failed, 6, "three imports, two notebooks and the script");
        assert!(
            outcome.failures().all(|(_, cause)| cause.kind == CauseKind::NotRun),
            "{outcome:#?}"
        );
        let said = outcome
            .failures()
            .filter(|(_, cause)| cause.message.contains("never reported"));
        assert_eq!(said.count(), 0, "a result was lost");
    }
}

#[test]
fn a_second_interrupt_kills_the_container_and_a_third_ends_floe_at_once() {
    let repository = mission("twice");
    add(&repository, "twice", "long.ipynb", "import time; time.sleep(3600)");
    // A script that heeds nothing, so that the first interrupt does not end it.
    let script = "#! /bin/bash\ntrap '' TERM INT\nsetsid /bin/bash -c 'trap \"\" TERM INT; sleep 3600' &\n\
                  /opt/common-scripts/test-environments\nwhile :; do sleep 1; done\n";
    repository.write("missions/twice/environments/test", script);
    repository.floe(&["build", "twice"]).expect(0);
    let child = running(&repository, &["test", "twice"], "notebooks");
    signal(&child, "-INT");
    sleep(Duration::from_millis(300));
    signal(&child, "-INT");
    Ended::of(child.wait_with_output().unwrap())
        .expect(130)
        .says(&["interrupted"]);
    assert_eq!(containers("twice"), "");
    assert!(!last(&repository).passed);
    assert!(last(&repository).problems.contains(&"interrupted".to_owned()));
    let child = running(&repository, &["test", "twice"], "notebooks");
    for _ in 0..3 {
        signal(&child, "-INT");
        sleep(Duration::from_millis(5));
    }
    Ended::of(child.wait_with_output().unwrap()).expect(130);
    repository.floe(&["test", "twice", "json"]).expect(0);
    assert_eq!(
        containers("twice"),
        "",
        "the next run removes what the third interrupt left"
    );
}

#[test]
fn the_limit_of_a_run_times_out_what_runs_and_the_rest_does_not_run() {
    let repository = mission("limited");
    add(&repository, "limited", "long.ipynb", "import time; time.sleep(3600)");
    repository.write(
        "missions/limited/environments/test",
        "#! /bin/bash\ntrap '' TERM\nsleep 3600\n",
    );
    repository.floe(&["build", "limited"]).expect(0);
    let limited = &[
        "test",
        "limited",
        "--kind",
        "notebooks",
        "--kind",
        "imports",
        "--jobs",
        "1",
        "--run-timeout",
        "4s",
    ];
    repository.floe(limited).expect(100).says(&["TIMEOUT", "long.ipynb"]);
    let failures = failures(&last(&repository));
    assert_eq!(
        failures[0],
        ("small::notebooks::long.ipynb".to_owned(), CauseKind::Timeout)
    );
    assert!(failures[1..].iter().all(|(_, kind)| *kind == CauseKind::NotRun));
    assert_eq!(failures.len(), 4);
    // Where the agent does not keep to it, as in a script of the mission's own, the host does.
    repository
        .floe(&["test", "limited", "mission:limited::test", "--run-timeout", "1s"])
        .expect(100)
        .says(&["the run took longer than 1 s"]);
    assert_eq!(containers("limited"), "");
}

#[test]
fn a_killed_run_has_a_readable_log_and_the_next_sweeps_its_container() {
    let repository = mission("killed");
    add(&repository, "killed", "long.ipynb", "import time; time.sleep(3600)");
    repository.floe(&["build", "killed"]).expect(0);
    let mut child = running(&repository, &["test", "killed"], "notebooks");
    child.kill().unwrap();
    child.wait().unwrap();
    let outcome = last(&repository);
    assert!(!outcome.passed);
    assert!(
        outcome
            .problems
            .contains(&"the run did not end: its log stops early".to_owned())
    );
    let long = outcome
        .failures()
        .find(|(test, _)| test.id.name == "long.ipynb")
        .unwrap();
    assert_eq!(long.1.message, "it began, but its end was never reported");
    assert_ne!(containers("killed"), "");
    repository
        .floe(&["test", "killed", "--kind", "imports", "--fail-fast"])
        .expect(0)
        .says(&["removed 1 container"]);
    assert_eq!(containers("killed"), "");
}

#[test]
fn two_runs_at_once_do_not_touch_each_other() {
    let repository = mission("both");
    add(&repository, "both", "slow.ipynb", "import time; time.sleep(5)");
    repository.floe(&["build", "both"]).expect(0);
    let first = running(&repository, &["test", "both"], "notebooks");
    let second = running(&repository, &["test", "both"], "notebooks");
    for child in [first, second] {
        let ended = Ended::of(child.wait_with_output().unwrap()).expect(0);
        assert!(!ended.stderr.contains("removed"), "{}", ended.stderr);
    }
    let logs = logs(&repository);
    assert_eq!(logs.len(), 2);
    for log in &logs {
        let outcome = Outcome::of(log);
        assert!(outcome.passed);
        assert!(outcome.tests.iter().all(|test| test.verdict == Verdict::Passed));
        assert_eq!(outcome.tests.len(), 5);
    }
}

#[test]
fn a_reader_that_goes_away_stops_no_run_and_changes_no_exit_code() {
    let repository = mission("piped");
    repository.floe(&["build", "piped"]).expect(0);
    for (arguments, code) in [(&["test", "piped"][..], 0), (&["test", "piped", "nothing"], 4)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = repository.command(arguments);
        let status = command
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code));
    }
    assert!(last(&repository).passed, "the report is whole");
}
