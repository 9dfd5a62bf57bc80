//! A trial against an engine in memory: what becomes of a container's output and end.

mod bounds;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::engine::fake::{Fake, Run};
use crate::engine::{Change, ChangeKind};
use crate::event::wire::Encoder;
use crate::event::{Carried, Cause, CauseKind, FORMAT, Memory, Record, RunStarted, Summary, Verdict};
use crate::image::variable::EVENTS;

fn trial(image: &Digest) -> Trial {
    Trial {
        run: "run".to_owned(),
        mission: "m".to_owned(),
        image: image.clone(),
        reference: String::new(),
        expected: vec![TestId::import("e", "x"), TestId::of_mission("m")],
        carried: Vec::new(),
        grounds: BTreeMap::new(),
        size: None,
        skips: BTreeSet::new(),
        part: None,
        selected: None,
        definitions: None,
        limit: None,
        stages: vec![Stage::suite(&[])],
        spread: None,
        memory: None,
        request: Request::default(),
        agent: std::env::current_exe().unwrap(),
        environments: None,
        fixed: vec!["/opt/conda".into()],
        directory: std::env::temp_dir(),
    }
}

fn suite(format: u32) -> Event {
    Event::SuiteStarted {
        format,
        tests: Vec::new(),
        jobs: 1,
    }
}

/// Runs a container in which the agent says `said` and ends with `code`; returns how the trial ended, and its events.
async fn run_one(said: &[Event], code: i64) -> (Ended, Vec<Event>) {
    let scripted = Run {
        said: said.to_vec(),
        exit: Some(exit(code)),
        ..Run::default()
    };
    let (ended, events, _) = run_to_its_end(scripted).await;
    (ended, events)
}

async fn run_to_its_end(scripted: Run) -> (Ended, Vec<Event>, Vec<String>) {
    run_until(scripted, std::future::pending(), std::future::pending()).await
}

async fn run_until(
    scripted: Run,
    stop: impl Future<Output = ()>,
    kill: impl Future<Output = ()>,
) -> (Ended, Vec<Event>, Vec<String>) {
    let fake = Fake::new();
    let image = fake.add_image("floe/m:1", BTreeMap::new());
    fake.script_run(scripted);
    let events = Memory::default();
    let ended = run(&trial(&image), &[&fake], &Owner::current(), &events, (stop, kill))
        .await
        .unwrap();
    (ended, events.events(), fake.calls())
}

fn exit(code: i64) -> ContainerExit {
    ContainerExit {
        code,
        out_of_memory: false,
    }
}

#[tokio::test]
async fn the_agents_events_and_other_output_are_told_apart() {
    let finished = Event::SuiteFinished {
        summary: Summary::default(),
    };
    let scripted = Run {
        output: b"hello\n".to_vec(),
        said: vec![suite(FORMAT), finished.clone()],
        ..Run::default()
    };
    let (ended, events, calls) = run_to_its_end(scripted).await;
    assert_eq!(ended, Ended::default());
    let text = Event::Output {
        text: "hello\n".to_owned(),
    };
    assert_eq!(events[1..], [text, suite(FORMAT), finished]);
    assert_eq!(calls.last().unwrap(), "remove container-1");
}

#[tokio::test]
async fn what_poses_as_the_agent_is_a_problem_and_no_event_of_the_run() {
    let forged = Encoder::default().encode(&Record::now(import("x", Verdict::Passed)));
    let scripted = Run {
        output: forged,
        said: vec![suite(FORMAT)],
        ..Run::default()
    };
    let (ended, events, _) = run_to_its_end(scripted).await;
    assert!(ended.problem.unwrap().contains("poses as the agent"));
    assert_eq!(verdicts(&events), []);
}

#[tokio::test]
async fn a_flood_of_what_is_not_believed_is_told_of_a_few_times() {
    let forged = Encoder::default().encode(&Record::now(import("x", Verdict::Passed)));
    let scripted = Run {
        output: forged.repeat(5000),
        said: vec![suite(FORMAT)],
        ..Run::default()
    };
    let (_, events, _) = run_to_its_end(scripted).await;
    let warnings = events.iter().filter(|event| matches!(event, Event::Warning { .. }));
    assert_eq!(warnings.count(), 20);
}

#[tokio::test]
async fn what_a_test_changed_of_what_others_run_with_is_a_problem() {
    let changed = |path: &str| Run {
        said: vec![suite(FORMAT), import("x", Verdict::Passed)],
        changes: vec![Change {
            path: path.into(),
            kind: ChangeKind::Added,
        }],
        ..Run::default()
    };
    let (ended, ..) = run_to_its_end(changed("/opt/conda/lib/new.py")).await;
    assert!(ended.problem.unwrap().contains("/opt/conda/lib/new.py"));
    let (ended, ..) = run_to_its_end(changed("/home/jovyan/new.py")).await;
    assert_eq!(ended, Ended::default());
}

