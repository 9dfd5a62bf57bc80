//! A run that goes on without the floe that began it: what it takes to come back to it, from any machine.
//!
//! Its containers stay until it has ended and somebody has heard all of them: whoever comes back hears each from its
//! beginning, and believes what a run that was never left would have believed. What is kept of the run holds no key; a
//! container's key lies with what its agent was asked for.

use std::io::{self, Read as _};
use std::path::PathBuf;

use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Begun, Ended, Mark, Trial, begin, begun, spread};
use crate::engine::{Container, EngineError, LeftRun, LeftRuns};
use crate::event::{Event, Sink};
use crate::image::label::{OWNER, RUN};
use crate::image::variable::EVENTS;
use crate::process::Owner;

/// The version of what is kept of a run. Another one is not read.
const FORMAT: u32 = 1;

/// More bytes than these are no run that floe has left, unpacked.
const LARGEST: u64 = 64 << 20;

/// A run that was left.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeftTrial {
    format: u32,
    /// The version of the floe that left it.
    floe: String,
    /// When it began.
    pub began: Timestamp,
    /// Whether all tests were asked for, so that the result stands for the image.
    pub complete: bool,
    /// What is tested. It says nothing of the machine that began it.
    pub trial: Trial,
    /// The container of each stage.
    containers: Vec<String>,
}

/// What is kept of a run and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeftError {
    /// Another floe left it.
    #[error("it was left by floe {floe}, and this is floe {}", env!("CARGO_PKG_VERSION"))]
    Foreign {
        /// The version of that floe.
        floe: String,
    },
    /// It is not what any floe leaves.
    #[error("what is kept of it cannot be read: {reason}")]
    Unreadable {
        /// Why.
        reason: String,
    },
}

impl LeftTrial {
    /// Reads what [`leave`] has written.
    pub fn read(content: &[u8]) -> Result<Self, LeftError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            floe: String,
        }
        let unreadable = |reason: &dyn std::fmt::Display| LeftError::Unreadable {
            reason: reason.to_string(),
        };
        let mut text = Vec::new();
        let mut reader = GzDecoder::new(content).take(LARGEST);
        reader.read_to_end(&mut text).map_err(|error| unreadable(&error))?;
        let Head { format, floe } = serde_json::from_slice(&text).map_err(|error| unreadable(&error))?;
        if format != FORMAT {
            return Err(LeftError::Foreign { floe });
        }
        serde_json::from_slice(&text).map_err(|error| unreadable(&error))
    }

    /// The trial as it is gone on with here: `agent` is floe's own program, `directory` takes what is known of the run.
    #[must_use]
    pub fn resumed(&self, agent: PathBuf, directory: PathBuf) -> Trial {
        let mut trial = self.trial.clone();
        if let Some(spread) = &mut trial.spread {
            spread.since = Some(self.began);
        }
        Trial {
            agent,
            directory,
            ..trial
        }
    }

    fn written(&self) -> io::Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        let mut packed = Vec::new();
        GzEncoder::new(text.as_slice(), Compression::best()).read_to_end(&mut packed)?;
        Ok(packed)
    }
}

/// Starts the containers of a trial, and leaves them to themselves. `complete` says whether all tests are asked for.
///
/// Returns whether they were; where `stop` completes before, or one does not start, nothing stays.
pub async fn leave(
    trial: &Trial,
    complete: bool,
    runs: &dyn LeftRuns,
    process: &Owner,
    stop: impl Future<Output = ()>,
) -> Result<bool, EngineError> {
    let left = tokio::select! {
        biased;
        () = stop => None,
        left = begin_all(trial, complete, runs, process) => Some(left),
    };
    if matches!(left, Some(Ok(()))) {
        return Ok(true);
    }
    // The reason why it does not begin counts, not what comes of the tidying.
    let tidied = discard(runs, &trial.run).await;
    match left {
        Some(failed) => failed.map(|()| true),
        None => tidied.map(|()| false),
    }
}

async fn begin_all(trial: &Trial, complete: bool, runs: &dyn LeftRuns, process: &Owner) -> Result<(), EngineError> {
    let began = Timestamp::now();
    let mut containers = Vec::new();
    for stage in &trial.stages {
        let started = begin(trial, (stage, trial.limit), runs, process).await?;
        containers.push(started.container);
    }
    let left = LeftTrial {
        format: FORMAT,
        floe: env!("CARGO_PKG_VERSION").to_owned(),
        began,
        complete,
        trial: trial.clone(),
        containers: containers.iter().map(|container| container.id.clone()).collect(),
    };
    let mut labels = Mark {
        run: &trial.run,
        mission: &trial.mission,
        owner: process,
    }
    .labels();
    labels.remove(OWNER);
    let content = left.written().map_err(|source| EngineError::File {
        path: trial.directory.clone(),
        source,
    })?;
    let run = LeftRun {
        run: trial.run.clone(),
        labels,
        content,
        version: String::new(),
    };
    runs.keep(&run, &containers).await
}

/// Goes on with a run that was left, until its tests have ended: `trial` is what [`LeftTrial::resumed`] returns. Tests whose
/// container is gone run again. The containers stay; [`discard`] removes them.
pub async fn attend(
    (left, trial): (&LeftTrial, &Trial),
    runs: &dyn LeftRuns,
    process: &Owner,
    events: &dyn Sink,
    until: (impl Future<Output = ()>, impl Future<Output = ()>),
) -> Result<Ended, EngineError> {
    events.emit_at(left.began, Event::RunStarted(begun(trial)));
    let mut begun = Vec::new();
    for id in &left.containers {
        let container = Container { id: id.clone() };
        let given = runs.given(&container).await?;
        let key = given.and_then(|given| given.get(EVENTS)?.parse().ok());
        begun.push(key.map(|key| Begun { container, key }));
    }
    let gone = begun.iter().filter(|begun| begun.is_none()).count();
    if gone > 0 {
        let text = format!(
            "{gone} of {} shards are gone, with what they had reported; others run their tests",
            begun.len()
        );
        events.emit(Event::Warning { text });
    }
    spread::run_on((trial, &begun), &[runs], process, events, until).await
}

/// Removes what there is of a run: first what is kept of it, so that nobody takes up what is about to go.
pub async fn discard(runs: &dyn LeftRuns, run: &str) -> Result<(), EngineError> {
    runs.forget(run).await?;
    discard_but(runs, run, &[]).await
}

/// Removes the containers of a run that began after it was left: what they run will run again.
pub async fn discard_later(runs: &dyn LeftRuns, left: &LeftTrial) -> Result<(), EngineError> {
    discard_but(runs, &left.trial.run, &left.containers).await
}

async fn discard_but(runs: &dyn LeftRuns, run: &str, but: &[String]) -> Result<(), EngineError> {
    let found = runs.containers(&format!("{RUN}={run}")).await?;
    for found in found.into_iter().filter(|found| !but.contains(&found.id)) {
        runs.remove(&Container { id: found.id }).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
