//! Shards against an engine in memory: what becomes of one run where its containers are several, and some are lost.

mod engines;
mod scale;
mod simulation;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::{Key, run};
use super::*;
use crate::engine::ContainerExit;
use crate::engine::fake::{Fake, Run};
use crate::event::{FORMAT, Memory, Summary};
use crate::run::outcome::{Outcome, Tally};
use crate::suite::request::Request;

fn id(name: &str) -> TestId {
    TestId::import("e", name)
}

/// What an agent says of a suite in which these tests end so.
fn suite(tests: &[(&str, Verdict)]) -> Vec<Event> {
    let mut summary = Summary::default();
    let mut events = vec![Event::SuiteStarted {
        format: FORMAT,
        tests: tests.iter().map(|(name, _)| id(name)).collect(),
        jobs: 2,
    }];
    for (name, verdict) in tests {
        events.push(started(name));
        events.push(Event::TestFinished(TestFinished::new(id(name), verdict.clone())));
        summary.count(verdict);
    }
    events.push(Event::SuiteFinished { summary });
    events.push(Event::Untouched);
    events
}

fn started(name: &str) -> Event {
    Event::TestStarted {
        id: id(name),
        attempt: 1,
        worker: 1,
    }
}

fn passing(names: &[&str]) -> Run {
    let tests = names.iter().map(|name| (*name, Verdict::Passed)).collect::<Vec<_>>();
    Run {
        said: suite(&tests),
        ..Run::default()
    }
}

fn lost() -> EngineError {
    EngineError::Lost {
        container: "floe-m-1".to_owned(),
        reason: "Evicted: the node was low on resource: memory".to_owned(),
    }
}

/// A run whose shards have these tests.
struct Case {
    fake: Fake,
    trial: Trial,
}

impl Case {
    fn of(shards: &[&[&str]]) -> Self {
        let fake = Fake::new();
        let image = "r.example/m@sha256:0123456789012345678901234567890123456789012345678901234567890123";
        let id_of_image = fake.add_image(image, BTreeMap::new());
        let tests = |names: &[&str]| names.iter().map(|name| id(name)).collect::<Vec<_>>();
        let trial = Trial {
            run: "run".to_owned(),
            mission: "m".to_owned(),
            image: id_of_image,
            reference: String::new(),
            expected: tests(&shards.concat()),
            carried: Vec::new(),
            grounds: BTreeMap::new(),
            size: None,
            skips: BTreeSet::new(),
            part: None,
            selected: None,
            definitions: None,
            limit: None,
            stages: shards
                .iter()
                .map(|names| Stage::suite(&[]).of_tests(tests(names)))
                .collect(),
            spread: Some(Spread::over_pods(&image.parse().unwrap(), image.parse().unwrap(), None)),
            memory: None,
            request: Request::default(),
            agent: std::env::current_exe().unwrap(),
            environments: None,
            fixed: vec!["/opt/conda".into()],
            directory: std::env::temp_dir(),
        };
        Self { fake, trial }
    }

    fn next(self, run: Run) -> Self {
        self.fake.script_run(run);
        self
    }

    /// Runs it to its end. Returns what it amounts to, how it ended, and what happened.
    async fn run(&self) -> (Outcome, Result<Ended, EngineError>, Vec<Event>) {
        let events = Memory::default();
        let never = || std::future::pending::<()>();
        let ended = run(
            &self.trial,
            &[&self.fake],
            &Owner::current(),
            &events,
            (never(), never()),
        )
        .await;
        let problem = match &ended {
            Ok(ended) => ended.problem.clone(),
            Err(error) => Some(error.to_string()),
        };
        let events = events.events();
        let mut tally = Tally::default();
        for event in &events {
            tally.take(event);
        }
        let finished = tally.finish(problem, 1.0);
        tally.take(&finished);
        (tally.outcome(), ended, events)
    }

    /// The tests that the agent of each container was asked for.
    fn asked(&self) -> Vec<Vec<TestId>> {
        let started = self.fake.started();
        let asked = started.iter().map(|request| {
            let request = Request::of_variables(|name| request.environment.get(name).cloned());
            request.unwrap().unwrap().selection.tests.unwrap()
        });
        asked.collect()
    }
}

