//! Imports of what was added to the specs, which the host expects because the agent has told what they are called.

use std::process::Command;

use super::case::{Case, m};
use crate::engine::fake::Run;
use crate::event::Verdict;
use crate::fault::{Explained as _, Kind};
use crate::reference::TestId;
use crate::workflow::{Asked, Nothing, Observed, WorkflowError, test_added};

/// The case, with its specs committed, `scipy` and `libx` added to those of `e`, and the image built.
async fn edited() -> Case {
    let case = committed();
    case.write("missions/m/environments/e/e.pip", "numpy>1\nscipy\nlibx\n");
    case.build().await;
    case
}

fn committed() -> Case {
    let case = Case::new();
    let git = |words: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut command = Command::new("git");
        let status = command.arg("-C").arg(case.path("")).args(identity).args(words).status();
        assert!(status.unwrap().success());
    };
    git(&["init", "-q"]);
    git(&["add", "common", "missions"]);
    git(&["commit", "-qm", "x"]);
    case
}

/// The next container is asked what can be imported, and this is said there.
fn next_says(case: &Case, said: &str) {
    case.engine.script_run(Run {
        output: said.as_bytes().to_vec(),
        ..Run::default()
    });
}

async fn test(case: &Case, since: Option<&str>) -> Result<Vec<Observed>, WorkflowError> {
    test_added(
        &case.workplace,
        &[m()],
        since,
        &Asked::default(),
        &case.interrupts,
        |_| (),
    )
    .await
}

#[tokio::test]
async fn what_was_added_is_imported_and_nothing_else_is_expected() {
    let case = edited().await;
    next_says(
        &case,
        r#"{"e": {"libx": "nothing", "scipy": {"modules": ["scipy", "scipy_more"]}}}"#,
    );
    let ids = ["scipy", "scipy_more"].map(|module| TestId::import("e", module));
    case.next_run(&[(&ids[0], Verdict::Passed), (&ids[1], Verdict::Passed)]);
    let run = test(&case, None).await.unwrap().remove(0);
    assert!(run.passed());
    let tested = run.outcome.tests.iter().map(|test| test.id.clone());
    assert_eq!(tested.collect::<Vec<_>>(), ids);
    let asked = case.engine.calls().into_iter().find(|call| call.contains(" modules "));
    assert!(asked.unwrap().ends_with(r#" modules {"e":["libx","scipy"]}"#));
}

#[tokio::test]
async fn a_module_that_the_suite_is_silent_of_fails_the_run() {
    let case = edited().await;
    next_says(
        &case,
        r#"{"e": {"libx": "nothing", "scipy": {"modules": ["scipy", "scipy_more"]}}}"#,
    );
    case.next_run(&[(&TestId::import("e", "scipy"), Verdict::Passed)]);
    assert!(!test(&case, None).await.unwrap().remove(0).passed());
}

#[tokio::test]
async fn what_the_image_does_not_hold_is_refused_by_name() {
    let case = edited().await;
    next_says(&case, r#"{"e": {"libx": "absent", "scipy": {"modules": ["scipy"]}}}"#);
    let error = test(&case, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!(
        error.to_string(),
        "the image of m does not hold what was added: libx in e"
    );
    assert!(error.hint().unwrap().contains("floe build m --use-frozen 0"));
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_believed_in_no_part() {
    for said in [
        "",
        "Segmentation fault",
        r#"{"e": {"scipy": {"modules": ["scipy"]}}}"#,
        r#"{"e": {"libx": "nothing", "scipy": {"modules": []}}}"#,
        r#"{"e": {"libx": "nothing", "scipy": {"modules": ["os; print(1)"]}}}"#,
        r#"{"e": {"libx": "nothing", "scipy": "nothing", "more": "nothing"}}"#,
        r#"{"f": {"libx": "nothing", "scipy": "nothing"}}"#,
    ] {
        let case = edited().await;
        next_says(&case, said);
        let error = test(&case, None).await.unwrap_err();
        assert!(matches!(error, WorkflowError::Engine(_)), "{said}: {error}");
        assert!(
            case.engine.calls().iter().any(|call| call.starts_with("remove ")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn that_nothing_was_added_or_can_be_imported_is_no_success() {
    let case = committed();
    let nothing = test(&case, Some("HEAD")).await.unwrap_err();
    assert!(matches!(&nothing, WorkflowError::Nothing(Nothing::NotAdded { since }) if since == "HEAD"));
    assert!(matches!(
        test(&case, Some("gone")).await,
        Err(WorkflowError::Since { .. })
    ));
    let case = edited().await;
    next_says(&case, r#"{"e": {"libx": "nothing", "scipy": "nothing"}}"#);
    let nothing = test(&case, None).await.unwrap_err();
    assert!(matches!(nothing, WorkflowError::Nothing(Nothing::NotImportable { .. })));
}
