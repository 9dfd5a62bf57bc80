//! What all reports say of a run, gathered once from its log.

use std::collections::HashMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::outcome::Outcome;
use super::timeline::Timeline;
use crate::event::{Cause, CauseKind, Event, ImageSize, Part, Record, RunStarted, TestFinished, Verdict};
use crate::reference::TestId;

/// A run, or several read as one, as reports tell of it.
#[derive(Debug, Clone)]
pub struct Account {
    /// What it amounts to.
    pub outcome: Outcome,
    /// How each run began. There are several where parts of a run are read as one.
    pub runs: Vec<RunStarted>,
    /// What ran when.
    pub timeline: Timeline,
    /// When the first event happened.
    pub begun: Option<Timestamp>,
    /// How many tests ran at a time, at most.
    pub jobs: usize,
    /// The attempts that failed and were followed by another, in order.
    attempts: HashMap<TestId, Vec<Attempt>>,
}

/// An attempt at a test that failed and was followed by another.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Which it was, counted from 1.
    pub number: u32,
    /// Why it failed.
    pub cause: Cause,
    /// How long it ran, in seconds.
    pub seconds: f64,
    /// What it printed.
    pub output: String,
}

impl Account {
    /// What the log `records` tells. Logs one after the other are read as one run.
    #[must_use]
    pub fn of(records: &[Record]) -> Self {
        Self::with(Outcome::of(records), records)
    }

    /// The same of logs that must be the whole of something: an undivided run, or every part of a divided one.
    #[must_use]
    pub fn merged(records: &[Record]) -> Self {
        Self::with(Outcome::merged(records), records)
    }

    fn with(outcome: Outcome, records: &[Record]) -> Self {
        let mut account = Self {
            outcome,
            timeline: Timeline::of(records),
            runs: Vec::new(),
            begun: records.first().map(|record| record.at),
            jobs: 0,
            attempts: HashMap::new(),
        };
        for record in records {
            account.take(&record.event);
        }
        account
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::RunStarted(begun) => self.runs.push(begun.clone()),
            Event::SuiteStarted { jobs, .. } => self.jobs = self.jobs.max(*jobs),
            Event::TestRetried {
                id,
                attempt,
                cause,
                seconds,
                output,
            } => self.attempts.entry(id.clone()).or_default().push(Attempt {
                number: *attempt,
                cause: cause.clone(),
                seconds: *seconds,
                output: output.clone(),
            }),
            _ => {}
        }
    }

    /// The attempts at a test before its last one.
    #[must_use]
    pub fn attempts(&self, id: &TestId) -> &[Attempt] {
        self.attempts.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The mission under test.
    #[must_use]
    pub fn mission(&self) -> &str {
        self.runs.first().map(|run| run.mission.as_str()).unwrap_or_default()
    }

    /// What people call the image under test; its ID's beginning where it has no name.
    #[must_use]
    pub fn image(&self) -> String {
        match self.runs.first() {
            Some(run) if run.reference.is_empty() => run.image.short().to_owned(),
            Some(run) => run.reference.clone(),
            None => String::new(),
        }
    }

    /// How large the image under test is, where that is known.
    #[must_use]
    pub fn size(&self) -> Option<&ImageSize> {
        self.runs.iter().find_map(|run| run.size.as_ref())
    }

    /// The parts that were run, where the run was divided.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        self.runs.iter().filter_map(|run| run.part).collect()
    }

    /// The tests that passed only after they had failed.
    pub fn flaky(&self) -> impl Iterator<Item = &TestFinished> {
        self.outcome.tests.iter().filter(|test| test.is_flaky())
    }

    /// How many tests failed, by kind of cause; the most frequent first.
    #[must_use]
    pub fn causes(&self) -> Vec<(CauseKind, usize)> {
        let mut counts = Vec::<(CauseKind, usize)>::new();
        for (_, cause) in self.outcome.failures() {
            match counts.iter_mut().find(|(kind, _)| *kind == cause.kind) {
                Some((_, number)) => *number += 1,
                None => counts.push((cause.kind, 1)),
            }
        }
        counts.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        counts
    }

    /// The tests that took longest, the longest first.
    #[must_use]
    pub fn slowest(&self) -> Vec<&TestFinished> {
        let ran = |test: &&TestFinished| test.seconds > 0.0 && !matches!(test.verdict, Verdict::Skipped { .. });
        let mut tests = self.outcome.tests.iter().filter(ran).collect::<Vec<_>>();
        tests.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        tests
    }

    /// How many tests ran.
    #[must_use]
    pub fn ran(&self) -> usize {
        ran(&self.outcome)
    }

    /// The counts of tests in words: `12 tests run: 10 passed (1 flaky), 2 failed, 1 skipped`.
    #[must_use]
    pub fn counts(&self) -> String {
        counts(&self.outcome)
    }
}

fn ran(outcome: &Outcome) -> usize {
    let not_run = outcome.failures().filter(|(_, cause)| cause.kind == CauseKind::NotRun);
    outcome.summary.ran() - not_run.count()
}

/// The counts of an outcome's tests in words.
#[must_use]
pub fn counts(outcome: &Outcome) -> String {
    let summary = outcome.summary;
    let ran = ran(outcome);
    let not_run = summary.ran() - ran;
    let flaky = outcome.tests.iter().filter(|test| test.is_flaky()).count();
    let mut text = format!(
        "{ran} test{} run: {} passed",
        if ran == 1 { "" } else { "s" },
        summary.passed
    );
    if flaky > 0 {
        let _ = write!(text, " ({flaky} flaky)");
    }
    for (number, word) in [
        (summary.carried, "carried"),
        (summary.failed - not_run, "failed"),
        (not_run, "not run"),
        (summary.skipped, "skipped"),
    ] {
        if number > 0 {
            let _ = write!(text, ", {number} {word}");
        }
    }
    text
}
