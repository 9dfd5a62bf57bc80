//! Containers in memory, which do what a test has written down for them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::{Fake, Run, refused};
use crate::engine::{Change, Container, ContainerExit, ContainerRequest, Containers, EngineError, Found, Wanted};
use crate::event::wire::Encoder;
use crate::event::{Event, Record};
use crate::image::label::{OWNER, RUN};
use crate::image::variable::EVENTS;

/// A container.
pub(super) struct Kept {
    pub run: Run,
    pub output: Vec<u8>,
    pub farewell: Vec<u8>,
    pub labels: BTreeMap<String, String>,
    pub environment: BTreeMap<String, String>,
    pub exit: watch::Sender<Option<ContainerExit>>,
}

/// The end of a container that was asked to.
const TERMINATED: ContainerExit = ContainerExit {
    code: 143,
    out_of_memory: false,
};

/// The end of a container that was killed.
const KILLED: ContainerExit = ContainerExit {
    code: 137,
    out_of_memory: false,
};

impl Kept {
    /// Ends the container, unless it has ended already.
    pub fn end(&self, how: ContainerExit) {
        self.exit.send_if_modified(|exit| {
            let running = exit.is_none();
            exit.get_or_insert(how);
            running
        });
    }
}

#[async_trait]
impl Containers for Fake {
    async fn start(&self, request: &ContainerRequest) -> Result<Container, EngineError> {
        self.keep_container("start", request)
    }

    async fn follow(&self, container: &Container, output: mpsc::Sender<Vec<u8>>) -> Result<(), EngineError> {
        let (first, farewell, mut exit) = {
            let state = self.call("follow", &container.id)?;
            let kept = state.container("follow", container)?;
            (kept.output.clone(), kept.farewell.clone(), kept.exit.subscribe())
        };
        // A receiver that is gone, and a container that is removed, both end it.
        if output.send(first).await.is_ok() {
            let ended = tokio::select! {
                ended = exit.wait_for(Option::is_some) => ended.ok().and_then(|exit| *exit),
                () = output.closed() => None,
            };
            if ended == Some(TERMINATED) {
                let _ = output.send(farewell).await;
            }
        }
        Ok(())
    }

    async fn wait(&self, container: &Container) -> Result<ContainerExit, EngineError> {
        let mut exit = {
            let state = self.call("wait", &container.id)?;
            state.container("wait for", container)?.exit.subscribe()
        };
        let ended = exit.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
        ended.ok_or_else(|| refused(format!("wait for {}", container.id), "no such container"))
    }

    async fn terminate(&self, container: &Container) -> Result<(), EngineError> {
        let state = self.call("terminate", &container.id)?;
        let kept = state.containers.get(&container.id);
        if let Some(kept) = kept.filter(|kept| kept.run.farewell.is_some()) {
            kept.end(TERMINATED);
        }
        Ok(())
    }

    async fn kill(&self, container: &Container) -> Result<(), EngineError> {
        let state = self.call("kill", &container.id)?;
        if let Some(kept) = state.containers.get(&container.id) {
            kept.end(KILLED);
        }
        Ok(())
    }

    async fn copy_out(
        &self,
        container: &Container,
        path: &str,
        destination: PathBuf,
        wanted: &Wanted,
    ) -> Result<bool, EngineError> {
        let endless = self
            .call("copy_out", &format!("{} {path}", container.id))?
            .container("copy out of", container)?
            .run
            .endless;
        if endless {
            std::future::pending::<()>().await;
        }
        let state = self.state();
        let below = format!("{}/", path.trim_end_matches('/'));
        let mut left = wanted.limit;
        for (file, content) in &state.container("copy out of", container)?.run.files {
            let Some(name) = file.strip_prefix(&below) else {
                continue;
            };
            let size = content.len() as u64;
            if size > left {
                return Ok(false);
            }
            left -= size;
            if wanted
                .files
                .as_ref()
                .is_some_and(|files| !files.contains(Path::new(name)))
            {
                continue;
            }
            let target = destination.join(name);
            let failed = |source| EngineError::File {
                path: target.clone(),
                source,
            };
            fs::create_dir_all(target.parent().unwrap_or(&destination)).map_err(failed)?;
            fs::write(&target, content).map_err(failed)?;
        }
        Ok(true)
    }

    async fn changes(&self, container: &Container) -> Result<Option<Vec<Change>>, EngineError> {
        let state = self.call("changes", &container.id)?;
        Ok(Some(
            state.container("look for changes in", container)?.run.changes.clone(),
        ))
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        self.call("remove", &container.id)?.containers.remove(&container.id);
        Ok(())
    }

    async fn containers(&self, label: &str) -> Result<Vec<Found>, EngineError> {
        let state = self.call("containers", label)?;
        let labelled = state.containers.iter().filter(|(_, kept)| {
            let plain = kept.labels.contains_key(label);
            plain
                || label
                    .split_once('=')
                    .is_some_and(|(name, value)| kept.labels.get(name).is_some_and(|v| v == value))
        });
        let found = labelled.map(|(id, kept)| Found {
            id: id.clone(),
            labels: kept.labels.clone(),
            running: kept.exit.borrow().is_none(),
        });
        let mut found = found.collect::<Vec<_>>();
        for found in &mut found {
            if found.labels.get(RUN).is_some_and(|run| state.left.contains_key(run)) {
                found.labels.remove(OWNER);
            }
        }
        Ok(found)
    }
}

impl Fake {
    /// Keeps a container that a call of `method` asks for.
    pub(super) fn keep_container(
        &self,
        method: &'static str,
        request: &ContainerRequest,
    ) -> Result<Container, EngineError> {
        let words = format!("{} {}", request.image, request.command.join(" "));
        let mut state = self.call(method, words.trim_end())?;
        if state.find(&request.image).is_none() {
            let action = format!("start a container of {}", request.image);
            return Err(refused(action, "no such image"));
        }
        let run = state.next_run(&request.image);
        if !state.solves(&request.image) {
            state.started.push(request.clone());
        }
        let id = format!("container-{}", state.calls.len());
        let mut encoder = match request.environment.get(EVENTS).and_then(|key| key.parse().ok()) {
            Some(key) => Encoder::sealed(key),
            None => Encoder::default(),
        };
        let mut encode = |events: &[Event]| {
            let records = events.iter().cloned().map(Record::now);
            records.map(|record| encoder.encode(&record)).collect::<Vec<_>>()
        };
        let said = encode(&run.said);
        let said = match &run.arriving {
            None => said.concat(),
            Some(places) => places
                .iter()
                .filter_map(|&place| said.get(place))
                .flatten()
                .copied()
                .collect(),
        };
        let kept = Kept {
            output: [run.output.clone(), said].concat(),
            farewell: encode(run.farewell.as_deref().unwrap_or_default()).concat(),
            exit: watch::Sender::new(run.exit),
            labels: request.labels.clone(),
            environment: request.environment.clone(),
            run,
        };
        state.containers.insert(id.clone(), kept);
        Ok(Container { id })
    }
}
