//! Runs that are left and come back to, against an engine in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::engine::Containers as _;
use crate::engine::fake::{Fake, Run};
use crate::event::wire::Encoder;
use crate::event::{FORMAT, Memory, Record, Summary, TestFinished, Verdict};
use crate::reference::TestId;
use crate::run::log::{self, Log};
use crate::run::outcome::{Outcome, Tally};
use crate::suite::request::Request;
use crate::trial::{Spread, Stage, sweep};

fn id(name: &str) -> TestId {
    TestId::import("e", name)
}

fn passing(names: &[&str]) -> Run {
    let mut summary = Summary::default();
    let mut said = vec![Event::SuiteStarted {
        format: FORMAT,
        tests: names.iter().map(|name| id(name)).collect(),
        jobs: 1,
    }];
    for name in names {
        let attempt = 1;
        let worker = 1;
        let id = id(name);
        said.push(Event::TestStarted { id, attempt, worker });
        said.push(Event::TestFinished(TestFinished::new(self::id(name), Verdict::Passed)));
        summary.count(&Verdict::Passed);
    }
    said.push(Event::SuiteFinished { summary });
    said.push(Event::Untouched);
    Run { said, ..Run::default() }
}

/// A run of two shards, and the engine that it is left to.
struct Case {
    fake: Fake,
    trial: Trial,
    directory: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let fake = Fake::new();
        let image = "r.example/m@sha256:0123456789012345678901234567890123456789012345678901234567890123";
        let directory = tempfile::tempdir().unwrap();
        let trial = Trial {
            run: "run".to_owned(),
            mission: "m".to_owned(),
            image: fake.add_image(image, BTreeMap::new()),
            reference: "floe/m:1".to_owned(),
            expected: vec![id("a"), id("b")],
            carried: Vec::new(),
            grounds: BTreeMap::new(),
            size: None,
            skips: BTreeSet::new(),
            part: None,
            selected: None,
            definitions: None,
            limit: None,
            stages: vec![
                Stage::suite(&["tini".to_owned()]).of_tests(vec![id("a")]),
                Stage::suite(&[]).of_tests(vec![id("b")]),
            ],
            spread: Some(Spread::over_pods(&image.parse().unwrap(), image.parse().unwrap(), None)),
            memory: Some(1 << 30),
            request: Request::default(),
            agent: std::env::current_exe().unwrap(),
            environments: None,
            fixed: vec!["/opt/conda".into()],
            directory: directory.path().to_owned(),
        };
        Self { fake, trial, directory }
    }

    /// Leaves the run, in which the containers do this.
    async fn left(self, runs: [Run; 2]) -> Self {
        for run in runs {
            self.fake.script_run(run);
        }
        let never = std::future::pending();
        let left = leave(&self.trial, true, &self.fake, &Owner::current(), never).await;
        assert!(left.unwrap());
        self
    }

    async fn kept(&self) -> LeftTrial {
        let kept = self.fake.kept().await.unwrap();
        LeftTrial::read(&kept[0].content).unwrap()
    }

    /// Comes back, as another machine would, with nothing but what the engine keeps.
    async fn attended(&self, events: &dyn Sink) -> Result<Ended, EngineError> {
        let left = self.kept().await;
        let trial = left.resumed(std::env::current_exe().unwrap(), self.directory.path().to_owned());
        let never = || std::future::pending::<()>();
        attend(
            (&left, &trial),
            &self.fake,
            &Owner::current(),
            events,
            (never(), never()),
        )
        .await
    }

    async fn outcome(&self) -> Outcome {
        let events = Memory::default();
        self.attended(&events).await.unwrap();
        let mut tally = Tally::default();
        for event in events.events() {
            tally.take(&event);
        }
        let finished = tally.finish(None, 1.0);
        tally.take(&finished);
        tally.outcome()
    }

    async fn containers(&self) -> usize {
        self.fake.containers(RUN).await.unwrap().len()
    }
}

#[tokio::test]
async fn a_run_that_was_left_is_finished_from_what_the_engine_keeps_alone_however_often() {
    let case = Case::new().left([passing(&["a"]), passing(&["b"])]).await;
    let kept = case.kept().await;
    assert!(kept.complete);
    assert_eq!(kept.trial.memory, case.trial.memory);
    for _ in 0..2 {
        let outcome = case.outcome().await;
        assert!(outcome.passed, "{:?}", outcome.problems);
        assert_eq!(outcome.summary.passed, 2, "nothing counts twice");
        assert_eq!(case.containers().await, 2, "they stay until all is written");
    }
    discard(&case.fake, "run").await.unwrap();
    assert_eq!((case.containers().await, case.fake.kept().await.unwrap().len()), (0, 0));
}

