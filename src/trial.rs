//! One test run of an image, seen from the host: a container is started, what the agent in it says becomes events, and
//! nothing is left behind however the run ends.

mod beginning;
mod changes;
mod container;
mod interruption;
mod left;
mod mark;
mod notebooks;
mod part;
mod question;
mod spread;
mod stage;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

pub use self::beginning::run_nothing;
use self::beginning::{begun, start};
use self::container::request;
use self::interruption::Interruption;
pub use self::left::{LeftError, LeftTrial, attend, discard, discard_later, leave};
pub use self::mark::{Mark, is_abandoned};
pub use self::question::Question;
pub use self::spread::Spread;
pub use self::stage::Stage;
use self::watch::Watch;
use crate::engine::{Container, ContainerExit, Containers, EngineError};
use crate::event::seal::Key;
use crate::event::{Event, ImageSize, Part, Sink, TestFinished};
use crate::image::label::RUN;
use crate::process::Owner;
use crate::reference::{Digest, TestId};
use crate::suite::request::Request;

const ARTIFACTS_DIRECTORY: &str = "/tmp/floe-artifacts";

/// How long a container that was asked to end may take to report what became of its tests.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// How much longer than the run's limit a container may take to end by itself.
const OVERTIME_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the rest of the output of a killed container is waited for.
const LAST_OUTPUT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is wrong where a container ends well and has not run what it should.
const UNHEARD: &str = "the container ended with exit code 0 before any test began";

/// What to test.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// Those that do not run again, since they passed before.
    #[serde(default)]
    pub carried: Vec<TestFinished>,
    /// What the tests of environments rest on, as [`crate::event::RunStarted::grounds`] has it.
    #[serde(default)]
    pub grounds: BTreeMap<String, Digest>,
    /// How large the image is, where that is known.
    pub size: Option<ImageSize>,
    /// Those of them that the mission's files skip.
    pub skips: BTreeSet<TestId>,
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
    /// How they run beside each other, where that is what they do.
    pub spread: Option<Spread>,
    /// How much memory each container may take, in bytes.
    pub memory: Option<u64>,
    /// What the agent is asked for; each stage adds its own.
    pub request: Request,
    /// floe's own program, which is the agent.
    #[serde(skip)]
    pub agent: PathBuf,
    /// Where tests are, if not where the image has them.
    #[serde(skip)]
    pub environments: Option<String>,
    /// What tests must not change below, since others run with it: absolute paths.
    pub fixed: Vec<PathBuf>,
    /// The directory that takes the executed notebooks.
    #[serde(skip)]
    pub directory: PathBuf,
}

/// How a trial ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// What went wrong outside any one test.
    pub problem: Option<String>,
    /// Whether it was stopped by request before its end.
    pub stopped: bool,
    /// Whether a container ended since it took more memory than it may.
    pub out_of_memory: bool,
}

/// Runs the tests of an image until they end: in containers beside each other, where the trial is spread over `machines`, else
/// in one container after the other on the first of them.
///
/// When `stop` completes, the container is asked to end and to report what became of its tests; when `kill` completes
/// after that, or it takes too long, it is killed, and no other is started. Each container is removed in any case.
pub async fn run(
    trial: &Trial,
    machines: &[&dyn Containers],
    process: &Owner,
    events: &dyn Sink,
    (stop, kill): (impl Future<Output = ()>, impl Future<Output = ()>),
) -> Result<Ended, EngineError> {
    start(trial, events);
    if trial.spread.is_some() {
        return spread::run(trial, machines, process, events, (stop, kill)).await;
    }
    let containers = machines[0];
    // A second interrupt that has come is not waited for again.
    let (mut stop, mut kill) = (pin!(stop), pin!(kill.fuse()));
    let mut problems = Vec::new();
    let began = Instant::now();
    for stage in &trial.stages {
        let left = trial.limit.map(|limit| limit.saturating_sub(began.elapsed()));
        if let (Some(limit), Some(Duration::ZERO)) = (trial.limit, left) {
            problems.push(Interruption::TimeLimit(limit).problem());
            break;
        }
        let ended = run_stage(
            trial,
            (stage, left),
            containers,
            process,
            events,
            (stop.as_mut(), kill.as_mut()),
        )
        .await?;
        problems.extend(ended.problem);
        if ended.stopped {
            return Ok(Ended {
                problem: Some(problems.join("; ")),
                ..ended
            });
        }
    }
    Ok(Ended {
        problem: (!problems.is_empty()).then(|| problems.join("; ")),
        ..Ended::default()
    })
}

/// A container that has begun, and the key by which its agent proves what it says.
#[derive(Debug, Clone)]
struct Begun {
    container: Container,
    key: Key,
}

/// Starts the container of a stage, which may take as long as is `left`.
async fn begin(
    trial: &Trial,
    (stage, left): (&Stage, Option<Duration>),
    containers: &dyn Containers,
    process: &Owner,
) -> Result<Begun, EngineError> {
    let key = Key::random();
    let container = containers.start(&request(trial, (stage, left), process, &key)?).await?;
    Ok(Begun { container, key })
}

/// Runs the tests of one container, which may take as long as is `left`, and removes it.
async fn run_stage(
    trial: &Trial,
    of: (&Stage, Option<Duration>),
    containers: &dyn Containers,
    process: &Owner,
    events: &dyn Sink,
    until: (impl Future<Output = ()>, impl Future<Output = ()> + Unpin),
) -> Result<Ended, EngineError> {
    let begun = begin(trial, of, containers, process).await?;
    let ended = hear(trial, of, &begun, containers, events, until).await;
    let removed = containers.remove(&begun.container).await;
    let ended = ended?;
    match removed {
        // All that it had to say was heard before.
        Err(error) if error.is_loss() => {
            let text = format!("a container that has ended is left behind: {error}");
            events.emit(Event::Warning { text });
        }
        removed => removed?,
    }
    Ok(ended)
}

