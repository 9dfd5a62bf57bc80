//! A trial against an engine in memory: what becomes of a container's output and end.

use super::*;
use crate::engine::fake::{Fake, Run};
use crate::event::{Memory, Record, Summary, wire};

fn trial(image: &Digest, script: bool) -> Trial {
    Trial {
        run: "run".to_owned(),
        mission: "m".to_owned(),
        image: image.clone(),
        expected: Vec::new(),
        script,
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
    let fake = Fake::new();
    let image = fake.add_image("floe/m:1", BTreeMap::new());
    fake.script_run(Run {
        output,
        exit,
        ..Run::default()
    });
    let events = Memory::default();
    let stop = async {
        if exit.is_some() {
            std::future::pending::<()>().await;
        }
    };
    let ended = run(&trial(&image, script), &fake, &Owner::current(), &events, stop)
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
async fn a_script_passes_by_its_exit_code_and_fails_by_any_other() {
    let (_, events, _) = run_one(Vec::new(), Some(exit(0)), true).await;
    assert_eq!(script_verdict(&events), Some(&Verdict::Passed));
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

#[tokio::test]
async fn a_stopped_trial_kills_and_removes_its_container() {
    let (ended, _, calls) = run_one(Vec::new(), None, true).await;
    assert!(ended.stopped);
    let end = calls
        .iter()
        .filter(|call| call.starts_with("kill") || call.starts_with("remove"));
    assert_eq!(end.collect::<Vec<_>>(), ["kill container-1", "remove container-1"]);
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
        .start(&request(&trial(&image, false), &Owner::current()))
        .await
        .unwrap();
    fake.start(&request(&trial(&image, false), &gone)).await.unwrap();
    assert_eq!(sweep(&fake).await.unwrap(), 1);
    assert_eq!(fake.containers(RUN).await.unwrap()[0].id, kept.id);
}
