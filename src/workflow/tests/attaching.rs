//! Runs that were left to a cluster, and who comes back to them.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, failed, m, numpy, run};
use crate::engine::fake::Run;
use crate::engine::{Containers as _, LeftRun, LeftRuns as _};
use crate::event::Verdict;
use crate::image::label;
use crate::process::Owner;
use crate::run::store::{self, Earlier, Standing};
use crate::suite::request::Request;
use crate::trial::{self, Spread, Stage, Trial};
use crate::workflow::{
    self, Asked, AttachError, AttachOptions, Attached, End, Interrupt, KeepThere, Observed, Somewhere, WorkflowError,
};

const RUN: &str = "20300101T000000Z-m-abcdef";

impl Case {
    /// Leaves a run of all tests of `m` to the cluster, whose container does this, as a call on another machine would.
    async fn leave(&self, run: Run) {
        let built = self.build().await;
        let choice = workflow::choose(&self.workplace, &m(), &Asked::default()).unwrap();
        let image = "r.example/m@sha256:0123456789012345678901234567890123456789012345678901234567890123";
        self.engine.add_image(image, BTreeMap::new());
        let trial = Trial {
            run: RUN.to_owned(),
            mission: "m".to_owned(),
            image: built.of(&m()).id.clone(),
            reference: built.of(&m()).reference.to_string(),
            expected: choice.expected.clone(),
            carried: Vec::new(),
            grounds: BTreeMap::new(),
            size: None,
            skips: BTreeSet::new(),
            part: None,
            selected: Some(choice.digest()),
            definitions: Some(choice.definitions.clone()),
            limit: None,
            stages: vec![Stage::suite(&[])],
            spread: Some(Spread::over_pods(&image.parse().unwrap(), image.parse().unwrap(), None)),
            memory: None,
            request: Request::default(),
            agent: self.workplace.agent.clone(),
            environments: None,
            fixed: Vec::new(),
            directory: self.workplace.state.run(RUN),
        };
        self.engine.script_run(run);
        let engine = self.engine.as_ref();
        let left = trial::leave(&trial, true, engine, &Owner::current(), std::future::pending()).await;
        assert!(left.unwrap());
    }

    async fn attach(&self, options: AttachOptions) -> Result<Attached, WorkflowError> {
        let somewhere = Somewhere::default();
        workflow::attach(&self.workplace, RUN, Some(&somewhere), options, &self.interrupts).await
    }

    async fn ended(&self) -> Observed {
        match self.attach(AttachOptions::default()).await.unwrap() {
            Attached::Ended(observed) => *observed,
            Attached::Left(_) => panic!("it was left"),
        }
    }

    /// Nothing of the run is on the cluster.
    async fn assert_nothing_is_left(&self) {
        assert!(self.engine.containers(label::RUN).await.unwrap().is_empty());
        assert!(self.engine.kept().await.unwrap().is_empty());
    }

    fn standing(&self) -> Standing {
        Earlier::of(&self.workplace.state.run(RUN)).standing
    }
}

fn passing() -> Run {
    Run {
        changes: Vec::new(),
        ..run(&[(&numpy(), Verdict::Passed)])
    }
}

/// A container that runs until it is asked to end.
fn endless() -> Run {
    Run {
        exit: None,
        farewell: Some(Vec::new()),
        ..Run::default()
    }
}

#[tokio::test]
async fn a_run_that_passed_while_nobody_looked_lets_the_image_be_pushed() {
    let case = Case::new();
    case.leave(passing()).await;
    assert!(!case.has_evidence().await);
    let observed = case.ended().await;
    assert!(observed.passed(), "{:?}", observed.outcome.problems);
    assert!(case.has_evidence().await);
    case.assert_nothing_is_left().await;
    assert!(observed.directory.join("report.html").is_file());
    assert_eq!(case.standing(), Standing::Passed);
    let again = case.attach(AttachOptions::default()).await.unwrap_err();
    assert!(
        matches!(again, WorkflowError::Attach(AttachError::Unknown { .. })),
        "{again}"
    );
    assert_eq!(case.standing(), Standing::Passed, "what is known of it stays");
}

#[tokio::test]
async fn what_somebody_else_keeps_under_another_name_writes_nothing_here() {
    let case = Case::new();
    case.leave(passing()).await;
    let kept = case.engine.kept().await.unwrap().remove(0);
    for name in [
        "../../out-m-abcdef",
        "20300101T000000Z-m-other1",
        "..",
        "20300101T000000Z-m/../../x-m-abcdef",
    ] {
        let other = LeftRun {
            run: name.to_owned(),
            ..kept.clone()
        };
        case.engine.forget(RUN).await.unwrap();
        case.engine.keep(&other, &[]).await.unwrap();
        let somewhere = Somewhere::default();
        let options = AttachOptions::default();
        let attached = workflow::attach(&case.workplace, name, Some(&somewhere), options, &case.interrupts).await;
        let error = attached.unwrap_err();
        assert!(
            matches!(error, WorkflowError::Attach(AttachError::Unreadable { .. })),
            "{error}"
        );
        assert!(error.to_string().contains("another name"), "{error}");
        assert!(!case.workplace.state.run(name).join("events.jsonl").exists());
        case.engine.forget(name).await.unwrap();
    }
}