/// Follows a container that has begun until its tests end.
async fn hear(
    trial: &Trial,
    (stage, left): (&Stage, Option<Duration>),
    begun: &Begun,
    containers: &dyn Containers,
    events: &dyn Sink,
    (stop, mut kill): (impl Future<Output = ()>, impl Future<Output = ()> + Unpin),
) -> Result<Ended, EngineError> {
    let container = &begun.container;
    let mut watch = Watch::of(trial, begun.key.clone());
    let ended = observe(
        (trial, left),
        container,
        containers,
        &mut watch,
        events,
        (stop, &mut kill),
    )
    .await;
    let afterwards = async {
        let changed = match &ended {
            Ok(ended) if !ended.stopped && stage.shares() && !watch.untouched => {
                let fixed = [trial.fixed.as_slice(), &watch.behind].concat();
                changes::of(containers, container, &fixed).await.transpose()
            }
            _ => None,
        };
        // What ends on a cluster takes its files along, and so does an engine that is gone.
        let is_lost = matches!(&ended, Err(error) if error.is_loss());
        if trial
            .spread
            .as_ref()
            .is_none_or(|spread| spread.keeps_files && !is_lost)
        {
            notebooks::copy(trial, container, containers, &watch, events).await;
        }
        changed.transpose()
    };
    let changed = tokio::select! {
        changed = afterwards => changed,
        () = kill => Ok(None),
    };
    let mut ended = match (ended, watch.problem) {
        // What is wrong with its records is no less wrong since it was taken away.
        (Err(error), Some(problem)) if error.is_loss() => Ended {
            problem: Some(problem),
            ..Ended::default()
        },
        (ended, _) => ended?,
    };
    if let Some(changed) = changed? {
        ended.problem.get_or_insert(changed);
    }
    Ok(ended)
}

/// Turns what the container prints into events until it ends.
async fn observe(
    (trial, left): (&Trial, Option<Duration>),
    container: &Container,
    containers: &dyn Containers,
    watch: &mut Watch<'_>,
    events: &dyn Sink,
    (stop, kill): (impl Future<Output = ()>, impl Future<Output = ()>),
) -> Result<Ended, EngineError> {
    let overdue = AtomicBool::new(false);
    let cut = {
        let (sender, mut receiver) = mpsc::channel(64);
        let mut follow = pin!(async {
            let (followed, ()) = tokio::join!(containers.follow(container, sender), async {
                while let Some(bytes) = receiver.recv().await {
                    watch.overdue = overdue.load(Ordering::Relaxed);
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
            () = stop => Some(Interruption::Interrupted),
            () = passed(left.map(|left| left.saturating_add(OVERTIME_TIMEOUT))) => Some(Interruption::TimeLimit(trial.limit.unwrap_or_default())),
        };
        if let Some(cut) = cut {
            overdue.store(matches!(cut, Interruption::TimeLimit(_)), Ordering::Relaxed);
            end(container, containers, follow, kill).await?;
        }
        cut
    };
    watch.finish(events);
    let exit = containers.wait(container).await?;
    Ok(Ended {
        problem: cut.map(Interruption::problem).or_else(|| problem(exit, watch)),
        stopped: cut == Some(Interruption::Interrupted),
        out_of_memory: exit.out_of_memory && ![0, 100].contains(&exit.code),
    })
}

/// Completes when what was left of a limit has passed; never without one.
async fn passed(left: Option<Duration>) {
    match left {
        Some(left) => sleep(left).await,
        None => std::future::pending().await,
    }
}

/// Asks the container to end, follows it until it does, and kills it where it does not or where `kill` completes.
async fn end(
    container: &Container,
    containers: &dyn Containers,
    mut follow: impl Future<Output = Result<(), EngineError>> + Unpin,
    kill: impl Future<Output = ()>,
) -> Result<(), EngineError> {
    containers.terminate(container).await?;
    tokio::select! {
        followed = &mut follow => return followed,
        () = kill => {}
        () = sleep(END_TIMEOUT) => {}
    }
    containers.kill(container).await?;
    // What it said before it was killed may still be on its way; the outcome misses what is not.
    let _ = timeout(LAST_OUTPUT_TIMEOUT, follow).await;
    Ok(())
}

/// What went wrong outside any one test.
fn problem(exit: ContainerExit, watch: &Watch<'_>) -> Option<String> {
    if let Some(problem) = &watch.problem {
        return Some(problem.clone());
    }
    match exit.code {
        0 if !watch.begun => Some(UNHEARD.to_owned()),
        0 | 100 => None,
        _ if exit.out_of_memory => Some("the container was killed for memory".to_owned()),
        code => Some(format!(
            "floe's agent ended with exit code {code}: {}",
            watch.tail().trim()
        )),
    }
}

/// Removes the containers of runs whose floe has ended, as far as `asking` can know; returns how many there were.
pub async fn sweep(containers: &dyn Containers, asking: &Owner) -> Result<usize, EngineError> {
    let mut swept = 0;
    for found in containers.containers(RUN).await? {
        if is_abandoned(&found.labels, asking) {
            containers.remove(&Container { id: found.id }).await?;
            swept += 1;
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests;
