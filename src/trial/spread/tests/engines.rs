//! Several engines beside each other: what becomes of one run when some of them go away.

use super::super::super::run;
use super::simulation::{Clock, Simulated, Time, World};
use super::*;
use crate::engine::Member;

/// A run on engines.
pub struct Several {
    pub clock: Clock,
    pub trial: Trial,
    pub engines: Vec<Arc<Simulated>>,
    members: Vec<Member>,
}

/// What became of it.
pub struct Ran {
    pub outcome: Outcome,
    pub ended: Result<Ended, EngineError>,
    pub events: Vec<Event>,
    /// When it was over.
    pub time: Time,
}

impl Several {
    /// A run of these tests, each of which takes so long, in so many shards, divided by what `known` tells of the tests.
    pub fn of(
        tests: &[(TestId, Time)],
        shards: usize,
        known: BTreeMap<TestId, Expected>,
        engines: &[(Option<Time>, Time)],
        failing: &[TestId],
    ) -> Self {
        let ids = tests.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        let world = Arc::new(World {
            takes: tests.iter().cloned().collect(),
            failing: failing.to_vec(),
            start: 1000,
        });
        let clock = Clock::default();
        let engines = engines.iter();
        let engines = engines.map(|(dies, slower)| Arc::new(Simulated::new(&clock, &world, *dies, *slower)));
        let engines = engines.collect::<Vec<_>>();
        let members = engines
            .iter()
            .enumerate()
            .map(|(index, engine)| Member::new(format!("ssh://{index}"), engine.clone(), "sha256:there".to_owned()));
        let members = members.collect::<Vec<_>>();
        let mut trial = Case::of(&[]).trial;
        trial.stages = schedule::divided(&ids, &known, shards)
            .into_iter()
            .map(|tests| Stage::suite(&[]).of_tests(tests))
            .collect();
        trial.expected = ids;
        trial.request.known = known;
        trial.spread = Some(Spread {
            image: "sha256:here".to_owned(),
            agent: None,
            at_once: NonZeroUsize::new(1),
            keeps_files: true,
            machines: members.iter().map(|member| member.name().to_owned()).collect(),
            since: None,
        });
        Self {
            clock,
            trial,
            engines,
            members,
        }
    }

    /// Runs it, until somebody interrupts it at a time.
    pub fn run_until(&self, interrupted: Option<Time>) -> Ran {
        let events = Memory::default();
        let machines = self.members.iter().map(|member| member as &dyn Containers);
        let machines = machines.collect::<Vec<_>>();
        let stop = async {
            match interrupted {
                Some(time) => self.clock.until(time).await,
                None => std::future::pending().await,
            }
        };
        let owner = Owner::current();
        let run = run(&self.trial, &machines, &owner, &events, (stop, std::future::pending()));
        let ended = self.clock.run(run);
        let problem = match &ended {
            Ok(ended) => ended.problem.clone(),
            Err(error) => Some(error.to_string()),
        };
        let events = events.events();
        let mut tally = Tally::default();
        for event in &events {
            tally.take(event);
        }
        tally.take(&tally.finish(problem, 1.0));
        Ran {
            outcome: tally.outcome(),
            ended,
            events,
            time: self.clock.now(),
        }
    }

    pub fn run(&self) -> Ran {
        self.run_until(None)
    }
}

impl Ran {
    /// How many verdicts each test has.
    pub fn verdicts(&self) -> BTreeMap<&TestId, usize> {
        let mut verdicts = BTreeMap::new();
        for event in &self.events {
            if let Event::TestFinished(test) = event {
                *verdicts.entry(&test.id).or_default() += 1;
            }
        }
        verdicts
    }

