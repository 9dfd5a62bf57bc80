//! Attempts, early ends and bounds, with tests that are functions.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use tokio::task::yield_now;

use super::*;
use crate::event::{Cause, Memory};
use crate::suite::Subject;
use crate::suite::options::RunOptions;
use crate::suite::settings::Settings;

const SHORT: Duration = Duration::from_millis(20);

fn plan(modules: &[(&str, Mode)]) -> TestPlan {
    TestPlan::new(modules.iter().map(|(module, mode)| Test {
        environment: "cal".parse().unwrap(),
        subject: Subject::Import {
            module: (*module).to_owned(),
        },
        mode: mode.clone(),
    }))
}

fn beside(modules: &[&str]) -> TestPlan {
    plan(
        &modules
            .iter()
            .map(|module| (*module, Mode::Parallel))
            .collect::<Vec<_>>(),
    )
}

fn failing() -> Outcome {
    Outcome::failed(CauseKind::Error, "no")
}

fn passing() -> Outcome {
    Outcome::of(Verdict::Passed)
}

fn unbounded() -> Policy {
    Policy::new(&RunOptions::default(), BTreeMap::new(), None)
}

/// The events as lines: `start x 1`, `retry x 1`, `PASS x`, `NOT-RUN x: why`.
fn lines(events: &[Event]) -> Vec<String> {
    let line = |event: &Event| match event {
        Event::TestStarted { id, attempt, .. } => format!("start {} {attempt}", id.name),
        Event::TestRetried { id, attempt, cause, .. } => format!("retry {} {attempt}: {}", id.name, cause.message),
        Event::TestSlow { id, .. } => format!("slow {}", id.name),
        Event::TestFinished(test) => match &test.verdict {
            Verdict::Passed => format!("PASS {} {}", test.id.name, test.attempt),
            Verdict::Failed(cause) => format!("{} {}: {}", cause.kind.label(), test.id.name, cause.message),
            Verdict::Skipped { .. } => format!("SKIP {}", test.id.name),
        },
        other => format!("{other:?}"),
    };
    events.iter().map(line).collect()
}

fn name(test: &Test) -> String {
    test.id().name
}

#[tokio::test]
async fn what_is_said_of_the_run_is_said_once_however_many_tests_say_it() {
    let sink = Memory::default();
    let noting = async |test: &Test| Outcome {
        notes: vec!["all of them".to_owned(), format!("of {}", name(test))],
        ..passing()
    };
    run(&beside(&["a", "b"]), 1, &unbounded(), &sink, noting).await;
    let notes = sink.events().into_iter().filter_map(|event| match event {
        Event::Note { text } => Some(text),
        _ => None,
    });
    assert_eq!(notes.collect::<Vec<_>>(), ["all of them", "of a", "of b"]);
}

#[tokio::test]
async fn a_test_that_fails_is_tried_again_and_one_that_passes_then_is_flaky() {
    let policy = Policy {
        retries: Some(2),
        ..unbounded()
    };
    let tried = RefCell::new(BTreeMap::<String, u32>::new());
    let sink = Memory::default();
    let plan = beside(&["flaky", "broken", "good"]);
    let summary = run(&plan, 1, &policy, &sink, async |test| {
        let mut tried = tried.borrow_mut();
        let times = tried.entry(name(test)).or_default();
        *times += 1;
        match name(test).as_str() {
            "good" => passing(),
            "flaky" if *times == 2 => passing(),
            _ => failing(),
        }
    })
    .await;
    assert_eq!(
        lines(&sink.events()),
        [
            "start flaky 1",
            "retry flaky 1: no",
            "start flaky 2",
            "PASS flaky 2",
            "start broken 1",
            "retry broken 1: no",
            "start broken 2",
            "retry broken 2: no",
            "start broken 3",
            "FAIL broken: no",
            "start good 1",
            "PASS good 1",
        ]
    );
    assert_eq!((summary.passed, summary.failed), (2, 1));
    let flaky = sink.events().into_iter().filter_map(|event| match event {
        Event::TestFinished(test) if test.is_flaky() => Some(test.id.name),
        _ => None,
    });
    assert_eq!(flaky.collect::<Vec<_>>(), ["flaky"]);
}

#[tokio::test]
async fn an_environment_may_ask_for_retries_and_the_command_line_for_none() {
    let settings = Settings {
        retries: Some(1),
        ..Settings::default()
    };
    let settings = BTreeMap::from([("cal".parse().unwrap(), settings)]);
    let plan = beside(&["x"]).with_settings(settings);
    for (asked, attempts) in [(None, 2), (Some(0), 1), (Some(3), 4)] {
        let policy = Policy {
            retries: asked,
            ..unbounded()
        };
        let sink = Memory::default();
        run(&plan, 1, &policy, &sink, async |_| failing()).await;
        let started = lines(&sink.events())
            .iter()
            .filter(|line| line.starts_with("start"))
            .count();
        assert_eq!(started, attempts, "{asked:?}");
    }
}