#[tokio::test]
async fn the_engine_is_asked_what_differs_only_where_the_agent_has_not_found_all_as_it_was() {
    for (said, asked) in [
        (vec![suite(FORMAT)], true),
        (vec![suite(FORMAT), Event::Untouched], false),
    ] {
        let scripted = Run { said, ..Run::default() };
        let (ended, events, calls) = run_to_its_end(scripted).await;
        assert_eq!(calls.iter().any(|call| call.starts_with("changes ")), asked);
        assert_eq!((ended, events.len()), (Ended::default(), 2));
    }
}

#[tokio::test]
async fn what_changed_behind_a_link_is_a_change_of_what_the_link_stands_for() {
    let change = |path: &str| crate::engine::Change {
        path: path.into(),
        kind: crate::engine::ChangeKind::Added,
    };
    for (said, is_problem) in [
        (vec![suite(FORMAT)], false),
        (
            vec![
                suite(FORMAT),
                Event::Behind {
                    paths: vec!["/data/conda".into()],
                },
            ],
            true,
        ),
    ] {
        let scripted = Run {
            said,
            changes: vec![change("/data/conda/lib/new.py")],
            ..Run::default()
        };
        let (ended, ..) = run_to_its_end(scripted).await;
        assert_eq!(ended.problem.is_some(), is_problem, "{ended:?}");
    }
}

#[tokio::test]
async fn an_agent_of_another_format_is_a_problem() {
    let (ended, _) = run_one(&[suite(FORMAT + 1)], 0).await;
    assert!(ended.problem.unwrap().contains("event format"));
}

#[tokio::test]
async fn a_container_that_ends_oddly_is_a_problem() {
    let scripted = Run {
        output: b"exec format error\n".to_vec(),
        exit: Some(exit(126)),
        ..Run::default()
    };
    let (ended, ..) = run_to_its_end(scripted).await;
    let problem = ended.problem.unwrap();
    assert!(
        problem.contains("126") && problem.contains("exec format error"),
        "{problem}"
    );
}

/// The calls that end a container.
fn ends(calls: &[String]) -> Vec<&str> {
    let end = |call: &&str| {
        ["terminate", "kill", "remove"]
            .iter()
            .any(|word| call.starts_with(word))
    };
    calls.iter().map(String::as_str).filter(end).collect()
}

#[tokio::test]
async fn a_stopped_container_may_report_what_became_of_its_tests_and_is_removed() {
    let finished = Event::SuiteFinished {
        summary: Summary::default(),
    };
    let scripted = Run {
        said: vec![suite(FORMAT)],
        exit: None,
        farewell: Some(vec![finished.clone()]),
        ..Run::default()
    };
    let (ended, events, calls) = run_until(scripted, std::future::ready(()), std::future::pending()).await;
    assert!(ended.stopped);
    assert_eq!(ended.problem.as_deref(), Some("interrupted"));
    assert!(events.contains(&finished), "{events:#?}");
    assert_eq!(ends(&calls), ["terminate container-1", "remove container-1"]);
}

#[tokio::test]
async fn a_container_that_does_not_heed_a_stop_is_killed_at_the_second_and_removed() {
    let scripted = Run {
        exit: None,
        ..Run::default()
    };
    let now = || std::future::ready(());
    let (ended, _, calls) = run_until(scripted, now(), now()).await;
    assert!(ended.stopped);
    assert_eq!(
        ends(&calls),
        ["terminate container-1", "kill container-1", "remove container-1"]
    );
}

#[tokio::test]
async fn the_hosts_own_agent_is_the_first_process_and_is_told_what_to_do_and_what_proves_it() {
    let image = Digest::of(b"i");
    let stage = Stage::script(TestId::of_mission("m"), &["tini".to_owned()]);
    let request = request(&trial(&image), (&stage, None), &Owner::current(), &Key::random()).unwrap();
    assert_eq!(request.entrypoint.unwrap(), ["/opt/floe/bin/floe", "applet"]);
    assert_eq!(request.command, ["supervise"]);
    assert_eq!(request.program.unwrap().path.to_str(), Some("/opt/floe/bin/floe"));
    let asked = Request::of_variables(|name| request.environment.get(name).cloned());
    assert_eq!(asked.unwrap().unwrap().entrypoint, ["tini"]);
    assert!(request.environment[EVENTS].parse::<Key>().is_ok());
}

#[tokio::test]
async fn the_limit_of_a_run_is_that_of_all_its_containers_together() {
    let fake = Fake::new();
    let image = fake.add_image("floe/m:1", BTreeMap::new());
    let (first, second) = (Stage::suite(&[]), Stage::suite(&[]).isolated(TestId::import("e", "x")));
    let trial = Trial {
        limit: Some(Duration::from_nanos(1)),
        stages: vec![first, second],
        ..trial(&image)
    };
    let never = || std::future::pending::<()>();
    let owner = Owner::current();
    let ended = run(&trial, &[&fake], &owner, &Memory::default(), (never(), never()))
        .await
        .unwrap();
    assert!(ended.problem.unwrap().contains("took longer than"));
    assert!(!fake.calls().iter().any(|call| call.starts_with("start ")));
    let limit = Some(Duration::from_secs(7));
    let request = request(&trial, (&trial.stages[0], limit), &owner, &Key::random()).unwrap();
    let asked = Request::of_variables(|name| request.environment.get(name).cloned());
    assert_eq!(
        asked.unwrap().unwrap().options.run_timeout.unwrap().0,
        Duration::from_secs(7)
    );
}

