//! Containers beside each other, each on whatever machine has room for it: one run, one log, one report.
//!
//! Each container has a key of its own and may speak of its own tests alone, so that no record of one passes for another's.
//! A container may be taken away before its end. What it had reported counts, and another one runs what it had not: a test
//! without a verdict is expected as long as the run lasts, so what nobody reports is never green.

mod heard;
mod queue;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::heard::Heard;
use self::queue::Queue;
use self::workers::Workers;
use super::interruption::Interruption;
use super::{Begun, Ended, Stage, Trial, hear, passed, run_stage};
use crate::engine::{Containers, EngineError};
use crate::event::{Cause, CauseKind, Event, Sink, TestFinished, Verdict};
use crate::process::Owner;
use crate::reference::{ImageReference, TestId};
use crate::suite::request::Expected;
use crate::suite::runner::schedule;

/// How containers run beside each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// When it began, where it is read of afterwards: what agents say of the time counts then.
    #[serde(skip)]
    pub since: Option<Timestamp>,
}

impl Spread {
    /// Over the pods of a cluster, which pull the image and what holds the agent: each is called by its digest.
    #[must_use]
    pub fn over_pods(image: &ImageReference, agent: ImageReference, at_once: Option<NonZeroUsize>) -> Self {
        Self {
            image: image.to_string(),
            agent: Some(agent),
            at_once,
            keeps_files: false,
            machines: Vec::new(),
            since: None,
        }
    }
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
    until: (impl Future<Output = ()>, impl Future<Output = ()>),
) -> Result<Ended, EngineError> {
    run_on((trial, &[]), machines, process, events, until).await
}

/// The same, where stages may have begun before. Their containers stay.
pub(super) async fn run_on(
    (trial, begun): (&Trial, &[Option<Begun>]),
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
                begun: begun.get(index).and_then(Option::as_ref),
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
    /// The container that runs it already.
    begun: Option<&'a Begun>,
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
            // What runs already is heard, whatever ends it.
            let running = self.begun.filter(|_| attempt == 1);
            let lane = tokio::select! {
                biased;
                () = stop.clone(), if running.is_none() => return Ok(Ended { stopped: true, ..Ended::default() }),
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
            let of = (&part.stages[0], left_of_limit());
            let ended = match running {
                Some(running) => hear(&part, of, running, containers, &heard, until).await,
                None => run_stage(&part, of, containers, process, &heard, until).await,
            };
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

#[cfg(test)]
mod tests;