#[tokio::test]
async fn what_cannot_run_ends_once_without_having_begun() {
    let cause = Cause::new(CauseKind::NotRun, "no such file");
    let plan = plan(&[
        ("x", Mode::Broken(cause)),
        ("y", Mode::Skipped { reason: String::new() }),
    ]);
    let policy = Policy {
        retries: Some(3),
        ..unbounded()
    };
    let sink = Memory::default();
    run(&plan, 1, &policy, &sink, async |_| passing()).await;
    assert_eq!(lines(&sink.events()), ["NOT-RUN x: no such file", "SKIP y"]);
}

#[tokio::test]
async fn after_a_failure_fail_fast_lets_what_runs_end_and_begins_nothing_more() {
    let policy = Policy {
        fail_fast: true,
        ..unbounded()
    };
    let sink = Memory::default();
    let plan = beside(&["bad", "running", "later", "last"]);
    run(&plan, 2, &policy, &sink, async |test| {
        if name(test) == "bad" {
            return failing();
        }
        for _ in 0..10 {
            yield_now().await;
        }
        passing()
    })
    .await;
    assert_eq!(
        lines(&sink.events()),
        [
            "start bad 1",
            "start running 1",
            "FAIL bad: no",
            "NOT-RUN later: not begun, since another test had failed (fail-fast)",
            "NOT-RUN last: not begun, since another test had failed (fail-fast)",
            "PASS running 1",
        ]
    );
}

#[tokio::test]
async fn a_stop_ends_what_runs_tries_nothing_again_and_accounts_for_the_rest() {
    let policy = Policy {
        retries: Some(5),
        ..unbounded()
    };
    let sink = Memory::default();
    let plan = beside(&["hanging", "later"]);
    let summary = run(&plan, 1, &policy, &sink, async |_| {
        policy.stop.ask();
        pending().await
    })
    .await;
    assert_eq!(
        lines(&sink.events()),
        [
            "start hanging 1",
            "NOT-RUN hanging: interrupted while it was running",
            "NOT-RUN later: interrupted before it began",
        ]
    );
    assert_eq!(summary.failed, 2);
}

#[tokio::test]
async fn at_the_runs_limit_what_runs_has_timed_out_and_the_rest_did_not_run() {
    let policy = Policy {
        run_timeout: Some(SHORT),
        ..unbounded()
    };
    let sink = Memory::default();
    let plan = beside(&["hanging", "later"]);
    run(&plan, 1, &policy, &sink, async |_| pending().await).await;
    assert_eq!(
        lines(&sink.events()),
        [
            "start hanging 1",
            "TIMEOUT hanging: still running when the run's limit of 0.02 s was reached",
            "NOT-RUN later: not begun when the run's limit of 0.02 s was reached",
        ]
    );
}

#[tokio::test]
async fn a_slow_test_is_reported_again_and_again_while_it_runs() {
    let policy = Policy {
        slow: SHORT,
        ..unbounded()
    };
    let sink = Memory::default();
    let slow = || lines(&sink.events()).iter().filter(|line| *line == "slow x").count();
    let plan = beside(&["x"]);
    run(&plan, 1, &policy, &sink, async |_| {
        while slow() < 2 {
            tokio::time::sleep(SHORT / 4).await;
        }
        passing()
    })
    .await;
    let told = lines(&sink.events());
    assert_eq!(
        (told.first().unwrap().as_str(), told.last().unwrap().as_str()),
        ("start x 1", "PASS x 1")
    );
}

#[tokio::test]
async fn a_defect_in_one_test_hides_no_other() {
    let sink = Memory::default();
    let plan = beside(&["defect", "good"]);
    run(&plan, 2, &unbounded(), &sink, async |test| {
        assert!(name(test) != "defect");
        passing()
    })
    .await;
    let told = lines(&sink.events());
    assert!(told.contains(&"INFRA defect: floe itself failed in this test".to_owned()));
    assert!(told.contains(&"PASS good 1".to_owned()));
}

#[tokio::test]
async fn two_tests_that_run_alone_never_overlap_anything() {
    let plan = plan(&[
        ("a", Mode::Alone),
        ("b", Mode::Parallel),
        ("c", Mode::Alone),
        ("d", Mode::Parallel),
    ]);
    let running = RefCell::new(Vec::<String>::new());
    let summary = run(&plan, 4, &unbounded(), &Memory::default(), async |test| {
        running.borrow_mut().push(name(test));
        for _ in 0..10 {
            yield_now().await;
            let beside = running.borrow();
            let alone = beside.iter().any(|name| name == "a" || name == "c");
            // This fails the test that looks, as any defect would.
            assert!(!alone || beside.len() == 1, "{beside:?} run at a time");
        }
        running.borrow_mut().retain(|other| *other != name(test));
        passing()
    })
    .await;
    assert_eq!(summary.passed, 4, "a test found another beside it");
}
