//! The order of tests, with a clock that is a number.

use proptest::prelude::*;

use super::*;
use crate::suite::{Subject, Test};

fn job(test: usize, seconds: f64, memory: u64, alone: bool) -> Job {
    Job {
        test,
        seconds,
        memory,
        alone,
    }
}

/// One that ran: which, by which worker, from when to when.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ran {
    test: usize,
    worker: u32,
    from: f64,
    to: f64,
}

/// Runs the jobs as long as they are expected to take.
fn simulate(jobs: &[Job], workers: usize, memory: Option<u64>) -> Vec<Ran> {
    let mut schedule = Schedule::new(jobs.to_vec(), workers, memory);
    let seconds = |test: usize| jobs.iter().find(|job| job.test == test).unwrap().seconds;
    let (mut now, mut running, mut ran) = (0.0, Vec::<Ran>::new(), Vec::new());
    loop {
        while let Some((worker, test)) = schedule.begin() {
            running.push(Ran {
                test,
                worker,
                from: now,
                to: now + seconds(test),
            });
        }
        let Some(next) = (0..running.len()).min_by(|&a, &b| running[a].to.total_cmp(&running[b].to)) else {
            return ran;
        };
        let ended = running.swap_remove(next);
        now = ended.to;
        schedule.end(ended.worker);
        ran.push(ended);
    }
}

fn plan(names: &[(&str, Mode)]) -> TestPlan {
    TestPlan::new(names.iter().map(|(name, mode)| Test {
        environment: "cal".parse().unwrap(),
        subject: if std::path::Path::new(name).extension().is_some() {
            Subject::Notebook {
                name: (*name).to_owned(),
                path: name.into(),
                root: "/".into(),
            }
        } else {
            Subject::Import {
                module: (*name).to_owned(),
            }
        },
        mode: mode.clone(),
    }))
}

fn order(plan: &TestPlan, known: &BTreeMap<TestId, Expected>) -> Vec<String> {
    let names = jobs(plan, known)
        .into_iter()
        .map(|job| plan.tests()[job.test].id().name);
    names.collect()
}

#[test]
fn the_longest_test_by_earlier_runs_begins_first() {
    let plan = plan(&[
        ("quick", Mode::Parallel),
        ("slow", Mode::Parallel),
        ("quick.ipynb", Mode::Parallel),
        ("new.ipynb", Mode::Parallel),
    ]);
    let known = [
        ("imports::slow", 100.0),
        ("imports::quick", 0.3),
        ("notebooks::quick.ipynb", 1.0),
    ];
    let known = known.map(|(name, seconds)| {
        let expected = Expected { seconds, memory: None };
        (format!("cal::{name}").parse().unwrap(), expected)
    });
    assert_eq!(
        order(&plan, &known.into()),
        ["slow", "new.ipynb", "quick.ipynb", "quick"]
    );
}

#[test]
fn without_earlier_runs_notebooks_begin_before_imports_and_else_the_plan_decides() {
    let plan = plan(&[
        ("b", Mode::Parallel),
        ("a", Mode::Parallel),
        ("z.ipynb", Mode::Alone),
        ("y.ipynb", Mode::Parallel),
        ("skipped.ipynb", Mode::Skipped { reason: String::new() }),
    ]);
    assert_eq!(order(&plan, &BTreeMap::new()), ["y.ipynb", "b", "a", "z.ipynb"]);
}

#[test]
fn workers_are_numbered_from_one_and_used_again() {
    let jobs = [(0, 3.0), (1, 2.0), (2, 2.0), (3, 1.0)].map(|(test, seconds)| job(test, seconds, 0, false));
    let mut workers = simulate(&jobs, 2, None);
    workers.sort_by_key(|ran| ran.test);
    assert_eq!(workers.iter().map(|ran| ran.worker).collect::<Vec<_>>(), [1, 2, 2, 1]);
}

#[test]
fn a_test_waits_until_its_memory_is_free_and_a_smaller_one_goes_before_it() {
    let jobs = [job(0, 10.0, 6, false), job(1, 9.0, 5, false), job(2, 8.0, 4, false)];
    let ran = simulate(&jobs, 3, Some(10));
    let begins = ran.iter().map(|ran| (ran.test, ran.from)).collect::<Vec<_>>();
    assert_eq!(begins, [(2, 0.0), (0, 0.0), (1, 10.0)]);
}

#[test]
fn a_test_that_never_fits_runs_by_itself() {
    let jobs = [job(0, 2.0, 100, false), job(1, 1.0, 1, false)];
    let ran = simulate(&jobs, 2, Some(10));
    assert_eq!(ran.len(), 2);
    assert!(ran[1].from >= ran[0].to);
}

#[test]
fn what_has_not_begun_can_be_given_up() {
    let jobs = (0..3).map(|test| job(test, 1.0, 0, false)).collect();
    let mut schedule = Schedule::new(jobs, 1, None);
    assert_eq!(schedule.begin(), Some((1, 0)));
    assert_eq!(schedule.give_up(), [1, 2]);
    schedule.end(1);
    assert_eq!(schedule.begin(), None);
}

proptest! {
    #[test]
    fn every_test_runs_once_and_no_bound_is_ever_broken(
        shapes in prop::collection::vec((1_u8..50, 0_u64..20, prop::bool::weighted(0.2)), 0..40),
        workers in 1_usize..6,
        memory in prop::option::of(1_u64..30),
    ) {
        let mut jobs = shapes.iter().enumerate().map(|(test, &(seconds, memory, alone))| {
            job(test, f64::from(seconds), memory, alone)
        }).collect::<Vec<_>>();
        jobs.sort_by(|a, b| a.alone.cmp(&b.alone).then(b.seconds.total_cmp(&a.seconds)));
        let ran = simulate(&jobs, workers, memory);
        let mut tests = ran.iter().map(|ran| ran.test).collect::<Vec<_>>();
        tests.sort_unstable();
        prop_assert_eq!(tests, (0..shapes.len()).collect::<Vec<_>>());
        for one in &ran {
            let beside = ran.iter().filter(|other| other.from <= one.from && one.from < other.to).collect::<Vec<_>>();
            prop_assert!(beside.len() <= workers);
            let taken = beside.iter().map(|ran| shapes[ran.test].1).sum::<u64>();
            prop_assert!(beside.len() == 1 || memory.is_none_or(|memory| taken <= memory));
            prop_assert!(beside.len() == 1 || beside.iter().all(|ran| !shapes[ran.test].2));
            let mut used = beside.iter().map(|ran| ran.worker).collect::<Vec<_>>();
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), beside.len());
        }
    }
}
