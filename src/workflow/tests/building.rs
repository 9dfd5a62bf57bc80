//! What builds refuse and warn of, and how they end early.

use super::case::{Case, m};
use crate::reference::Digest;
use crate::workflow::{BuildOptions, Interrupt, WorkflowError, images};

fn stale() -> Case {
    let case = Case::with(&[("USE_FROZEN", "1")]);
    let other = Digest::of(b"other specs");
    let text = format!("# specs: {other}\nname: e\ndependencies:\n  - python=3.11.2\n");
    case.write("missions/m/environments/e/e-frozen.yml", &text);
    case
}

#[tokio::test]
async fn a_stale_frozen_spec_is_a_warning_and_the_build_goes_on() {
    let case = stale();
    case.build().await;
    let warnings = case.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("missions/m/environments/e/e-frozen.yml is stale"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_strict_build_refuses_a_stale_frozen_spec_before_the_engine_is_asked() {
    let case = stale();
    let strict = BuildOptions {
        strict: true,
        ..BuildOptions::default()
    };
    let refused = images(&case.workplace, &[m()], strict, &case.interrupts).await;
    assert!(matches!(refused, Err(WorkflowError::Stale { .. })));
    assert!(case.engine.calls().is_empty());
}

#[tokio::test]
async fn an_interrupt_ends_a_build() {
    let case = Case::new();
    case.engine.hang_builds();
    assert!(!case.interrupter.interrupt(Interrupt::Interrupted));
    let ended = images(&case.workplace, &[m()], BuildOptions::default(), &case.interrupts).await;
    assert!(matches!(
        ended,
        Err(WorkflowError::Interrupted(Interrupt::Interrupted, _))
    ));
}

#[test]
fn a_mission_that_nobody_named_is_asked_for_with_those_there_are() {
    let case = Case::with(&[("MISSION", "")]);
    let error = case.workplace.missions(false, &[]).unwrap_err();
    assert!(error.hint().unwrap().starts_with("name one of m, "));
    assert_eq!(case.workplace.missions(true, &[]).unwrap(), [m()]);
    assert!(case.workplace.missions(false, &["Not one".to_owned()]).is_err());
}
