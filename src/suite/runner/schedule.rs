//! What may begin when: the longest test first, no more at a time than there are workers and than fit into memory, and
//! nothing beside a test that runs alone.
//!
//! A schedule is data. It takes what ended and returns what may begin, so its order can be looked at without running
//! anything.

use std::collections::{BTreeMap, VecDeque};

use crate::reference::{TestId, TestKind};
use crate::suite::request::Expected;
use crate::suite::{Mode, TestPlan};

/// A test that is to run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Job {
    /// Its place in the plan.
    pub test: usize,
    /// How long it is expected to take, in seconds.
    pub seconds: f64,
    /// How much memory it is expected to take, in bytes.
    pub memory: u64,
    /// Whether it runs beside no other.
    pub alone: bool,
}

/// Which tests run, and which are still to.
#[derive(Debug)]
pub struct Schedule {
    waiting: VecDeque<Job>,
    running: BTreeMap<u32, Job>,
    workers: u32,
    memory: Option<u64>,
}

impl Schedule {
    /// The schedule of `jobs`, in the order in which [`jobs`] has them, for so many workers, at least one, and so much
    /// memory.
    #[must_use]
    pub fn new(jobs: Vec<Job>, workers: usize, memory: Option<u64>) -> Self {
        Self {
            waiting: jobs.into(),
            running: BTreeMap::new(),
            workers: u32::try_from(workers).unwrap_or(u32::MAX).max(1),
            memory,
        }
    }

    /// Begins the next test that may, if one may: returns its place in the plan, and the worker that it is given.
    pub fn begin(&mut self) -> Option<(u32, usize)> {
        let worker = (1..=self.workers).find(|worker| !self.running.contains_key(worker))?;
        let place = self.waiting.iter().position(|job| self.may_begin(job))?;
        let job = self.waiting.remove(place)?;
        self.running.insert(worker, job);
        Some((worker, job.test))
    }

    /// Takes note that the test of a worker has ended.
    pub fn end(&mut self, worker: u32) {
        self.running.remove(&worker);
    }

    /// Gives up what has not begun, and returns it.
    pub fn give_up(&mut self) -> Vec<usize> {
        self.waiting.drain(..).map(|job| job.test).collect()
    }

    fn may_begin(&self, job: &Job) -> bool {
        // One test may always run: if it does not fit, nothing else can make it.
        if self.running.is_empty() {
            return true;
        }
        if job.alone || self.running.values().any(|running| running.alone) {
            return false;
        }
        let taken = self.running.values().map(|running| running.memory).sum::<u64>();
        self.memory
            .is_none_or(|memory| taken.saturating_add(job.memory) <= memory)
    }
}

/// The tests of a plan that are to run, in the order in which they begin: those that run beside others first, in both
/// groups the longest first, and those that nothing tells apart as in the plan.
#[must_use]
pub fn jobs(plan: &TestPlan, known: &BTreeMap<TestId, Expected>) -> Vec<Job> {
    let tests = plan.tests().iter().enumerate();
    let mut jobs = tests
        .filter(|(_, test)| matches!(test.mode, Mode::Parallel | Mode::Alone))
        .map(|(place, test)| {
            let id = test.id();
            let (seconds, memory) = guess(id.kind);
            let expected = known.get(&id);
            Job {
                test: place,
                seconds: expected.map_or(seconds, |known| known.seconds),
                memory: expected.and_then(|known| known.memory).unwrap_or(memory),
                alone: test.mode == Mode::Alone,
            }
        })
        .collect::<Vec<_>>();
    jobs.sort_by(|a, b| a.alone.cmp(&b.alone).then(b.seconds.total_cmp(&a.seconds)));
    jobs
}

/// Divides tests into `parts` that take about as long as each other, by what is known of them: the longest first, each to the
/// part that has the least. Parts that would hold nothing are left out.
#[must_use]
pub fn divided(tests: &[TestId], known: &BTreeMap<TestId, Expected>, parts: usize) -> Vec<Vec<TestId>> {
    let seconds = |id: &TestId| seconds_of(id, known);
    let mut longest_first = tests.iter().collect::<Vec<_>>();
    longest_first.sort_by(|a, b| seconds(b).total_cmp(&seconds(a)));
    let mut divided = vec![(0.0_f64, Vec::new()); parts.max(1)];
    for id in longest_first {
        // Tests that are known to take no time are spread, too.
        let least = divided
            .iter_mut()
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.len().cmp(&b.1.len())));
        if let Some((taken, part)) = least {
            *taken += seconds(id);
            part.push(id.clone());
        }
    }
    let parts = divided.into_iter().map(|(_, part)| part);
    parts.filter(|part| !part.is_empty()).collect()
}

/// How long tests are expected to take, one after the other, in seconds.
#[must_use]
pub fn seconds(tests: &[TestId], known: &BTreeMap<TestId, Expected>) -> f64 {
    tests.iter().map(|id| seconds_of(id, known)).sum()
}

fn seconds_of(id: &TestId, known: &BTreeMap<TestId, Expected>) -> f64 {
    known.get(id).map_or(guess(id.kind).0, |known| known.seconds)
}

/// What a test of which nothing is known is expected to take, in seconds and bytes. A new one that runs long should not
/// come last, so it is expected to.
fn guess(kind: TestKind) -> (f64, u64) {
    const MIB: u64 = 1 << 20;
    match kind {
        TestKind::Notebook => (60.0, 512 * MIB),
        TestKind::Import => (2.0, 256 * MIB),
        _ => (30.0, 512 * MIB),
    }
}

#[cfg(test)]
mod tests;
