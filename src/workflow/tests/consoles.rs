//! Letting people into containers: what is built first, and what is left behind.

use tokio::sync::mpsc;

use super::case::{Case, m};
use crate::engine::{EngineError, Input, Written};
use crate::fault::Trouble;
use crate::mount::Mount;
use crate::workflow::{self, Console, Interrupt, Seat, Setup, Subject, WorkflowError};

fn of_m(setup: Setup) -> Console {
    Console {
        subject: Subject::Mission(m()),
        visit: crate::image::visit::Visit::default(),
        setup,
    }
}

/// A seat without input, and what is shown there.
fn seat() -> (Seat, mpsc::Receiver<Written>) {
    let (output, shown) = mpsc::channel(16);
    let seat = Seat {
        input: mpsc::channel(1).1,
        output,
        sent: mpsc::channel(1).1,
        size: None,
    };
    (seat, shown)
}

async fn enter(case: &Case, setup: Setup) -> Result<crate::workflow::console::Gone, WorkflowError> {
    let (seat, _shown) = seat();
    workflow::console(&case.workplace, &of_m(setup), false, &case.interrupts, || Ok(seat)).await
}

fn count(case: &Case, word: &str) -> usize {
    case.engine.calls().iter().filter(|call| call.starts_with(word)).count()
}

#[tokio::test]
async fn an_image_is_built_where_there_is_none_and_a_stale_one_is_used_as_it_is() {
    let case = Case::new();
    assert_eq!(enter(&case, Setup::default()).await.unwrap().code, 0);
    let builds = count(&case, "build ");
    assert!(builds > 0);
    let first = case.engine.started()[0].image.clone();
    case.write("missions/m/environments/e/e.pip", "scipy\n");
    enter(&case, Setup::default()).await.unwrap();
    assert_eq!(count(&case, "build "), builds);
    assert_eq!(case.engine.started()[1].image, first);
    let warned = case.warnings();
    assert!(
        warned
            .iter()
            .any(|text| text.contains("stale (") && text.contains("e.pip")),
        "{warned:?}"
    );
}

#[tokio::test]
async fn a_container_goes_whatever_ends_the_call() {
    let lost = |action: &str| EngineError::Request {
        action: action.to_owned(),
        reason: "gone".to_owned(),
        trouble: Trouble::Lost,
    };
    for step in ["attach", "begin", "wait"] {
        let case = Case::new();
        case.build().await;
        case.engine.script_failure(step, lost(step));
        let before = count(&case, "remove ");
        assert!(enter(&case, Setup::default()).await.is_err(), "{step}");
        assert_eq!(count(&case, "remove ") - before, 1, "{step}");
    }
    let case = Case::new();
    case.build().await;
    let before = ["create ", "remove "].map(|call| count(&case, call));
    assert!(!case.interrupter.interrupt(Interrupt::Interrupted));
    let error = enter(&case, Setup::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "interrupted; nothing is left behind");
    let after = ["create ", "remove "].map(|call| count(&case, call));
    assert_eq!(after[0] - before[0], after[1] - before[1]);
}

#[tokio::test]
async fn what_the_host_lends_decides_who_runs() {
    let case = Case::new();
    case.build().await;
    let data = Mount {
        read_only: true,
        ..Mount::writable(case.path("missions"), "/data")
    };
    let read = Setup {
        mounts: vec![data.clone()],
        ..Setup::default()
    };
    enter(&case, read).await.unwrap();
    let home = Setup {
        home: Some(case.path("made/home")),
        mounts: vec![data],
        ..Setup::default()
    };
    // The image's user is root, and so may be whoever runs these tests.
    enter(&case, home).await.unwrap();
    let started = case.engine.started();
    assert_eq!(started[0].user, None);
    let caller = rustix::process::geteuid();
    assert_eq!(started[1].user.map_or(0, |user| user.id), caller.as_raw());
    assert_eq!(started[1].mounts.len(), 2);
    assert_eq!(started[1].input, Input::Pipe);
    assert!(case.path("made/home").is_dir());
    let hidden = Setup {
        mounts: vec![Mount::writable(case.path("missions"), "/opt/floe/bin")],
        ..Setup::default()
    };
    assert!(enter(&case, hidden).await.is_err());
}
