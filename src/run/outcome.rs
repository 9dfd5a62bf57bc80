//! The rule that decides trust: what a run amounts to, derived from its events alone.
//!
//! A run has passed when everything that should have happened is known to have happened. Silence is never success:
//! a test that was expected and not reported, a set of tests that did not end, a log that stops early and a run of no
//! tests are all failures, and each is named.

mod logs;
mod parts;

use std::collections::{HashMap, HashSet};

use crate::event::{Cause, CauseKind, Event, FORMAT, Part, Record, RunStarted, Summary, TestFinished, Verdict};
use crate::reference::{Digest, TestId};

/// What a run amounts to.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Outcome {
    /// The run, where its beginning is known. Of several runs read as one, the first.
    pub run: Option<Run>,
    /// Every test that ended or should have, once each: those that ended in the order in which they did, then those
    /// that were interrupted, then those that never began. The latter two have the cause [`CauseKind::NotRun`].
    pub tests: Vec<TestFinished>,
    /// How many tests there are in `tests`, by verdict.
    pub summary: Summary,
    /// What went wrong outside any one test. A run with a problem has not passed.
    pub problems: Vec<String>,
    /// What a person should know that does not decide the outcome by itself.
    pub notes: Vec<String>,
    /// How long the run took, where its end is known.
    pub seconds: Option<f64>,
    /// Whether every expected test is known to have passed or to have been skipped on request, at least one ran, and
    /// nothing else went wrong.
    pub passed: bool,
}

/// Which run it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The run's ID.
    pub id: String,
    /// The mission under test.
    pub mission: String,
    /// The ID of the image under test.
    pub image: Digest,
}

impl Outcome {
    /// The outcome of the run whose log is `records`.
    ///
    /// The logs of several runs one after the other give one outcome, by the rule of [`Self::merged`].
    pub fn of(records: &[Record]) -> Self {
        Tally::of(records).outcome()
    }

    /// The outcome of what must be whole: of each mission one undivided run, or every part of a divided one. It passed
    /// only if each run ended, all that any of them expected passed, and nothing is missing or there twice.
    pub fn merged(records: &[Record]) -> Self {
        Tally::of(records).whole(true)
    }

    /// The tests that failed, in order.
    pub fn failures(&self) -> impl Iterator<Item = (&TestFinished, &Cause)> {
        self.tests.iter().filter_map(|test| match &test.verdict {
            Verdict::Failed(cause) => Some((test, cause)),
            _ => None,
        })
    }
}

/// Keeps account of a run while it happens.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    runs: Vec<RunStarted>,
    runs_finished: usize,
    run_claims_failure: bool,
    seconds: Option<f64>,
    suites_started: usize,
    suites_finished: usize,
    foreign_formats: Vec<u32>,
    expected: Names,
    started: Names,
    finished: Vec<TestFinished>,
    position: HashMap<TestId, usize>,
    /// Results received, doubled ones counted each time.
    received: Summary,
    /// Results that the agent says it sent.
    sent: Summary,
    problems: Vec<String>,
    notes: Vec<String>,
}

impl Tally {
    fn of(records: &[Record]) -> Self {
        let mut tally = Self::default();
        for record in records {
            tally.take(&record.event);
        }
        tally.problems.extend(logs::problems(records));
        tally
    }

