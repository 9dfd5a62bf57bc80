//! A trial against an engine in memory: what becomes of a container's output and end.

use super::*;
use crate::engine::fake::{Fake, Run};
use crate::event::{FORMAT, Memory, Record, Summary, wire};

fn trial(image: &Digest, script: bool) -> Trial {
    Trial {
        run: "run".to_owned(),
        mission: "m".to_owned(),
        image: image.clone(),
        reference: String::new(),
        expected: Vec::new(),
        part: None,
        selected: None,
        definitions: None,
        limit: None,
        stages: vec![Stage::suite(script)],
        memory: None,
        environment: BTreeMap::new(),
        directory: std::env::temp_dir(),
    }
}

fn said(events: &[Event]) -> Vec<u8> {
    let lines = events.iter().map(|event| {
        wire::encode(&Record {
            at: jiff::Timestamp::UNIX_EPOCH,
            event: event.clone(),
        })
    });
    lines.flatten().collect()
}

fn suite(format: u32) -> Event {
    Event::SuiteStarted {
        format,
        tests: Vec::new(),
        jobs: 1,
    }
}

fn failing() -> Event {
    let verdict = Verdict::Failed(Cause::new(CauseKind::Error, "no"));
    Event::TestFinished(TestFinished::new(TestId::import("e", "x"), verdict))
}

/// Runs a container that prints `output` and ends with `code`; answers how the trial ended, its events and the calls.
async fn run_one(output: Vec<u8>, exit: Option<ContainerExit>, script: bool) -> (Ended, Vec<Event>, Vec<String>) {
    let scripted = Run {
        output,
        exit,
        ..Run::default()
    };
    let never = std::future::pending::<()>();
    run_until(scripted, script, never, std::future::pending()).await
}

async fn run_until(
    scripted: Run,
    script: bool,
    stop: impl Future<Output = ()>,
    kill: impl Future<Output = ()>,
) -> (Ended, Vec<Event>, Vec<String>) {
    let fake = Fake::new();
    let image = fake.add_image("floe/m:1", BTreeMap::new());
    fake.script_run(scripted);
    let events = Memory::default();
    let ended = run(&trial(&image, script), &fake, &Owner::current(), &events, stop, kill)
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

fn script_verdict(events: &[Event]) -> Option<&Verdict> {
    events.iter().find_map(|event| match event {
        Event::TestFinished(test) if test.id == TestId::script("m") => Some(&test.verdict),
        _ => None,
    })
}

#[tokio::test]
async fn the_agents_events_and_other_output_are_told_apart() {
    let finished = Event::SuiteFinished {
        summary: Summary::default(),
    };
    let mut output = b"hello\n".to_vec();
    output.extend(said(&[suite(FORMAT), finished.clone()]));
    let (ended, events, calls) = run_one(output, Some(exit(0)), false).await;
    assert_eq!(ended, Ended::default());
    let text = Event::Output {
        text: "hello\n".to_owned(),
    };
    assert_eq!(events[1..], [text, suite(FORMAT), finished]);
    assert_eq!(calls.last().unwrap(), "remove container-1");
}

#[tokio::test]
async fn a_script_that_began_passes_by_its_exit_code_and_fails_by_any_other() {
    let begun = said(&[Event::ScriptStarted { format: FORMAT }]);
    let (_, events, _) = run_one(begun, Some(exit(0)), true).await;
    assert_eq!(script_verdict(&events), Some(&Verdict::Passed));
    let (_, events, _) = run_one(Vec::new(), Some(exit(0)), true).await;
    assert!(matches!(script_verdict(&events), Some(Verdict::Failed(cause)) if cause.kind == CauseKind::NotRun));
    let (_, events, _) = run_one(b"why\n".to_vec(), Some(exit(3)), true).await;
    assert!(matches!(script_verdict(&events), Some(Verdict::Failed(cause)) if cause.message == "exit code 3"));
}

#[tokio::test]
async fn a_script_that_passes_on_the_code_of_failed_tests_is_not_counted_as_one_more() {
    let (_, events, _) = run_one(said(&[suite(FORMAT), failing()]), Some(exit(100)), true).await;
    assert!(matches!(script_verdict(&events), Some(Verdict::Skipped { .. })));
    let (_, events, _) = run_one(Vec::new(), Some(exit(100)), true).await;
    assert!(
        matches!(script_verdict(&events), Some(Verdict::Failed(_))),
        "no test failed, so the script did"
    );
}

#[tokio::test]
async fn an_agent_of_another_format_is_a_problem() {
    let (ended, _, _) = run_one(said(&[suite(FORMAT + 1)]), Some(exit(0)), false).await;
    assert!(ended.problem.unwrap().contains("event format"));
}

#[tokio::test]
async fn a_container_without_a_script_that_ends_oddly_is_a_problem() {
    let (ended, _, _) = run_one(b"exec format error\n".to_vec(), Some(exit(126)), false).await;
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
        output: said(&[suite(FORMAT)]),
        exit: None,
        farewell: Some(said(std::slice::from_ref(&finished))),
        ..Run::default()
    };
    let (ended, events, calls) = run_until(scripted, true, std::future::ready(()), std::future::pending()).await;
    assert!(ended.stopped);
    assert_eq!(ended.problem.as_deref(), Some("interrupted"));
    assert!(events.contains(&finished), "{events:#?}");
    assert!(matches!(script_verdict(&events), Some(Verdict::Failed(cause)) if cause.kind == CauseKind::NotRun));
    assert_eq!(ends(&calls), ["terminate container-1", "remove container-1"]);
}

#[tokio::test]
async fn a_container_that_does_not_heed_a_stop_is_killed_at_the_second_and_removed() {
    let scripted = Run {
        exit: None,
        ..Run::default()
    };
    let now = || std::future::ready(());
    let (ended, _, calls) = run_until(scripted, true, now(), now()).await;
    assert!(ended.stopped);
    assert_eq!(
        ends(&calls),
        ["terminate container-1", "kill container-1", "remove container-1"]
    );
}

#[tokio::test]
async fn an_agent_is_told_of_the_script_that_starts_everything() {
    let (_, _, calls) = run_one(Vec::new(), Some(exit(0)), true).await;
    assert!(calls[0].ends_with("/opt/common-scripts/test-environments --script /opt/environments/test"));
}

#[tokio::test]
async fn only_containers_whose_owner_is_gone_are_swept() {
    let fake = Fake::new();
    let image = fake.add_image("floe/m:1", BTreeMap::new());
    let gone = Owner {
        started: "another boot/1".to_owned(),
        ..Owner::current()
    };
    let kept = fake
        .start(&request(&trial(&image, false), &Stage::suite(false), &Owner::current()))
        .await
        .unwrap();
    fake.start(&request(&trial(&image, false), &Stage::suite(false), &gone))
        .await
        .unwrap();
    assert_eq!(sweep(&fake).await.unwrap(), 1);
    assert_eq!(fake.containers(RUN).await.unwrap()[0].id, kept.id);
}