#[tokio::test]
async fn what_is_kept_of_a_run_holds_no_key_of_its_agents() {
    let case = Case::new().left([passing(&["a"]), passing(&["b"])]).await;
    let mut text = String::new();
    let kept = case.fake.kept().await.unwrap();
    GzDecoder::new(kept[0].content.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    for request in case.fake.started() {
        assert!(!text.contains(&request.environment[EVENTS]));
    }
}

#[tokio::test]
async fn a_shard_that_nobody_saw_go_runs_again_and_the_other_counts() {
    let case = Case::new().left([passing(&["a"]), passing(&["b"])]).await;
    let first = case.fake.containers(RUN).await.unwrap().remove(0);
    case.fake.remove(&Container { id: first.id }).await.unwrap();
    case.fake.script_run(passing(&["a"]));
    let outcome = case.outcome().await;
    assert!(outcome.passed, "{:?}", outcome.problems);
    assert_eq!(case.fake.started().len(), 3);
}

#[tokio::test]
async fn a_record_that_an_earlier_key_proves_proves_nothing() {
    let mut forged = passing(&["a"]);
    let mut encoder = Encoder::sealed(crate::event::seal::Key::random());
    forged.output = forged
        .said
        .drain(..)
        .flat_map(|event| encoder.encode(&Record::now(event)))
        .collect();
    let case = Case::new().left([forged, passing(&["b"])]).await;
    assert!(!case.outcome().await.passed);
}

#[tokio::test]
async fn no_later_run_sweeps_one_that_was_left_and_each_sweeps_one_that_was_not_left_whole() {
    let mut case = Case::new().left([passing(&["a"]), passing(&["b"])]).await;
    let later = "m/1/b/2/3".parse::<Owner>().unwrap();
    assert!(!case.fake.containers(RUN).await.unwrap()[0].labels.contains_key(OWNER));
    assert_eq!(sweep(&case.fake, &later).await.unwrap(), 0);
    case.fake.forget("run").await.unwrap();
    assert!(case.fake.containers(RUN).await.unwrap()[0].labels.contains_key(OWNER));
    discard(&case.fake, "run").await.unwrap();
    // One that does not begin leaves nothing.
    case.trial.run = "other".to_owned();
    case.fake.script_failure(
        "keep",
        EngineError::Unsupported {
            action: "keep".to_owned(),
            reason: "no".to_owned(),
        },
    );
    let never = std::future::pending();
    let failed = leave(&case.trial, true, &case.fake, &Owner::current(), never).await;
    assert!(failed.is_err());
    assert_eq!(case.containers().await, 0);
    let stopped = leave(&case.trial, true, &case.fake, &Owner::current(), std::future::ready(())).await;
    assert!(!stopped.unwrap());
    assert_eq!(case.containers().await, 0);
}

#[tokio::test]
async fn the_log_tells_when_things_happened_and_not_when_they_were_heard() {
    let case = Case::new().left([passing(&["a"]), passing(&["b"])]).await;
    let began = case.kept().await.began;
    let said = Timestamp::now();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let path = case.directory.path().join("events.jsonl");
    let log = Log::create(&path).unwrap();
    case.attended(&log).await.unwrap();
    let records = log::read(&path).unwrap();
    assert_eq!(records[0].at, began);
    let finished = records
        .iter()
        .filter(|record| matches!(record.event, Event::TestFinished(_)));
    for record in finished {
        assert!(record.at >= began && record.at <= said, "{record:?}");
    }
}

#[tokio::test]
async fn what_is_asked_to_end_says_what_became_of_it_and_counts_as_interrupted() {
    let endless = || Run {
        exit: None,
        farewell: Some(Vec::new()),
        ..Run::default()
    };
    let case = Case::new().left([endless(), endless()]).await;
    let left = case.kept().await;
    let trial = left.resumed(std::env::current_exe().unwrap(), case.directory.path().to_owned());
    let events = Memory::default();
    let until = (std::future::ready(()), std::future::pending());
    let ended = attend((&left, &trial), &case.fake, &Owner::current(), &events, until).await;
    assert!(ended.unwrap().stopped);
}

#[test]
fn what_another_floe_left_is_refused_by_its_name() {
    let pack = |text: &str| {
        let mut packed = Vec::new();
        GzEncoder::new(text.as_bytes(), Compression::fast())
            .read_to_end(&mut packed)
            .unwrap();
        packed
    };
    let foreign = LeftTrial::read(&pack(r#"{"format": 99, "floe": "9.9.9", "surprise": true}"#)).unwrap_err();
    assert!(foreign.to_string().contains("floe 9.9.9"), "{foreign}");
    for odd in [b"nonsense".to_vec(), pack("{}")] {
        assert!(matches!(LeftTrial::read(&odd), Err(LeftError::Unreadable { .. })));
    }
}