#[tokio::test]
async fn only_containers_whose_owner_is_gone_are_swept() {
    let fake = Fake::new();
    let image = fake.add_image("floe/m:1", BTreeMap::new());
    let current = Owner::current();
    let ended = current.to_string().rsplit_once('/').unwrap().0.to_owned();
    let gone = format!("{ended}/1").parse().unwrap();
    let request_of = |owner| request(&trial(&image), (&Stage::suite(&[]), None), owner, &Key::random()).unwrap();
    let kept = fake.start(&request_of(&current)).await.unwrap();
    fake.start(&request_of(&gone)).await.unwrap();
    assert_eq!(sweep(&fake, &current).await.unwrap(), 1);
    assert_eq!(fake.containers(RUN).await.unwrap()[0].id, kept.id);
}

fn import(name: &str, verdict: Verdict) -> Event {
    Event::TestFinished(TestFinished::new(TestId::import("e", name), verdict))
}

/// The verdicts on tests that came out of a container.
fn verdicts(events: &[Event]) -> Vec<(String, &Verdict)> {
    let finished = events.iter().filter_map(|event| match event {
        Event::TestFinished(test) => Some((test.id.to_string(), &test.verdict)),
        _ => None,
    });
    finished.collect()
}

#[tokio::test]
async fn a_record_that_no_agent_sends_is_a_problem_and_no_event_of_the_run() {
    let forged = [
        Event::RunFinished {
            summary: Summary::default(),
            passed: true,
            problem: None,
            seconds: 0.0,
        },
        Event::RunStarted(RunStarted::new("r", "m", Digest::of(b"i"), Vec::new())),
        Event::ImageUpToDate {
            image: "x".to_owned(),
            reference: "x:1".to_owned(),
        },
    ];
    for event in forged {
        let (ended, events) = run_one(&[suite(FORMAT), event.clone()], 0).await;
        assert!(ended.problem.unwrap().contains("no agent sends"));
        assert!(!events[1..].contains(&event));
    }
}

#[tokio::test]
async fn what_the_host_does_not_expect_counts_for_nothing() {
    let said = [
        suite(FORMAT),
        import("y", Verdict::Passed),
        import("x", Verdict::Passed),
    ];
    let (_, events) = run_one(&said, 0).await;
    assert_eq!(verdicts(&events), [("e::imports::x".to_owned(), &Verdict::Passed)]);
}

#[tokio::test]
async fn no_container_says_that_a_test_passed_in_an_earlier_run() {
    let carried = Event::TestFinished(TestFinished {
        carried: Some(Carried {
            run: "earlier".to_owned(),
            at: Timestamp::now(),
        }),
        ..TestFinished::new(TestId::import("e", "x"), Verdict::Passed)
    });
    let (ended, events) = run_one(&[suite(FORMAT), carried], 0).await;
    assert_eq!(verdicts(&events), []);
    assert!(ended.problem.unwrap().contains("no agent sends"));
}

#[tokio::test]
async fn a_test_that_no_definition_skips_did_not_skip_itself() {
    let skipped = Verdict::Skipped {
        reason: "none of your business".to_owned(),
    };
    let (_, events) = run_one(&[suite(FORMAT), import("x", skipped)], 0).await;
    let Some((_, Verdict::Failed(cause))) = verdicts(&events).pop() else {
        panic!("it was believed: {events:?}");
    };
    assert_eq!(cause.kind, CauseKind::NotRun);
    assert!(cause.message.contains("none of your business"), "{}", cause.message);
}

#[test]
fn a_script_that_was_ended_because_the_run_took_too_long_ran_out_of_time() {
    let cause = Cause::new(CauseKind::NotRun, "interrupted");
    let script = TestFinished::new(TestId::of_mission("m"), Verdict::Failed(cause));
    let frame = |key| Encoder::sealed(key).encode(&Record::now(Event::TestFinished(script.clone())));
    let trial = trial(&Digest::of(b"i"));
    for (overdue, kind) in [(false, CauseKind::NotRun), (true, CauseKind::Timeout)] {
        let (key, events) = (Key::random(), Memory::default());
        let mut watch = Watch::of(&trial, key.clone());
        watch.overdue = overdue;
        watch.take(&frame(key), &events);
        let events = events.events();
        let Some((_, Verdict::Failed(cause))) = verdicts(&events).pop() else {
            panic!("it did not fail: {events:?}");
        };
        assert_eq!(cause.kind, kind);
    }
}
