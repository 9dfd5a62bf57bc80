//! What one container says, as one of several: its workers among all, and what counts of it once it is gone.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::Shard;
use crate::event::{Cause, CauseKind, Event, Sink, Summary, TestFinished, Verdict};
use crate::reference::TestId;

/// Passes on what one container says, as one of several.
pub(super) struct Heard<'a> {
    shard: &'a Shard<'a>,
    lane: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many workers are before those of the lane.
    base: Option<u32>,
    begun: BTreeSet<TestId>,
    finished: BTreeSet<TestId>,
    /// Sets of tests that began and have not ended.
    open: usize,
    received: Summary,
    sent: Summary,
    /// What an agent says that is asked to end, by whom it does not know: it counts only if the container was not taken
    /// away.
    held: Vec<(Option<Timestamp>, Event)>,
}

impl Sink for Heard<'_> {
    fn emit(&self, event: Event) {
        self.take(None, event);
    }

    fn emit_at(&self, at: Timestamp, event: Event) {
        self.take(Some(at), event);
    }
}

impl Heard<'_> {
    fn take(&self, at: Option<Timestamp>, event: Event) {
        let mut state = self.state();
        let event = match event {
            Event::SuiteStarted { format, tests, jobs } => {
                state.open += 1;
                let own = u32::try_from(jobs).unwrap_or(u32::MAX);
                let mut workers = self.shard.workers.lock().unwrap_or_else(PoisonError::into_inner);
                let (base, all) = workers.of(self.lane, own);
                state.base.get_or_insert(base);
                let jobs = usize::try_from(all).unwrap_or(usize::MAX);
                Event::SuiteStarted { format, tests, jobs }
            }
            Event::TestStarted { id, attempt, worker } => {
                state.begun.insert(id.clone());
                let worker = worker.saturating_add(state.base.unwrap_or(0));
                Event::TestStarted { id, attempt, worker }
            }
            Event::TestFinished(mut test) => {
                if !self.shard.keeps_files() {
                    // It stays in its container.
                    test.notebook = None;
                }
                test.worker = test.worker.saturating_add(state.base.unwrap_or(0));
                if was_ended(&test) {
                    state.held.push((at, Event::TestFinished(test)));
                    return;
                }
                state.finished.insert(test.id.clone());
                state.received.count(&test.verdict);
                Event::TestFinished(test)
            }
            Event::SuiteFinished { .. } if !state.held.is_empty() => {
                state.held.push((at, event));
                return;
            }
            Event::SuiteFinished { summary } => {
                state.open = state.open.saturating_sub(1);
                state.sent.add(summary);
                event
            }
            other => other,
        };
        self.pass(at, event);
    }

    fn pass(&self, at: Option<Timestamp>, event: Event) {
        match at {
            Some(at) => self.shard.events.emit_at(at, event),
            None => self.shard.events.emit(event),
        }
    }
}

impl<'a> Heard<'a> {
    pub(super) fn by(shard: &'a Shard<'a>, lane: usize) -> Self {
        Self {
            shard,
            lane,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what was held back: the container came to its own end.
    pub(super) fn ended(&self) {
        let held = std::mem::take(&mut self.state().held);
        for (at, event) in held {
            if let Event::TestFinished(test) = &event {
                self.state().finished.insert(test.id.clone());
            }
            self.pass(at, event);
        }
    }

    /// Ends what the container began and did not end: what it has reported so far is all that it ever will. Returns those of
    /// its tests that have no verdict.
    pub(super) fn cut_off(&self, tests: &[TestId]) -> Vec<TestId> {
        let state = self.state();
        let mut rest = Summary {
            passed: state.received.passed.saturating_sub(state.sent.passed),
            failed: state.received.failed.saturating_sub(state.sent.failed),
            skipped: state.received.skipped.saturating_sub(state.sent.skipped),
            ..Summary::default()
        };
        for _ in 0..state.open {
            let summary = std::mem::take(&mut rest);
            self.shard.events.emit(Event::SuiteFinished { summary });
        }
        let left = tests.iter().filter(|id| !state.finished.contains(id));
        left.cloned().collect()
    }

    /// Gives the tests that began and did not end a verdict of this kind.
    pub(super) fn fail_begun(&self, kind: CauseKind, message: &str) {
        let state = self.state();
        for id in state.begun.difference(&state.finished) {
            let verdict = Verdict::Failed(Cause::new(kind, message));
            let test = TestFinished::new(id.clone(), verdict);
            self.shard.events.emit(Event::TestFinished(test));
        }
    }
}

/// Whether a test has no verdict of its own, since its agent was asked to end.
fn was_ended(test: &TestFinished) -> bool {
    matches!(&test.verdict, Verdict::Failed(cause) if cause.kind == CauseKind::NotRun)
}
