//! One test run of an image, seen from the host: a container is started, what the agent in it says becomes events, and
//! nothing is left behind however the run ends.

mod cut;
mod stage;
mod watch;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use self::cut::Cut;
pub use self::stage::Stage;
use self::watch::Watch;
use crate::engine::{Container, ContainerExit, ContainerRequest, Engine, EngineError};
use crate::event::{Cause, CauseKind, Event, Part, RunStarted, Sink, TestFinished, Verdict};
use crate::host::Owner;
use crate::image::label::{MISSION, PID, RUN, STARTED};
use crate::image::variable::{ARTIFACTS, EVENTS};
use crate::reference::{Digest, TestId};

const ARTIFACTS_DIRECTORY: &str = "/tmp/floe-artifacts";

/// How long a container that was asked to end may take to report what became of its tests.
const GRACE: Duration = Duration::from_secs(20);

/// How much longer than the run's limit a container may take to end by itself.
const OVERTIME: Duration = Duration::from_secs(30);

/// How long the rest of the output of a killed container is waited for.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is wrong where a container ends well and has not run what it should.
const UNHEARD: &str =
    "the container ended with exit code 0 before any test began; does the image's entrypoint run its arguments?";

/// More than this is not copied out of a container.
const ARTIFACT_LIMIT: u64 = 1 << 30;

/// What to test.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The run's ID.
    pub run: String,
    /// The mission.
    pub mission: String,
    /// The image's ID.
    pub image: Digest,
    /// What people call the image.
    pub reference: String,
    /// The tests that this run should run.
    pub expected: Vec<TestId>,
    /// Which of several parts this run is.
    pub part: Option<Part>,
    /// The digest of the tests of all parts together, as [`crate::event::RunStarted::selected`] has it.
    pub selected: Option<Digest>,
    /// The digest of the files that define the tests.
    pub definitions: Option<Digest>,
    /// How long the run may take. The agent keeps to it; a container that does not is ended from here, a little later.
    pub limit: Option<Duration>,
    /// The containers that run the tests, one after the other.
    pub stages: Vec<Stage>,
    /// How much memory each container may take, in bytes.
    pub memory: Option<u64>,
    /// Environment variables for the agent.
    pub environment: BTreeMap<String, String>,
    /// The directory that takes the executed notebooks.
    pub directory: PathBuf,
}

/// How a trial ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// What went wrong outside any one test.
    pub problem: Option<String>,
    /// Whether it was stopped by request before its end.
    pub stopped: bool,
}

/// Runs the tests of an image in one container after the other until they end.
///
/// When `stop` completes, the container is asked to end and to report what became of its tests; when `kill` completes
/// after that, or it takes too long, it is killed, and no other is started. Each container is removed in any case.
pub async fn run(
    trial: &Trial,
    engine: &dyn Engine,
    process: &Owner,
    events: &dyn Sink,
    stop: impl Future<Output = ()>,
    kill: impl Future<Output = ()>,
) -> Result<Ended, EngineError> {
    events.emit(Event::RunStarted(begun(trial)));
    let (mut stop, mut kill) = (pin!(stop), pin!(kill));
    let mut problems = Vec::new();
    for stage in &trial.stages {
        let ended = run_stage(trial, stage, engine, process, events, (stop.as_mut(), kill.as_mut())).await?;
        problems.extend(ended.problem);
        if ended.stopped {
            return Ok(Ended {
                problem: Some(problems.join("; ")),
                stopped: true,
            });
        }
    }
    Ok(Ended {
        problem: (!problems.is_empty()).then(|| problems.join("; ")),
        stopped: false,
    })
}

async fn run_stage(
    trial: &Trial,
    stage: &Stage,
    engine: &dyn Engine,
    process: &Owner,
    events: &dyn Sink,
    (stop, kill): (impl Future<Output = ()>, impl Future<Output = ()>),
) -> Result<Ended, EngineError> {
    let container = engine.start(&request(trial, stage, process)).await?;
    let ended = observe(trial, stage, &container, engine, events, (stop, kill)).await;
    let copied = engine
        .copy_out(&container, ARTIFACTS_DIRECTORY, trial.directory.clone(), ARTIFACT_LIMIT)
        .await;
    engine.remove(&container).await?;
    match copied {
        Ok(true) => {}
        Ok(false) => events.emit(Event::Warning {
            text: "the executed notebooks are larger than 1 GiB; not all of them were kept".to_owned(),
        }),
        Err(error) => events.emit(Event::Warning {
            text: format!("the executed notebooks could not be kept: {error}"),
        }),
    }
    ended
}

/// The run of a part that holds no test: it begins, and nothing is wrong.
pub fn run_nothing(trial: &Trial, events: &dyn Sink) -> Ended {
    events.emit(Event::RunStarted(begun(trial)));
    events.emit(Event::Note {
        text: "this part holds no test; the others do".to_owned(),
    });
    Ended::default()
}

fn begun(trial: &Trial) -> RunStarted {
    RunStarted {
        reference: trial.reference.clone(),
        part: trial.part,
        selected: trial.selected.clone(),
        definitions: trial.definitions.clone(),
        ..RunStarted::new(&trial.run, &trial.mission, trial.image.clone(), trial.expected.clone())
    }
}

fn request(trial: &Trial, stage: &Stage, process: &Owner) -> ContainerRequest {
    ContainerRequest {
        image: trial.image.to_string(),
        entrypoint: stage.entrypoint.clone(),
        command: stage.command.clone(),
        files: stage.files.clone(),
        environment: trial
            .environment
            .clone()
            .into_iter()
            .chain([
                (EVENTS.to_owned(), "1".to_owned()),
                (ARTIFACTS.to_owned(), ARTIFACTS_DIRECTORY.to_owned()),
            ])
            .collect(),
        labels: labels(&trial.run, &trial.mission, process),
        memory: trial.memory,
        processes: Some(processes()),
        ..ContainerRequest::default()
    }
}

