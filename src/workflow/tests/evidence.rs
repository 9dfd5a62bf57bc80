//! When evidence is written, and when it is taken back.

use std::path::PathBuf;
use std::sync::Arc;

use super::case::{Case, failed, filtered, numpy, run};
use crate::engine::fake::Run;
use crate::engine::{ContainerExit, EngineError};
use crate::event::{Event, Sink, Verdict};
use crate::fault::{Explained as _, Kind};
use crate::reference::TestId;
use crate::workflow::{Asked, End, Interrupt};

#[tokio::test]
async fn a_complete_run_that_passes_is_evidence() {
    let case = Case::new();
    case.build().await;
    case.next_run_passes();
    let observed = case.test(&Asked::default()).await.unwrap();
    assert!(observed.passed() && observed.ran);
    assert!(case.has_evidence().await);
    assert!(observed.directory.join("report.html").is_file());
}

#[tokio::test]
async fn a_run_of_some_tests_is_no_evidence() {
    let case = Case::new();
    case.write("missions/m/environments/e/tests/imports", "numpy\nscipy\n");
    case.build().await;
    case.next_run_passes();
    assert!(case.test(&filtered("numpy")).await.unwrap().passed());
    assert!(!case.has_evidence().await);
}

#[tokio::test]
async fn a_call_for_some_tests_pushes_only_what_has_passed_all_before() {
    let case = Case::new();
    case.next_run_passes();
    let (reached, ended) = case.all_of(&filtered("numpy")).await;
    assert_eq!(reached, ["tested"]);
    assert_eq!(ended.unwrap_err().kind(), Kind::Refused);

    case.next_run_passes();
    case.next_export_holds("2.0");
    assert_eq!(case.all().await.0, ["tested", "frozen", "pushed"]);
    case.next_run_passes();
    let (reached, _) = case.all_of(&filtered("numpy")).await;
    assert_eq!(reached.first(), Some(&"tested"), "what was asked for did not run");
    assert_eq!(reached.last(), Some(&"pushed"));
}

#[tokio::test]
async fn an_image_that_is_not_of_the_present_files_is_built_before_it_is_tested_or_refused_where_that_is_asked_for() {
    let case = Case::new();
    let refusing = Asked {
        no_build: true,
        ..Asked::default()
    };
    let error = case.test(&refusing).await.unwrap_err();
    assert!(error.to_string().contains("not built"), "{error}");
    case.next_image_is_weighed();
    case.next_run_passes();
    assert!(case.test(&Asked::default()).await.unwrap().passed());
    case.next_run_passes();
    assert!(case.test(&refusing).await.unwrap().passed());

    case.write("missions/m/environments/e/e.pip", "numpy\nscipy\n");
    case.test(&refusing).await.unwrap_err();
    case.next_image_is_weighed();
    case.next_run_passes();
    case.test(&Asked::default()).await.unwrap();
    assert!(
        case.has_evidence().await,
        "another image than the one of now was tested"
    );
}

#[tokio::test]
async fn a_failure_takes_earlier_evidence_back_even_in_a_run_of_some_tests() {
    let case = Case::new();
    case.write("missions/m/environments/e/tests/imports", "numpy\nscipy\n");
    case.build().await;
    case.next_run(&[
        (&numpy(), Verdict::Passed),
        (&TestId::import("e", "scipy"), Verdict::Passed),
    ]);
    case.test(&Asked::default()).await.unwrap();
    assert!(case.has_evidence().await);
    case.next_run_fails();
    let observed = case.test(&filtered("numpy")).await.unwrap();
    assert!(!observed.passed());
    assert!(!case.has_evidence().await);
}

#[tokio::test]
async fn a_test_that_never_reported_is_no_pass() {
    let case = Case::new();
    case.write("missions/m/environments/e/tests/imports", "numpy\nscipy\n");
    case.build().await;
    case.next_run_passes();
    let observed = case.test(&Asked::default()).await.unwrap();
    assert!(!observed.passed());
    assert!(!case.has_evidence().await);
}

#[tokio::test]
async fn evidence_of_a_run_without_the_tests_of_the_server_lets_nothing_pass_where_they_are_expected() {
    let mut case = Case::new();
    case.build().await;
    case.next_run_passes();
    assert!(case.test(&Asked::default()).await.unwrap().passed());
    case.workplace.settings.test_server = true;
    case.next_run_passes();
    let (reached, ended) = case.all().await;
    assert_eq!(reached, ["tested"], "it is tested again");
    assert!(!ended.unwrap().unwrap().passed());
}

#[tokio::test]
async fn a_run_that_the_engine_broke_says_nothing_of_the_image() {
    let case = Case::new();
    case.build().await;
    case.next_run_passes();
    case.test(&Asked::default()).await.unwrap();
    let gone = EngineError::Gone {
        container: "c".to_owned(),
    };
    case.engine.script_failure("start", gone);
    let observed = case.test(&Asked::default()).await.unwrap();
    assert!(matches!(observed.end, End::Broken(_)) && !observed.passed());
    assert!(case.has_evidence().await, "what passed before still counts");
}

#[tokio::test]
async fn an_interrupted_run_is_neither_a_pass_nor_a_failure_of_the_image() {
    let case = Case::new();
    case.build().await;
    case.next_run_passes();
    case.test(&Asked::default()).await.unwrap();
    let endless = Run {
        exit: None,
        farewell: Some(run(&[(&numpy(), failed())]).said),
        ..Run::default()
    };
    case.engine.script_run(endless);
    assert!(!case.interrupter.interrupt(Interrupt::Terminated));
    let observed = case.test(&Asked::default()).await.unwrap();
    assert!(matches!(observed.end, End::Interrupted(Interrupt::Terminated)));
    assert!(case.has_evidence().await);
    let last = case
        .engine
        .calls()
        .into_iter()
        .rfind(|call| call.starts_with("remove "));
    assert!(last.is_some_and(|call| case.engine.calls().iter().filter(|other| **other == call).count() == 1));
}

/// Puts a directory in the place of a report as soon as the run has begun, which nobody can write a file over.
struct InTheWay(PathBuf);

impl Sink for InTheWay {
    fn emit(&self, event: Event) {
        if let Event::RunStarted(run) = event {
            std::fs::create_dir_all(self.0.join(run.run).join("report.html/x")).unwrap();
        }
    }
}

#[tokio::test]
async fn a_pass_that_cannot_be_shown_is_no_evidence() {
    let mut case = Case::new();
    case.build().await;
    case.next_run_passes();
    let runs = case.workplace.state.runs_directory();
    case.workplace.display = Box::new(move || Arc::new(InTheWay(runs.clone())));
    let observed = case.test(&Asked::default()).await.unwrap();
    assert!(observed.account.is_err() && observed.outcome.passed && !observed.passed());
    assert!(!case.has_evidence().await);
}

#[tokio::test]
async fn a_script_that_exits_with_success_is_no_pass_of_the_tests_that_it_did_not_start() {
    let case = Case::new();
    case.build().await;
    case.engine.script_run(Run {
        exit: Some(ContainerExit {
            code: 0,
            out_of_memory: false,
        }),
        ..Run::default()
    });
    assert!(!case.test(&Asked::default()).await.unwrap().passed());
    assert!(!case.has_evidence().await);
}