    /// Takes account of one event.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::RunStarted(begun) => {
                self.format(begun.format);
                self.expected.extend(&begun.expected);
                self.runs.push(begun.clone());
            }
            Event::SuiteStarted { format, tests, .. } => {
                self.suites_started += 1;
                self.format(*format);
                self.expected.extend(tests);
            }
            Event::ScriptStarted { format } => self.format(*format),
            Event::TestStarted { id, .. } => self.started.extend([id]),
            Event::TestFinished(test) => self.test_finished(test),
            Event::SuiteFinished { summary } => {
                self.suites_finished += 1;
                self.sent.passed += summary.passed;
                self.sent.failed += summary.failed;
                self.sent.skipped += summary.skipped;
            }
            Event::RunFinished {
                passed,
                problem,
                seconds,
                ..
            } => {
                self.runs_finished += 1;
                self.run_claims_failure |= !passed;
                self.problems.extend(problem.clone());
                self.seconds = Some(self.seconds.unwrap_or(0.0) + seconds);
            }
            _ => {}
        }
    }

    /// The event that ends the run: its summary and verdict by the rule, with `problem` if the host knows of one.
    #[must_use]
    pub fn finish(&self, problem: Option<String>, seconds: f64) -> Event {
        let mut tally = self.clone();
        tally.problems.extend(problem);
        let Outcome {
            summary,
            problems,
            passed,
            ..
        } = tally.so_far();
        Event::RunFinished {
            summary,
            passed,
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
            seconds,
        }
    }

    /// The outcome of a whole run, from its beginning to its end on the host.
    pub fn outcome(&self) -> Outcome {
        self.whole(false)
    }

    /// The same, where a part of a divided run counts only with its other parts if it is to be `complete`.
    fn whole(&self, complete: bool) -> Outcome {
        let mut outcome = self.so_far();
        let mut missing = parts::problems(&self.runs, complete);
        if self.runs.is_empty() {
            missing.push("the beginning of the run is not known".to_owned());
        }
        if self.runs_finished < self.runs.len() {
            missing.push("the run did not end: its log stops early".to_owned());
        }
        if self.run_claims_failure && outcome.passed {
            missing.push("the run ended as failed, but no test of it did".to_owned());
        }
        outcome.passed &= missing.is_empty();
        outcome.problems.extend(missing);
        outcome
    }

    /// The outcome by what is known so far, as if the run ended here: for what runs tests without being a run of the
    /// host.
    pub fn so_far(&self) -> Outcome {
        let mut tests = self.finished.clone();
        let unfinished = |id: &&TestId| !self.position.contains_key(*id);
        for id in self.started.order.iter().filter(unfinished) {
            tests.push(lost(id, "it began, but its end was never reported"));
        }
        for id in self.expected.order.iter().filter(unfinished) {
            if !self.started.known.contains(id) {
                tests.push(lost(id, "it was expected, but never reported"));
            }
        }
        let mut summary = Summary::default();
        for test in &tests {
            summary.take(test);
        }
        // Of a part of a divided run, the other parts may hold all that runs.
        let problems = self.all_problems(self.any_ran() || self.part().is_some());
        let mut notes = self.notes.clone();
        if let Some(part) = self.part() {
            notes.push(format!(
                "this is part {} of {}, and stands for no other",
                part.index, part.of
            ));
        }
        Outcome {
            run: self.runs.first().map(|begun| Run {
                id: begun.run.clone(),
                mission: begun.mission.clone(),
                image: begun.image.clone(),
            }),
            passed: problems.is_empty() && summary.failed == 0,
            tests,
            summary,
            problems,
            notes,
            seconds: self.seconds,
        }
    }

    /// Which of several parts this is, where it is one of them.
    fn part(&self) -> Option<Part> {
        match self.runs.as_slice() {
            [run] => run.part.filter(|part| part.of > 1),
            _ => None,
        }
    }

    /// How many results were received, by verdict; doubled ones count each time.
    #[must_use]
    pub fn received(&self) -> Summary {
        self.received
    }

    /// Whether any test ran, to its end or not.
    #[must_use]
    pub fn any_ran(&self) -> bool {
        self.received.ran() > 0 || !self.started.order.is_empty()
    }

    /// How many tests are known to be expected.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.expected.order.len()
    }

    fn format(&mut self, format: u32) {
        if format != FORMAT && !self.foreign_formats.contains(&format) {
            self.foreign_formats.push(format);
        }
    }

    fn test_finished(&mut self, test: &TestFinished) {
        self.received.take(test);
        if let Some(&position) = self.position.get(&test.id) {
            let known = &mut self.finished[position];
            if severity(&test.verdict) > severity(&known.verdict) {
                *known = test.clone();
            }
            let note = format!("{} was reported more than once; the worst result counts", test.id);
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        } else {
            self.position.insert(test.id.clone(), self.finished.len());
            self.finished.push(test.clone());
        }
    }

    /// The problems that were reported, then those that follow from the events and were not reported already.
    fn all_problems(&self, any_ran: bool) -> Vec<String> {
        let mut problems = self.problems.clone();
        let mut add = |problem: String| {
            if !problems.iter().any(|known| known.contains(&problem)) {
                problems.push(problem);
            }
        };
        for format in &self.foreign_formats {
            add(format!(
                "events of format {format} were received, but this floe reads format {FORMAT}"
            ));
        }
        if self.suites_finished != self.suites_started {
            add(format!(
                "sets of tests that began: {}, that ended: {}",
                self.suites_started, self.suites_finished
            ));
        }
        let lost = [
            (self.sent.passed, self.received.passed),
            (self.sent.failed, self.received.failed),
            (self.sent.skipped, self.received.skipped),
        ]
        .iter()
        .map(|(sent, received)| sent.saturating_sub(*received))
        .sum::<usize>();
        if lost > 0 {
            add(format!("results that were sent and not received: {lost}"));
        }
        // What is carried ran, though not now.
        if !any_ran && self.received.carried == 0 {
            add("no test ran".to_owned());
        }
        problems
    }
}

/// Test IDs in the order in which they were first named.
#[derive(Debug, Clone, Default)]
struct Names {
    order: Vec<TestId>,
    known: HashSet<TestId>,
}

impl Names {
    fn extend<'a>(&mut self, ids: impl IntoIterator<Item = &'a TestId>) {
        for id in ids {
            if self.known.insert(id.clone()) {
                self.order.push(id.clone());
            }
        }
    }
}

/// Which of two results of one test counts. One that was skipped proves nothing, so it outweighs a pass.
fn severity(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Passed => 0,
        Verdict::Skipped { .. } => 1,
        Verdict::Failed(_) => 2,
    }
}

fn lost(id: &TestId, message: &str) -> TestFinished {
    TestFinished::new(id.clone(), Verdict::Failed(Cause::new(CauseKind::NotRun, message)))
}

#[cfg(test)]
mod tests;
