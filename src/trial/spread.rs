//! Containers beside each other, each on whatever machine has room for it: one run, one log, one report.
//!
//! Each container has a key of its own and may speak of its own tests alone, so that no record of one passes for another's.
//! A container may be taken away before its end. What it had reported counts, and another one runs what it had not: a test
//! without a verdict is expected as long as the run lasts, so what nobody reports is never green.

mod queue;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::time::Instant;

use self::queue::Queue;
use self::workers::Workers;
use super::interruption::Interruption;
use super::{Ended, Owner, Stage, Trial, passed, run_stage};
use crate::engine::{Containers, EngineError};
use crate::event::{Cause, CauseKind, Event, Sink, Summary, TestFinished, Verdict};
use crate::reference::{ImageReference, TestId};
use crate::suite::request::Expected;
use crate::suite::runner::schedule;

/// How containers run beside each other.
#[derive(Debug, Clone)]
pub struct Spread {
    /// The image, as what runs the containers knows it: by digest, where machines pull it.
    pub image: String,
    /// What holds the agent, by digest, where machines pull it.
    pub agent: Option<ImageReference>,
    /// How many containers run at a time, on each of the machines that floe chooses from; all, if `None`.
    pub at_once: Option<NonZeroUsize>,
    /// Whether a container that has ended still has its files.
    pub keeps_files: bool,
    /// What the machines are called that floe chooses from; none, where it is a cluster that chooses.
    pub machines: Vec<String>,
}

/// How often a container is started for tests whose container was taken away, at most.
const ATTEMPTS: usize = 3;

/// Runs every stage of a trial beside the others, until all have ended, those first that should take longest. A fault that keeps
/// one from its tests keeps no other from its own.
pub(super) async fn run(
    trial: &Trial,
    machines: &[&dyn Containers],
    process: &Owner,
    events: &dyn Sink,
    (stop, kill): (impl Future<Output = ()>, impl Future<Output = ()>),
) -> Result<Ended, EngineError> {
    let (stop, kill) = (stop.shared(), kill.shared());
    let of = trial.stages.len();
    let at_once = trial.spread.as_ref().and_then(|spread| spread.at_once);
    let queue = Queue::new(machines.len(), at_once.map(NonZeroUsize::get));
    let workers = Mutex::default();
    let tests = trial.stages.iter().map(|stage| stage.expected(&trial.expected));
    let tests = tests.collect::<Vec<_>>();
    let places = places(&tests, &trial.request.known);
    let shards = trial
        .stages
        .iter()
        .zip(tests)
        .enumerate()
        .map(|(index, (stage, tests))| {
            let shard = Shard {
                name: format!("shard {} of {of}", index + 1),
                place: places[index],
                trial,
                stage,
                tests,
                events,
                workers: &workers,
            };
            let (queue, stop, kill) = (&queue, stop.clone(), kill.clone());
            async move { shard.run(machines, queue, process, (stop, kill)).await }
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

/// The place in the queue of each of several sets of tests: what should take longest comes first.
fn places(tests: &[Vec<TestId>], known: &BTreeMap<TestId, Expected>) -> Vec<usize> {
    let seconds = tests.iter().map(|tests| schedule::seconds(tests, known));
    let seconds = seconds.collect::<Vec<_>>();
    let mut order = (0..tests.len()).collect::<Vec<_>>();
    order.sort_by(|a, b| seconds[*b].total_cmp(&seconds[*a]));
    let mut places = vec![0; order.len()];
    for (place, index) in order.into_iter().enumerate() {
        places[index] = place;
    }
    places
}

/// One stage of the trial among others.
struct Shard<'a> {
    name: String,
    /// Its place in the queue.
    place: usize,
    trial: &'a Trial,
    stage: &'a Stage,
    tests: Vec<TestId>,
    events: &'a dyn Sink,
    workers: &'a Mutex<Workers>,
}

impl Shard<'_> {
    async fn run(
        &self,
        machines: &[&dyn Containers],
        queue: &Queue,
        process: &Owner,
        (stop, kill): (
            impl Future<Output = ()> + Clone,
            impl Future<Output = ()> + Clone + Unpin,
        ),
    ) -> Result<Ended, EngineError> {
        let began = Instant::now();
        let left_of_limit = || self.trial.limit.map(|limit| limit.saturating_sub(began.elapsed()));
        let (mut left, mut lost_by) = (self.tests.clone(), BTreeSet::new());
        let mut last = None;
        for attempt in 1.. {
            if left_of_limit() == Some(Duration::ZERO) {
                return Ok(self.overdue());
            }
            let lane = tokio::select! {
                biased;
                () = stop.clone() => return Ok(Ended { stopped: true, ..Ended::default() }),
                lane = queue.lane(self.place, &lost_by) => lane,
                () = passed(left_of_limit()) => return Ok(self.overdue()),
            };
            let Some(lane) = lane else {
                let error = last.unwrap_or_else(|| EngineError::NoneLeft { last: queue.last() });
                return Err(self.give_up(left, error));
            };
            self.tell(lane.machine);
            let part = self.part(&left);
            let heard = Heard::by(self, lane.number());
            let until = (stop.clone(), kill.clone());
            let containers = machines[lane.machine];
            let stage = (&part.stages[0], left_of_limit());
            let error = match run_stage(&part, stage, containers, process, &heard, until).await {
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
            if matches!(error, EngineError::Away { .. }) {
                lane.lose(error.to_string());
            }
            if !error.is_loss() || attempt == ATTEMPTS {
                return Err(self.give_up(left, error));
            }
            self.warn(&error, left.len());
            if left.is_empty() {
                return Ok(Ended::default());
            }
            lost_by.insert(lane.machine);
            last = Some(error);
        }
        Ok(Ended::default())
    }

    /// The end of a shard that waited until the run's time was over.
    fn overdue(&self) -> Ended {
        let limit = self.trial.limit.unwrap_or_default();
        let problem = format!("{}: {}", self.name, Interruption::TimeLimit(limit).problem());
        Ended {
            problem: Some(problem),
            ..Ended::default()
        }
    }

    /// Tells of each test that is left why it has not run.
    fn give_up(&self, left: Vec<TestId>, error: EngineError) -> EngineError {
        let message = format!("{}: {error}", self.name);
        for id in left {
            let verdict = Verdict::Failed(Cause::new(CauseKind::Infra, message.clone()));
            self.events.emit(Event::TestFinished(TestFinished::new(id, verdict)));
        }
        error
    }

    fn keeps_files(&self) -> bool {
        self.trial.spread.as_ref().is_some_and(|spread| spread.keeps_files)
    }

    /// Says on which machine it runs, where floe chose that.
    fn tell(&self, machine: usize) {
        let names = self.trial.spread.as_ref().map(|spread| &spread.machines);
        if let Some(name) = names.and_then(|names| names.get(machine)) {
            let text = format!("{} runs at {name}", self.name);
            self.events.emit(Event::Note { text });
        }
    }

    /// The part of the trial that holds these tests alone.
    fn part(&self, left: &[TestId]) -> Trial {
        let known = &self.trial.request.known;
        let known = left.iter().filter_map(|id| Some((id.clone(), *known.get(id)?)));
        let stage = if left.len() == self.tests.len() {
            self.stage.clone()
        } else {
            self.stage.left(left)
        };
        self.trial.of(left.to_vec(), stage, known.collect())
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
    held: Vec<Event>,
}

impl Sink for Heard<'_> {
    fn emit(&self, event: Event) {
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
    fn by(shard: &'a Shard<'a>, lane: usize) -> Self {
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