#[tokio::test]
async fn a_run_that_failed_takes_earlier_evidence_back() {
    let case = Case::new();
    case.build().await;
    case.next_run_passes();
    case.test(&Asked::default()).await.unwrap();
    assert!(case.has_evidence().await);
    case.leave(run(&[(&numpy(), failed())])).await;
    let observed = case.ended().await;
    assert!(!observed.passed());
    assert!(!case.has_evidence().await);
    case.assert_nothing_is_left().await;
}

#[tokio::test]
async fn where_the_tests_are_defined_otherwise_the_verdict_is_shown_and_no_evidence_is_written() {
    let case = Case::new();
    case.leave(passing()).await;
    let id = case.build().await.of(&m()).id.clone();
    case.write("missions/m/environments/e/tests/imports", "numpy # anew\n");
    let observed = case.ended().await;
    assert!(observed.passed());
    assert!(!case.workplace.state.evidence(&id).exists());
    let said = case.warnings().join("\n");
    assert!(said.contains("defined otherwise here than in the run"), "{said}");
    case.assert_nothing_is_left().await;
}

#[tokio::test]
async fn who_leaves_again_leaves_the_run_as_it_was_and_hears_all_of_it_the_next_time() {
    let case = Case::new();
    let mut going_on = passing();
    going_on.exit = None;
    going_on.farewell = Some(Vec::new());
    case.leave(going_on).await;
    assert!(!case.interrupter.interrupt(Interrupt::Interrupted));
    let left = case.attach(AttachOptions::default()).await.unwrap();
    assert!(matches!(left, Attached::Left(Interrupt::Interrupted)));
    assert_eq!(case.standing(), Standing::Detached);
    assert!(!case.engine.kept().await.unwrap()[0].labels.contains_key(label::OWNER));
    let found = case.engine.containers(label::RUN).await.unwrap().remove(0);
    assert!(found.running);
    // It ends meanwhile.
    case.engine
        .kill(&crate::engine::Container { id: found.id })
        .await
        .unwrap();
    let (_, interrupts) = workflow::Interrupts::new();
    let ended = workflow::attach(&case.workplace, "2030", None, AttachOptions::default(), &interrupts);
    let Attached::Ended(observed) = ended.await.unwrap() else {
        panic!("it was left");
    };
    assert_eq!(observed.outcome.summary.passed, 1);
    assert_eq!(case.standing(), Standing::Failed, "it was killed");
}

#[tokio::test]
async fn a_run_that_is_ended_is_heard_before_leaves_nothing_and_says_nothing_of_the_image() {
    let case = Case::new();
    case.build().await;
    case.next_run_passes();
    case.test(&Asked::default()).await.unwrap();
    case.leave(Run {
        said: passing().said,
        ..endless()
    })
    .await;
    let cancel = AttachOptions {
        cancel: true,
        ..AttachOptions::default()
    };
    let Attached::Ended(observed) = case.attach(cancel).await.unwrap() else {
        panic!("it was left");
    };
    assert!(matches!(observed.end, End::Interrupted(_)));
    assert_eq!(observed.outcome.summary.passed, 1, "{:?}", observed.outcome);
    assert!(case.has_evidence().await);
    case.assert_nothing_is_left().await;
    assert_eq!(case.standing(), Standing::Failed);
}

#[tokio::test]
async fn two_do_not_follow_one_run_unless_one_takes_it_over() {
    let case = Case::new();
    case.leave(passing()).await;
    let kept = case.engine.kept().await.unwrap().remove(0);
    let elsewhere = "another/1/b/2/3";
    assert!(case.engine.claim(&kept, Some(elsewhere)).await.unwrap());
    let refused = case.attach(AttachOptions::default()).await.unwrap_err();
    assert!(
        matches!(refused, WorkflowError::Attach(AttachError::Followed { .. })),
        "{refused}"
    );
    let take_over = AttachOptions {
        take_over: true,
        ..AttachOptions::default()
    };
    assert!(matches!(case.attach(take_over).await.unwrap(), Attached::Ended(_)));
}

#[tokio::test]
async fn a_run_is_listed_where_it_is_and_goes_only_when_it_is_named_or_old() {
    let case = Case::new();
    case.leave(endless()).await;
    case.leave_container().await;
    let there = Somewhere::default();
    let left = workflow::left(&case.workplace, &there).await.unwrap();
    assert_eq!((left[0].id.as_str(), left[0].pods, left[0].running), (RUN, 1, 1));
    assert!(!left[0].followed);
    let held = async |keep: KeepThere| workflow::held_there(&case.workplace, &there, &keep).await.unwrap();
    let going = |held: &[workflow::HeldRun]| {
        let going = held.iter().filter(|held| held.stays.is_none());
        going.map(|held| held.run.clone()).collect::<Vec<_>>()
    };
    assert_eq!(going(&held(KeepThere::default()).await), ["old"]);
    let older = |seconds| KeepThere {
        younger: Some(std::time::Duration::from_secs(seconds)),
        ..KeepThere::default()
    };
    assert_eq!(going(&held(older(3600)).await), ["old"]);
    assert_eq!(going(&held(older(0)).await), ["old", RUN]);
    let named = KeepThere {
        runs: vec![RUN.to_owned()],
        ..KeepThere::default()
    };
    let named = held(named).await;
    assert_eq!(going(&named), [RUN]);
    workflow::prune_there(&case.workplace, &there, &named).await.unwrap();
    assert!(case.engine.kept().await.unwrap().is_empty());
    assert_eq!(
        case.engine.containers(label::RUN).await.unwrap().len(),
        1,
        "what is not named stays"
    );
    assert_eq!(store::all(&case.workplace.state.runs_directory()).unwrap().len(), 0);
}
