//! Containers beside each other, each on whatever machine has room for it: one run, one log, one report.
//!
//! Each container has a key of its own and may speak of its own tests alone, so that no record of one passes for another's.
//! A container may be taken away before its end. What it had reported counts, and another one runs what it had not: a test
//! without a verdict is expected as long as the run lasts, so what nobody reports is never green.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::{Ended, Owner, Stage, Trial, run_stage};
use crate::engine::{Containers, EngineError};
use crate::event::{Cause, CauseKind, Event, Sink, Summary, TestFinished, Verdict};
use crate::reference::{ImageReference, TestId};

/// How containers run beside each other.
#[derive(Debug, Clone)]
pub struct Spread {
    /// What the machines pull: the image, by digest.
    pub image: ImageReference,
    /// What holds the agent, by digest.
    pub agent: ImageReference,
}

/// How often a container is started for tests whose container was taken away, at most.
const ATTEMPTS: usize = 3;

/// Runs every stage of a trial beside the others, until all have ended. A fault that keeps one from its tests keeps no other
/// from its own.
pub(super) async fn run(
    trial: &Trial,
    containers: &dyn Containers,
    process: &Owner,
    events: &dyn Sink,
    (stop, kill): (impl Future<Output = ()>, impl Future<Output = ()>),
) -> Result<Ended, EngineError> {
    let (stop, kill) = (stop.shared(), kill.shared());
    let (lanes, of) = (AtomicU32::new(0), trial.stages.len());
    let shards = trial.stages.iter().enumerate().map(|(index, stage)| {
        let shard = Shard {
            name: format!("shard {} of {of}", index + 1),
            trial,
            stage,
            events,
            lanes: &lanes,
        };
        let (stop, kill) = (stop.clone(), kill.clone());
        async move { shard.run(containers, process, (stop, kill)).await }
    });
    let mut problems = Vec::new();
    let mut whole = Ended::default();
    let mut error = None;
    for ended in join_all(shards).await {
        match ended {
            Ok(ended) => {
                problems.extend(ended.problem);
                whole.stopped |= ended.stopped;
                whole.out_of_memory |= ended.out_of_memory;
            }
            Err(broken) => error = error.or(Some(broken)),
        }
    }
    match error {
        Some(error) if !whole.stopped => Err(error),
        _ => Ok(Ended {
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
            ..whole
        }),
    }
}

/// One stage of the trial among others.
struct Shard<'a> {
    name: String,
    trial: &'a Trial,
    stage: &'a Stage,
    events: &'a dyn Sink,
    /// How many tests run at a time in the containers that have begun.
    lanes: &'a AtomicU32,
}

impl Shard<'_> {
    async fn run(
        &self,
        containers: &dyn Containers,
        process: &Owner,
        (stop, kill): (
            impl Future<Output = ()> + Clone,
            impl Future<Output = ()> + Clone + Unpin,
        ),
    ) -> Result<Ended, EngineError> {
        let began = Instant::now();
        let mut left = self.stage.expected(&self.trial.expected);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let part = self.part(&left);
            let limit = part.limit.map(|limit| limit.saturating_sub(began.elapsed()));
            let heard = Heard::by(self);
            let until = (stop.clone(), kill.clone());
            let ended = run_stage(&part, (&part.stages[0], limit), containers, process, &heard, until).await;
            let error = match ended {
                Ok(mut ended) => {
                    heard.ended();
                    if ended.out_of_memory {
                        heard.fail_begun(CauseKind::Oom, ended.problem.as_deref().unwrap_or_default());
                    }
                    ended.problem = ended.problem.map(|problem| format!("{}: {problem}", self.name));
                    return Ok(ended);
                }
                Err(error) => error,
            };
            left = heard.cut_off(&left);
            let again = matches!(error, EngineError::Lost { .. }) && attempt < ATTEMPTS;
            if again {
                self.warn(&error, left.len());
                if left.is_empty() {
                    return Ok(Ended::default());
                }
            } else {
                let message = format!("{}: {error}", self.name);
                for id in left {
                    let cause = Cause::new(CauseKind::Infra, message.clone());
                    let verdict = Verdict::Failed(cause);
                    self.events.emit(Event::TestFinished(TestFinished::new(id, verdict)));
                }
                return Err(error);
            }
        }
    }

    /// The part of the trial that holds these tests alone.
    fn part(&self, left: &[TestId]) -> Trial {
        let whole = left.len() == self.stage.expected(&self.trial.expected).len();
        let mut part = Trial {
            expected: left.to_vec(),
            stages: vec![if whole {
                self.stage.clone()
            } else {
                self.stage.left(left)
            }],
            ..self.trial.clone()
        };
        part.request.known.retain(|id, _| left.contains(id));
        part
    }

    fn warn(&self, error: &EngineError, left: usize) {
        let rest = match left {
            0 => "it had reported all of its tests".to_owned(),
            1 => "another runs the test that it had not reported".to_owned(),
            left => format!("another runs the {left} tests that it had not reported"),
        };
        let text = format!(
            "{}: {error}; {rest}. Whether tests changed what others ran with there is not known",
            self.name
        );
        self.events.emit(Event::Warning { text });
    }
}

