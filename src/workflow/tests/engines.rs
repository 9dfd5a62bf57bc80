//! Tests on several engines: which of them are used, and what they are sent.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::case::{Case, m, numpy};
use crate::engine::fake::Fake;
use crate::engine::{Containers as _, EngineName, Images as _};
use crate::event::Verdict;
use crate::fault::{Explained as _, Kind};
use crate::workflow::{Asked, OnEngines, WorkflowError};

fn on(names: &[&str]) -> Asked {
    Asked {
        engines: Some(OnEngines {
            engines: names.iter().map(|name| EngineName::parse(name).unwrap()).collect(),
            shards: None,
            at_once: NonZeroUsize::new(1),
        }),
        ..Asked::default()
    }
}

impl Case {
    /// An engine of this name, which has the image of `m` or lacks it.
    async fn other(&self, name: &str, has: bool) -> Arc<Fake> {
        let engine = Arc::new(Fake::new());
        if has {
            let plan = self.workplace.plan(&[m()]).unwrap();
            let built = self.workplace.built(&plan).await.unwrap();
            let id = &built.last().unwrap().id;
            engine.hold(self.engine.image(id.as_str()).await.unwrap().unwrap());
        }
        self.others.lock().unwrap().insert(name.to_owned(), engine.clone());
        engine
    }
}

#[tokio::test]
async fn an_engine_that_has_the_image_is_sent_nothing_and_its_verdict_is_evidence() {
    let case = Case::new();
    case.build().await;
    let far = case.other("ssh://far", true).await;
    far.script_run(super::case::run(&[(&numpy(), Verdict::Passed)]));
    let observed = case.test(&on(&["ssh://far"])).await.unwrap();
    assert!(observed.passed(), "{:?}", observed.outcome);
    assert!(case.has_evidence().await);
    assert_eq!(case.containers(), 0);
    let calls = far.calls();
    assert!(!calls.iter().any(|call| call.starts_with("pull")), "{calls:?}");
    assert!(far.containers("org.floe.run").await.unwrap().is_empty());
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_named_and_the_others_carry_on() {
    let case = Case::new();
    case.build().await;
    let far = case.other("ssh://far", true).await;
    far.script_run(super::case::run(&[(&numpy(), Verdict::Passed)]));
    let observed = case.test(&on(&["tcp://gone:1", "ssh://far"])).await.unwrap();
    assert!(observed.passed(), "{:?}", observed.outcome);
    let warnings = case.warnings();
    assert!(
        warnings[0].starts_with("no test runs at tcp://gone:1: no container engine answers at tcp://gone:1"),
        "{warnings:?}"
    );
    let error = case.test(&on(&["tcp://gone:1", "ssh://lost"])).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Temporary);
}

#[tokio::test]
async fn an_engine_that_lacks_the_image_needs_a_registry_to_pull_it_from() {
    let case = Case::new();
    case.build().await;
    case.other("ssh://far", false).await;
    let error = case.test(&on(&["docker", "ssh://far"])).await.unwrap_err();
    assert!(matches!(error, WorkflowError::NothingToPull), "{error:?}");
    assert_eq!(case.containers(), 0);
}

#[tokio::test]
async fn what_killed_calls_left_on_any_of_the_engines_is_removed() {
    let case = Case::new();
    case.build().await;
    case.leave_container().await;
    case.next_run_passes();
    let observed = case.test(&on(&["docker"])).await.unwrap();
    assert!(observed.passed(), "{:?}", observed.outcome);
    assert_eq!(case.warnings(), ["removed 1 container of a run that was killed"]);
}