    fn warnings(&self) -> Vec<&str> {
        let texts = self.events.iter().filter_map(|event| match event {
            Event::Warning { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}

/// So many tests, each of which takes so many seconds.
fn tests(seconds: &[Time]) -> Vec<(TestId, Time)> {
    let tests = seconds.iter().enumerate();
    tests
        .map(|(number, seconds)| (TestId::notebook("e", &format!("{number:04}.ipynb")), seconds * 1000))
        .collect()
}

/// An engine that stays, and one that goes away after so many seconds.
const STAYS: (Option<Time>, Time) = (None, 1);

fn dies_at(seconds: Time) -> (Option<Time>, Time) {
    (Some(seconds * 1000 + 500), 1)
}

#[test]
fn a_run_on_two_engines_takes_half_as_long_and_says_where_what_runs() {
    let tests = tests(&[10, 10, 10, 10]);
    let alone = Several::of(&tests, 1, BTreeMap::new(), &[STAYS], &[]).run();
    let both = Several::of(&tests, 2, BTreeMap::new(), &[STAYS, STAYS], &[]).run();
    assert_eq!((alone.time, both.time), (41_000, 21_000));
    assert!(both.outcome.passed, "{:?}", both.outcome.problems);
    let told = both.events.iter().filter_map(|event| match event {
        Event::Note { text } => Some(text.as_str()),
        _ => None,
    });
    let told = told.collect::<Vec<_>>();
    assert_eq!(told, ["shard 1 of 2 runs at ssh://0", "shard 2 of 2 runs at ssh://1"]);
}

#[test]
fn a_slow_engine_takes_fewer_shards() {
    let case = Several::of(&tests(&[10; 12]), 12, BTreeMap::new(), &[STAYS, (None, 3)], &[]);
    assert!(case.run().outcome.passed);
    let started = case.engines.iter().map(|engine| engine.started()).collect::<Vec<_>>();
    assert_eq!(started, [9, 3]);
}

#[test]
fn what_had_no_verdict_when_an_engine_went_away_runs_on_another_and_the_engine_is_named() {
    let case = Several::of(
        &tests(&[10, 10, 10, 10]),
        2,
        BTreeMap::new(),
        &[STAYS, dies_at(15)],
        &[],
    );
    let ran = case.run();
    assert!(ran.outcome.passed, "{:?}", ran.outcome.problems);
    assert!(ran.verdicts().values().all(|verdicts| *verdicts == 1));
    let [warning] = ran.warnings()[..] else {
        panic!("{:?}", ran.warnings())
    };
    assert!(warning.contains("ssh://1 starts no more containers"), "{warning}");
    assert!(
        warning.contains("another runs the test that it had not reported"),
        "{warning}"
    );
    // What the other one had to do came first, and then one test again.
    assert_eq!(ran.time, 32_000);
}

#[test]
fn where_no_engine_is_left_each_test_says_so_and_the_call_may_be_tried_again() {
    let tests = tests(&[10, 10, 10, 10, 10, 10]);
    let ran = Several::of(&tests, 6, BTreeMap::new(), &[dies_at(15), dies_at(15)], &[]).run();
    let error = ran.ended.unwrap_err();
    assert_eq!(crate::fault::Explained::kind(&error), crate::fault::Kind::Temporary);
    assert!(!ran.outcome.passed);
    assert_eq!((ran.outcome.summary.passed, ran.outcome.summary.failed), (2, 4));
    let causes = ran.outcome.failures().map(|(_, cause)| cause);
    for cause in causes {
        assert_eq!(cause.kind, CauseKind::Infra);
        assert!(cause.message.contains("Connection refused"), "{}", cause.message);
    }
}

#[test]
fn an_interrupt_leaves_no_container_on_any_engine_and_begins_no_more() {
    let case = Several::of(&tests(&[10; 9]), 9, BTreeMap::new(), &[STAYS; 3], &[]);
    let ran = case.run_until(Some(5000));
    assert!(ran.ended.unwrap().stopped);
    assert!(!ran.outcome.passed);
    for engine in &case.engines {
        assert_eq!((engine.started(), engine.holds()), (1, 0));
    }
}

#[test]
fn the_time_limit_of_a_run_holds_for_what_waits_as_well() {
    let mut case = Several::of(&tests(&[10; 3]), 3, BTreeMap::new(), &[STAYS], &[]);
    case.trial.limit = Some(std::time::Duration::ZERO);
    let ran = case.run();
    assert!(!ran.outcome.passed);
    assert!(
        ran.outcome.problems[0].contains("longer than 0 s"),
        "{:?}",
        ran.outcome.problems
    );
}

proptest! {
    #[test]
    fn engines_that_go_away_at_any_moment_never_make_a_run_read_as_green(
        seconds in prop::collection::vec(0_u64..20, 1..12),
        shards in 1_usize..8,
        dies in prop::collection::vec(prop::option::of(0_u64..60_000), 1..5),
        failing in prop::option::weighted(0.3, 0_usize..12),
    ) {
        let tests = tests(&seconds);
        let failing = failing.and_then(|place| tests.get(place)).map(|(id, _)| id.clone());
        let failing = Vec::from_iter(failing);
        let engines = dies.iter().map(|dies| (*dies, 1)).collect::<Vec<_>>();
        let ran = Several::of(&tests, shards, BTreeMap::new(), &engines, &failing).run();
        let lost = dies.iter().filter(|dies| dies.is_some()).count();
        if ran.outcome.passed {
            prop_assert!(failing.is_empty());
            prop_assert!(tests.iter().all(|(id, _)| ran.verdicts().get(id) == Some(&1)));
        }
        if lost < dies.len() && lost < ATTEMPTS {
            // Whoever is left does it all.
            prop_assert_eq!(ran.outcome.passed, failing.is_empty(), "{:?}", ran.outcome.problems);
            prop_assert!(tests.iter().all(|(id, _)| ran.verdicts().get(id) == Some(&1)));
        }
    }
}