#[tokio::test]
async fn shards_are_one_run_in_which_no_two_tests_share_a_worker() {
    let case = Case::of(&[&["a", "b"], &["c"]]);
    let case = case.next(passing(&["a", "b"])).next(passing(&["c"]));
    let (outcome, ended, events) = case.run().await;
    assert!(outcome.passed, "{:?}", outcome.problems);
    assert_eq!(ended.unwrap(), Ended::default());
    assert_eq!(outcome.summary.passed, 3);
    let begun = events.iter().filter(|event| matches!(event, Event::RunStarted(_)));
    assert_eq!(begun.count(), 1);
    let workers = events.iter().filter_map(|event| match event {
        Event::TestStarted { id, worker, .. } => Some((id.name.as_str(), *worker)),
        _ => None,
    });
    let workers = workers.collect::<BTreeMap<_, _>>();
    assert_eq!(workers["a"], workers["b"]);
    assert_ne!(workers["a"], workers["c"]);
    assert_eq!(case.fake.started()[0].image, case.trial.spread.as_ref().unwrap().image);
}

#[tokio::test]
async fn a_shard_speaks_for_its_own_tests_alone() {
    let case = Case::of(&[&["a"], &["b"]]);
    let case = case.next(passing(&["a", "b"])).next(passing(&[]));
    let (outcome, ..) = case.run().await;
    assert!(!outcome.passed);
    let missing = outcome.failures().map(|(test, _)| test.id.name.as_str());
    assert_eq!(missing.collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn of_a_container_that_was_taken_away_only_tests_without_a_verdict_run_again() {
    let mut first = passing(&["a", "b", "c"]);
    // It is taken away while b runs.
    first.said.truncate(4);
    let case = Case::of(&[&["a", "b", "c"]]).next(first).next(passing(&["b", "c"]));
    case.fake.script_failure("wait", lost());
    let (outcome, _, events) = case.run().await;
    assert!(outcome.passed, "{:?}", outcome.problems);
    assert_eq!(case.asked()[1], [id("b"), id("c")]);
    let told = events.iter().find_map(|event| match event {
        Event::Warning { text } => Some(text.as_str()),
        _ => None,
    });
    let told = told.unwrap();
    assert!(
        told.contains("Evicted: the node was low") && told.contains("2 tests"),
        "{told}"
    );
}

#[tokio::test]
async fn what_an_agent_says_that_is_asked_to_end_as_its_pod_is_taken_away_is_no_verdict() {
    let ended = Verdict::Failed(Cause::new(CauseKind::NotRun, "interrupted"));
    let case = Case::of(&[&["a", "b"]]);
    let case = case.next(Run {
        said: suite(&[("a", Verdict::Passed), ("b", ended)]),
        ..Run::default()
    });
    let case = case.next(passing(&["b"]));
    case.fake.script_failure("wait", lost());
    let (outcome, ..) = case.run().await;
    assert!(outcome.passed, "{:?}", outcome.problems);
    assert_eq!(case.asked()[1], [id("b")]);
}

#[tokio::test]
async fn a_test_that_its_agent_did_not_run_fails_where_nobody_took_its_container_away() {
    let not_run = Verdict::Failed(Cause::new(CauseKind::NotRun, "one failed before it"));
    let case = Case::of(&[&["a", "b"]]).next(Run {
        said: suite(&[("a", Verdict::Passed), ("b", not_run)]),
        ..Run::default()
    });
    let (outcome, ..) = case.run().await;
    assert_eq!((outcome.passed, outcome.summary.failed), (false, 1));
    assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
}

#[tokio::test]
async fn a_test_whose_container_is_taken_away_each_time_is_lost_to_the_cluster() {
    let case = Case::of(&[&["a"]]);
    for _ in 0..ATTEMPTS {
        case.fake.script_failure("wait", lost());
    }
    let (outcome, ended, _) = case.run().await;
    assert!(matches!(ended, Err(EngineError::Lost { .. })), "{ended:?}");
    assert_eq!(case.fake.started().len(), ATTEMPTS);
    let (_, why) = outcome.failures().next().unwrap();
    assert_eq!(why.kind, CauseKind::Infra);
    assert!(why.message.contains("Evicted: the node was low"), "{}", why.message);
}

#[tokio::test]
async fn records_that_are_missing_are_so_although_their_container_was_taken_away() {
    let mut first = passing(&["a", "b"]);
    first.arriving = Some(vec![0, 1, 2, 3, 4, 6]);
    let case = Case::of(&[&["a", "b"]]).next(first);
    case.fake.script_failure("wait", lost());
    let (outcome, ..) = case.run().await;
    assert!(!outcome.passed);
    assert!(
        outcome.problems[0].contains("records of the agent are missing"),
        "{:?}",
        outcome.problems
    );
}

#[tokio::test]
async fn a_fault_that_no_time_mends_is_told_of_each_test_and_nothing_is_tried_again() {
    let case = Case::of(&[&["a"], &["b"]]).next(passing(&["b"]));
    let error = EngineError::Cluster {
        action: "start the pod of floe-m-1".to_owned(),
        reason: "ErrImagePull: manifest unknown".to_owned(),
        trouble: crate::fault::Trouble::Missing,
    };
    case.fake.script_failure("start", error);
    let (outcome, ended, _) = case.run().await;
    assert!(matches!(ended, Err(EngineError::Cluster { .. })), "{ended:?}");
    let failures = outcome
        .failures()
        .map(|(test, cause)| (test.id.name.as_str(), cause.kind));
    assert_eq!(failures.collect::<Vec<_>>(), [("a", CauseKind::Infra)]);
    assert_eq!(outcome.summary.passed, 1, "the other shard goes on");
}

#[tokio::test]
async fn a_test_that_ran_when_its_container_ran_out_of_memory_is_out_of_memory() {
    let mut said = suite(&[("a", Verdict::Passed)]);
    said.truncate(3);
    said.push(started("b"));
    let case = Case::of(&[&["a", "b", "c"]]).next(Run {
        said,
        exit: Some(ContainerExit {
            code: 137,
            out_of_memory: true,
        }),
        ..Run::default()
    });
    let (outcome, ..) = case.run().await;
    let failures = outcome
        .failures()
        .map(|(test, cause)| (test.id.name.as_str(), cause.kind));
    let expected = [("b", CauseKind::Oom), ("c", CauseKind::NotRun)];
    assert_eq!(failures.collect::<Vec<_>>(), expected);
}

/// What arrives of the records of a shard of two tests, which are seven: some of them, in any order, some more than once.
fn arriving() -> impl Strategy<Value = Vec<usize>> {
    let whole = Just((0..7).collect::<Vec<_>>());
    let any = prop::collection::vec(0_usize..7, 0..10);
    let cut = (0_usize..7, 0_usize..7).prop_map(|(from, length)| (from..(from + length).min(7)).collect());
    let doubled = (0_usize..7).prop_map(|place| (0..=place).chain(place..7).collect());
    let swapped = (0_usize..6).prop_map(|place| {
        let mut places = (0..7).collect::<Vec<_>>();
        places.swap(place, place + 1);
        places
    });
    prop_oneof![3 => whole, 1 => any, 1 => cut, 2 => doubled, 2 => swapped]
}

/// Whether everything arrived, in its order, whatever came again after it.
fn is_whole(places: &[usize]) -> bool {
    // That nothing was touched is proven by the last record, or else asked of the engine.
    is_whole_to(places, 6)
}

/// Whether the first records arrived, as many as `least`, in their order.
fn is_whole_to(places: &[usize], least: usize) -> bool {
    let mut next = 0;
    for &place in places {
        if place == next {
            next += 1;
        } else if place > next {
            return false;
        }
    }
    next >= least
}

proptest! {
    #[test]
    fn what_is_lost_doubled_or_comes_in_another_order_never_reads_as_green(
        first in arriving(),
        second in arriving(),
        exits in prop::collection::vec(prop::sample::select(vec![0_i64, 100]), 2),
        taken_away in prop::bool::weighted(0.2),
        foreign in prop::bool::weighted(0.2),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut case = Case::of(&[&["a", "b"], &["c", "d"]]);
        let mut expected = is_whole(&first) && is_whole(&second);
        for (names, (places, code)) in [["a", "b"], ["c", "d"]].iter().zip([&first, &second].into_iter().zip(exits)) {
            let mut run = passing(names);
            run.arriving = Some(places.clone());
            run.exit = Some(ContainerExit { code, out_of_memory: false });
            if foreign {
                // A record with the key of another run.
                let forged = crate::event::wire::Encoder::sealed(Key::random())
                    .encode(&crate::event::Record::now(started(names[0])));
                run.output = forged;
            }
            case = case.next(run);
        }
        expected &= !foreign;
        if taken_away {
            case.fake.script_failure("wait", lost());
        }
        let (outcome, ..) = runtime.block_on(case.run());
        if taken_away {
            // What the container after it says, of which nothing is scripted, is nothing. All verdicts may have come before.
            let verdicts = |places: &[usize]| is_whole_to(places, 5);
            prop_assert!(!outcome.passed || (verdicts(&first) && verdicts(&second)));
        } else {
            prop_assert_eq!(outcome.passed, expected, "{:?}", outcome.problems);
        }
    }
}
