//! The rule that decides whether a run passed, case by case.

use super::*;
use crate::event::RunStarted;

fn id(name: &str) -> TestId {
    TestId::import("roman", name)
}

fn begun(names: &[&str]) -> Event {
    let expected = names.iter().map(|name| id(name)).collect();
    Event::RunStarted(RunStarted::new("r1", "roman", Digest::of(b"image"), expected))
}

fn suite(names: &[&str]) -> Event {
    Event::SuiteStarted {
        format: FORMAT,
        tests: names.iter().map(|name| id(name)).collect(),
        jobs: 2,
    }
}

fn started(name: &str) -> Event {
    Event::TestStarted {
        id: id(name),
        attempt: 1,
        worker: 1,
    }
}

fn ended(name: &str, verdict: Verdict) -> Event {
    Event::TestFinished(TestFinished {
        seconds: 0.5,
        ..TestFinished::new(id(name), verdict)
    })
}

fn passed(name: &str) -> Event {
    ended(name, Verdict::Passed)
}

fn failed(name: &str) -> Event {
    ended(name, Verdict::Failed(Cause::new(CauseKind::Error, "broken")))
}

fn skipped(name: &str) -> Event {
    let reason = "commented out".to_owned();
    ended(name, Verdict::Skipped { reason })
}

fn suite_ended(passed: usize, failed: usize, skipped: usize) -> Event {
    Event::SuiteFinished {
        summary: Summary {
            passed,
            failed,
            skipped,
            carried: 0,
        },
    }
}

fn tally(events: &[Event]) -> Tally {
    let mut tally = Tally::default();
    for event in events {
        tally.take(event);
    }
    tally
}

/// The outcome of the events and of the end that the rule gives them.
fn finished(events: &[Event]) -> Outcome {
    let mut tally = tally(events);
    let end = tally.finish(None, 2.0);
    tally.take(&end);
    tally.outcome()
}

fn whole() -> Vec<Event> {
    vec![
        begun(&["a", "b"]),
        suite(&["a", "b"]),
        started("a"),
        started("b"),
        passed("b"),
        passed("a"),
        suite_ended(2, 0, 0),
    ]
}