/// How many processes and threads a container may have: what a notebook that forks without end leaves of the machine is
/// enough to end it. Libraries start a thread for each processor, in each kernel.
fn processes() -> u64 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    (2048 * processors).max(4096)
}

/// The labels of a container that `process` started, by which a later floe knows whether anybody still needs it.
#[must_use]
pub fn labels(run: &str, mission: &str, process: &Owner) -> BTreeMap<String, String> {
    BTreeMap::from([
        (RUN.to_owned(), run.to_owned()),
        (MISSION.to_owned(), mission.to_owned()),
        (PID.to_owned(), process.pid.to_string()),
        (STARTED.to_owned(), process.started.clone()),
    ])
}

/// Turns what the container prints into events until it ends.
async fn observe(
    trial: &Trial,
    stage: &Stage,
    container: &Container,
    engine: &dyn Engine,
    events: &dyn Sink,
    (stop, kill): (impl Future<Output = ()>, impl Future<Output = ()>),
) -> Result<Ended, EngineError> {
    let started = Instant::now();
    let script = TestId::script(&trial.mission);
    if stage.script {
        events.emit(Event::TestStarted {
            id: script.clone(),
            attempt: 1,
            worker: 1,
        });
    }
    let mut watch = Watch::default();
    let cut = {
        let (sender, mut receiver) = mpsc::channel(64);
        let mut follow = pin!(async {
            let (followed, ()) = tokio::join!(engine.follow(container, sender), async {
                while let Some(bytes) = receiver.recv().await {
                    watch.take(&bytes, events);
                }
            });
            followed
        });
        let cut = tokio::select! {
            followed = &mut follow => {
                followed?;
                None
            }
            () = stop => Some(Cut::Interrupted),
            limit = over(trial.limit) => Some(Cut::TimeLimit(limit)),
        };
        if cut.is_some() {
            end(container, engine, follow, kill).await?;
        }
        cut
    };
    watch.finish(events);
    let exit = engine.wait(container).await?;
    if stage.script {
        let verdict = match cut {
            Some(cut) => Verdict::Failed(cut.cause()),
            None => verdict(exit, &watch),
        };
        events.emit(Event::TestFinished(TestFinished {
            seconds: started.elapsed().as_secs_f64(),
            output: watch.tail(),
            ..TestFinished::new(script, verdict)
        }));
    }
    Ok(Ended {
        problem: cut.map(Cut::problem).or_else(|| problem(stage, exit, &watch)),
        stopped: cut == Some(Cut::Interrupted),
    })
}

/// Completes when the run's limit and its overtime are over; never without a limit.
async fn over(limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => {
            sleep(limit.saturating_add(OVERTIME)).await;
            limit
        }
        None => std::future::pending().await,
    }
}

/// Asks the container to end, follows it until it does, and kills it where it does not or where `kill` completes.
async fn end(
    container: &Container,
    engine: &dyn Engine,
    mut follow: impl Future<Output = Result<(), EngineError>> + Unpin,
    kill: impl Future<Output = ()>,
) -> Result<(), EngineError> {
    engine.terminate(container).await?;
    tokio::select! {
        followed = &mut follow => return followed,
        () = kill => {}
        () = sleep(GRACE) => {}
    }
    engine.kill(container).await?;
    // What it said before it was killed may still be on its way; the outcome misses what is not.
    let _ = timeout(LAST_WORDS, follow).await;
    Ok(())
}

/// The verdict on the mission's own script.
fn verdict(exit: ContainerExit, watch: &Watch) -> Verdict {
    match exit.code {
        0 if watch.begun => Verdict::Passed,
        0 => Verdict::Failed(Cause::new(CauseKind::NotRun, UNHEARD)),
        // The code of `test-environments`, passed on by a script under `set -e`.
        100 if watch.failed > 0 => Verdict::Skipped {
            reason: "it stopped when other tests failed".to_owned(),
        },
        _ if exit.out_of_memory && exit.code == 137 => {
            Verdict::Failed(Cause::new(CauseKind::Oom, "the container was killed for memory"))
        }
        code => Verdict::Failed(Cause::new(CauseKind::Error, format!("exit code {code}"))),
    }
}

/// What went wrong outside any one test.
fn problem(stage: &Stage, exit: ContainerExit, watch: &Watch) -> Option<String> {
    if let Some(problem) = &watch.problem {
        return Some(problem.clone());
    }
    // A script's exit code is its own test; without one it is that of the agent.
    match exit.code {
        _ if stage.script => None,
        0 if !watch.begun => Some(UNHEARD.to_owned()),
        0 | 100 => None,
        4 if !watch.begun => None,
        _ if exit.out_of_memory => Some("the container was killed for memory".to_owned()),
        code => Some(format!(
            "{} ended with exit code {code}: {}",
            stage.name(),
            watch.tail().trim()
        )),
    }
}

/// Removes the containers of runs whose floe is gone; answers how many there were.
pub async fn sweep(engine: &dyn Engine) -> Result<usize, EngineError> {
    let mut swept = 0;
    for found in engine.containers(RUN).await? {
        let label = |name: &str| found.labels.get(name).map(String::as_str).unwrap_or_default();
        let owner = label(PID).parse().map(|pid| Owner {
            pid,
            started: label(STARTED).to_owned(),
        });
        if owner.is_ok_and(|owner| owner.is_running()) {
            continue;
        }
        engine.remove(&Container { id: found.id }).await?;
        swept += 1;
    }
    Ok(swept)
}

#[cfg(test)]
mod tests;