/// Passes on what one container says, as one of several.
struct Heard<'a> {
    shard: &'a Shard<'a>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many tests run at a time in the containers before this one.
    base: Option<u32>,
    begun: BTreeSet<TestId>,
    finished: BTreeSet<TestId>,
    /// Sets of tests that began and have not ended.
    open: usize,
    received: Summary,
    sent: Summary,
    /// What an agent says that is asked to end, by whom it does not know: it counts only if the container was not taken
    /// away.
    held: Vec<Event>,
}

impl Sink for Heard<'_> {
    fn emit(&self, event: Event) {
        let mut state = self.state();
        let event = match event {
            Event::SuiteStarted { format, tests, jobs } => {
                state.open += 1;
                let own = u32::try_from(jobs).unwrap_or(u32::MAX);
                let lanes = self.shard.lanes;
                let base = *state
                    .base
                    .get_or_insert_with(|| lanes.fetch_add(own, Ordering::Relaxed));
                let all = base.saturating_add(own);
                let jobs = usize::try_from(all).unwrap_or(usize::MAX);
                Event::SuiteStarted { format, tests, jobs }
            }
            Event::TestStarted { id, attempt, worker } => {
                state.begun.insert(id.clone());
                let worker = worker.saturating_add(state.base.unwrap_or(0));
                Event::TestStarted { id, attempt, worker }
            }
            Event::TestFinished(mut test) => {
                // It stays in its container.
                test.notebook = None;
                test.worker = test.worker.saturating_add(state.base.unwrap_or(0));
                if was_ended(&test) {
                    state.held.push(Event::TestFinished(test));
                    return;
                }
                state.finished.insert(test.id.clone());
                state.received.count(&test.verdict);
                Event::TestFinished(test)
            }
            Event::SuiteFinished { .. } if !state.held.is_empty() => {
                state.held.push(event);
                return;
            }
            Event::SuiteFinished { summary } => {
                state.open = state.open.saturating_sub(1);
                state.sent.add(summary);
                event
            }
            other => other,
        };
        self.shard.events.emit(event);
    }
}

impl<'a> Heard<'a> {
    fn by(shard: &'a Shard<'a>) -> Self {
        Self {
            shard,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what was held back: the container came to its own end.
    fn ended(&self) {
        let held = std::mem::take(&mut self.state().held);
        for event in held {
            if let Event::TestFinished(test) = &event {
                self.state().finished.insert(test.id.clone());
            }
            self.shard.events.emit(event);
        }
    }

    /// Ends what the container began and did not end: what it has reported so far is all that it ever will. Returns those of
    /// its tests that have no verdict.
    fn cut_off(&self, tests: &[TestId]) -> Vec<TestId> {
        let state = self.state();
        let mut rest = Summary {
            passed: state.received.passed.saturating_sub(state.sent.passed),
            failed: state.received.failed.saturating_sub(state.sent.failed),
            skipped: state.received.skipped.saturating_sub(state.sent.skipped),
        };
        for _ in 0..state.open {
            let summary = std::mem::take(&mut rest);
            self.shard.events.emit(Event::SuiteFinished { summary });
        }
        let left = tests.iter().filter(|id| !state.finished.contains(id));
        left.cloned().collect()
    }

    /// Gives the tests that began and did not end a verdict of this kind.
    fn fail_begun(&self, kind: CauseKind, message: &str) {
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

#[cfg(test)]
mod tests;