#[test]
fn a_whole_run_in_which_all_passed_is_passed() {
    let outcome = finished(&whole());
    assert!(outcome.passed, "{outcome:?}");
    assert_eq!(outcome.summary.passed, 2);
    assert_eq!(outcome.seconds, Some(2.0));
    assert_eq!(outcome.run.unwrap().mission, "roman");
    let order = outcome.tests.iter().map(|test| test.id.name.as_str());
    assert_eq!(order.collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn a_run_without_any_one_of_its_events_is_not_passed() {
    let mut events = whole();
    let end = tally(&events).finish(None, 2.0);
    events.push(end);
    for missing in 0..events.len() {
        // What says that a test began says nothing about how it ended.
        if matches!(events[missing], Event::TestStarted { .. }) {
            continue;
        }
        let mut cut = events.clone();
        let event = cut.remove(missing);
        assert!(!tally(&cut).outcome().passed, "passed without {event:?}");
    }
}

#[test]
fn a_truncated_log_is_not_passed() {
    let mut events = whole();
    let end = tally(&events).finish(None, 2.0);
    events.push(end);
    for length in 0..events.len() {
        let outcome = tally(&events[..length]).outcome();
        assert!(!outcome.passed, "passed after {length} events");
        assert!(!outcome.problems.is_empty(), "no problem after {length} events");
    }
    assert!(tally(&events).outcome().passed);
}

#[test]
fn a_run_in_which_nothing_ran_is_not_passed() {
    for events in [
        vec![begun(&[])],
        vec![begun(&[]), suite(&[]), suite_ended(0, 0, 0)],
        vec![begun(&["a"]), suite(&["a"]), skipped("a"), suite_ended(0, 0, 1)],
    ] {
        let outcome = finished(&events);
        assert!(!outcome.passed);
        assert_eq!(outcome.problems, ["no test ran"]);
    }
}

#[test]
fn a_lost_test_is_named() {
    let outcome = finished(&[begun(&["a", "b"]), suite(&["a"]), passed("a"), suite_ended(1, 0, 0)]);
    assert!(!outcome.passed);
    let (test, cause) = outcome.failures().next().unwrap();
    assert_eq!(test.id, id("b"));
    assert_eq!(cause.kind, CauseKind::NotRun);
    assert_eq!(cause.message, "it was expected, but never reported");
    assert_eq!(outcome.summary.failed, 1);
}

#[test]
fn a_test_that_only_its_set_expected_is_missed_too() {
    let outcome = finished(&[begun(&[]), suite(&["a", "b"]), passed("a"), suite_ended(1, 0, 0)]);
    assert!(!outcome.passed);
    assert_eq!(outcome.failures().next().unwrap().0.id, id("b"));
}

#[test]
fn an_interrupted_test_is_told_from_one_that_never_began() {
    let outcome = finished(&[
        begun(&["a", "b", "c"]),
        suite(&["a", "b", "c"]),
        passed("a"),
        started("c"),
    ]);
    let told = outcome
        .failures()
        .map(|(test, cause)| (test.id.name.as_str(), cause.message.as_str()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("c", "it began, but its end was never reported"),
            ("b", "it was expected, but never reported"),
        ]
    );
}

#[test]
fn a_failing_test_fails_the_run_and_hides_no_other() {
    let events = [
        begun(&["a", "b"]),
        suite(&["a", "b"]),
        failed("a"),
        passed("b"),
        suite_ended(1, 1, 0),
    ];
    let outcome = finished(&events);
    assert!(!outcome.passed);
    assert_eq!((outcome.summary.passed, outcome.summary.failed), (1, 1));
    assert_eq!(outcome.problems, [""; 0]);
}

#[test]
fn a_skipped_test_beside_one_that_passed_does_not_fail_the_run() {
    let events = [
        begun(&["a", "b"]),
        suite(&["a", "b"]),
        skipped("a"),
        passed("b"),
        suite_ended(1, 0, 1),
    ];
    assert!(finished(&events).passed);
}

#[test]
fn of_two_results_for_one_test_the_worse_counts() {
    let results = [passed("a"), skipped("a"), failed("a")];
    for (better, worse) in [(0, 1), (0, 2), (1, 2)] {
        for pair in [[better, worse], [worse, better]] {
            let events = pair.map(|index| results[index].clone());
            let outcome = tally(&events).so_far();
            let Event::TestFinished(expected) = &results[worse] else {
                unreachable!()
            };
            assert_eq!(outcome.tests, std::slice::from_ref(expected));
            assert_eq!(
                outcome.notes,
                ["roman::imports::a was reported more than once; the worst result counts"]
            );
        }
    }
}

#[test]
fn a_result_that_was_sent_and_not_received_fails_the_run() {
    let outcome = finished(&[begun(&["a"]), suite(&["a"]), passed("a"), suite_ended(1, 1, 0)]);
    assert!(!outcome.passed);
    assert_eq!(outcome.problems, ["results that were sent and not received: 1"]);
}

#[test]
fn a_set_of_tests_that_did_not_end_fails_the_run() {
    let outcome = finished(&[begun(&["a"]), suite(&["a"]), passed("a")]);
    assert!(!outcome.passed);
    assert_eq!(outcome.problems, ["sets of tests that began: 1, that ended: 0"]);
}

#[test]
fn a_problem_of_the_host_fails_the_run_and_is_told_once() {
    let mut tally = tally(&whole()[..5]);
    let end = tally.finish(Some("the container was removed".to_owned()), 2.0);
    tally.take(&end);
    let outcome = tally.outcome();
    assert!(!outcome.passed);
    assert_eq!(
        outcome.problems,
        ["the container was removed; sets of tests that began: 1, that ended: 0"]
    );
}

#[test]
fn an_end_that_claims_success_does_not_make_one() {
    let claimed = Event::RunFinished {
        summary: Summary::default(),
        passed: true,
        problem: None,
        seconds: 1.0,
    };
    let events = [begun(&["a"]), suite(&["a"]), failed("a"), suite_ended(0, 1, 0), claimed];
    assert!(!tally(&events).outcome().passed);
}

#[test]
fn an_end_that_claims_failure_is_believed() {
    let mut events = whole();
    events.push(Event::RunFinished {
        summary: Summary::default(),
        passed: false,
        problem: None,
        seconds: 1.0,
    });
    let outcome = tally(&events).outcome();
    assert!(!outcome.passed);
    assert_eq!(outcome.problems, ["the run ended as failed, but no test of it did"]);
}

#[test]
fn events_of_another_format_fail_the_run() {
    let mut events = whole();
    events[1] = Event::SuiteStarted {
        format: FORMAT + 1,
        tests: vec![id("a"), id("b")],
        jobs: 1,
    };
    let outcome = finished(&events);
    assert!(!outcome.passed);
    let problem = format!(
        "events of format {} were received, but this floe reads format {FORMAT}",
        FORMAT + 1
    );
    assert_eq!(outcome.problems, [problem]);
}

mod divided;
