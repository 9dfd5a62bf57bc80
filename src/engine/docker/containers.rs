//! Docker's containers.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error;
use bollard::models::{ChangeType, ContainerCreateBody};
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, WaitContainerOptions,
};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::archive::unpack;
use super::error::{status, words};
use super::{Docker, Make, creation};
use crate::engine::{
    Change, ChangeKind, Container, ContainerExit, ContainerRequest, Containers, EngineError, Found, Pieces, Wanted,
};
use crate::fault::Trouble;

#[async_trait]
impl Containers for Docker {
    async fn start(&self, request: &ContainerRequest) -> Result<Container, EngineError> {
        let action = || format!("start a container of {}", request.image);
        let container = self.created(request).await?;
        let started = async {
            for (directory, files) in &request.files {
                let put = creation::put(&self.api, &container.id, directory, files).await?;
                put.map_err(|error| self.failed(action(), error))?;
            }
            let started = self.api.start_container(&container.id, None).await;
            started.map_err(|error| self.failed(action(), error))
        };
        if let Err(error) = started.await {
            // The reason why it does not start counts, not what comes of the tidying.
            let _ = self.remove(&container).await;
            return Err(error);
        }
        Ok(container)
    }

    async fn follow(&self, container: &Container, output: mpsc::Sender<Vec<u8>>) -> Result<(), EngineError> {
        let followed = self.pass_on(container, true, 0, &output).await?;
        if output.is_closed() {
            return Ok(());
        }
        // Docker 20.10 sometimes ends a followed log before its last piece. When the container has ended its log is
        // whole, and what was passed on is the beginning of it.
        if self.wait(container).await.is_ok() {
            self.pass_on(container, false, followed, &output).await?;
        }
        Ok(())
    }

    async fn wait(&self, container: &Container) -> Result<ContainerExit, EngineError> {
        let failed = |error| self.gone("wait for", container, error);
        let mut waiting = pin!(self.api.wait_container(&container.id, None::<WaitContainerOptions>));
        let code = match waiting.next().await {
            Some(Ok(answer)) => answer.status_code,
            // bollard makes an error of every code but 0.
            Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => return Err(failed(error)),
            None => return Err(failed(io::Error::from(io::ErrorKind::ConnectionReset).into())),
        };
        let inspected = self.api.inspect_container(&container.id, None).await.map_err(failed)?;
        Ok(ContainerExit {
            code,
            out_of_memory: inspected.state.and_then(|state| state.oom_killed).unwrap_or(false),
        })
    }

    async fn terminate(&self, container: &Container) -> Result<(), EngineError> {
        self.send(container, "SIGTERM").await
    }

    async fn kill(&self, container: &Container) -> Result<(), EngineError> {
        self.send(container, "SIGKILL").await
    }

    async fn copy_out(
        &self,
        container: &Container,
        path: &str,
        destination: PathBuf,
        wanted: &Wanted,
    ) -> Result<bool, EngineError> {
        let action = || about(&format!("copy {path} out of"), container);
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut again = false;
        let (first, archive) = loop {
            let mut archive = Box::pin(self.api.download_from_container(&container.id, Some(options.clone())));
            match archive.next().await {
                Some(Err(error)) if !again && self.make == Make::Podman && is_of_the_end(&error) => {
                    again = true;
                    // One that goes on has no such file.
                    let _ = timeout(END_TIMEOUT, self.wait(container)).await;
                }
                Some(Err(error)) if status(&error) == Some(404) => return Ok(true),
                first => break (first, archive),
            }
        };
        let mut archive = pin!(futures_util::stream::iter(first).chain(archive));
        let (sender, arriving) = mpsc::channel(4);
        let (wanted, into) = (wanted.clone(), destination.clone());
        let unpacking = tokio::task::spawn_blocking(move || unpack(Pieces::new(arriving), &destination, &wanted));
        while let Some(piece) = archive.next().await {
            let broken = match piece {
                Ok(piece) => {
                    // A reader that is gone has stopped for a reason, which it returns below.
                    if sender.send(Ok(piece)).await.is_err() {
                        break;
                    }
                    continue;
                }
                Err(error) => error,
            };
            // A cut archive must not look like a whole one to the reader.
            let _ = sender.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
            return Err(self.failed(action(), broken));
        }
        drop(sender);
        unpacking.await.map_err(|error| EngineError::File {
            path: into,
            source: io::Error::other(error),
        })?
    }

    async fn changes(&self, container: &Container) -> Result<Option<Vec<Change>>, EngineError> {
        let changes = self.api.container_changes(&container.id).await;
        let changes = changes.map_err(|error| self.gone("look for changes in", container, error))?;
        let changes = changes.unwrap_or_default().into_iter();
        let changes = changes.map(|change| Change {
            path: change.path.into(),
            kind: match change.kind {
                ChangeType::_0 => ChangeKind::Changed,
                ChangeType::_1 => ChangeKind::Added,
                ChangeType::_2 => ChangeKind::Deleted,
            },
        });
        Ok(Some(changes.collect()))
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.api.remove_container(&container.id, Some(options)).await {
            // 409: it is being removed already.
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                Err(self.failed(about("remove", container), error))
            }
            _ => Ok(()),
        }
    }

    async fn containers(&self, label: &str) -> Result<Vec<Found>, EngineError> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let found = self.api.list_containers(Some(options)).await;
        let found = found.map_err(|error| self.failed(format!("list the containers with the label {label}"), error))?;
        Ok(found.into_iter().filter_map(creation::listed).collect())
    }
}

impl Docker {
    /// Creates a container that sees all of the program that it shares with others.
    pub(super) async fn created(&self, request: &ContainerRequest) -> Result<Container, EngineError> {
        self.created_as(request, creation::body(request, self.limits())).await
    }

    /// The same of a container that is configured as `body` says.
    pub(super) async fn created_as(
        &self,
        request: &ContainerRequest,
        body: ContainerCreateBody,
    ) -> Result<Container, EngineError> {
        let action = || format!("start a container of {}", request.image);
        for filled in [false, true] {
            let created = self.api.create_container(None, body.clone()).await;
            let container = Container {
                id: created.map_err(|error| self.failed(action(), error))?.id,
            };
            let Some(program) = &request.program else {
                return Ok(container);
            };
            let sees = self.sees(&container, program).await;
            if matches!(sees, Ok(true)) {
                return Ok(container);
            }
            self.remove(&container).await?;
            sees?;
            if !filled {
                self.fill(program, &request.image).await?;
            }
        }
        Err(self.own(EngineError::Request {
            action: action(),
            reason: "the engine does not keep what a volume is filled with".to_owned(),
            trouble: Trouble::Engine,
        }))
    }

    /// Passes on the container's log, without its first `skipped` bytes, until it ends or nobody listens. Returns how
    /// many bytes were passed on.
    async fn pass_on(
        &self,
        container: &Container,
        follow: bool,
        skipped: usize,
        output: &mpsc::Sender<Vec<u8>>,
    ) -> Result<usize, EngineError> {
        let options = LogsOptionsBuilder::default().follow(follow).stdout(true).stderr(true);
        let mut log = pin!(self.api.logs(&container.id, Some(options.build())));
        let (mut left, mut passed) = (skipped, 0);
        loop {
            let piece = tokio::select! {
                piece = log.next() => piece,
                () = output.closed() => return Ok(passed),
            };
            let mut piece = match piece {
                None => return Ok(passed),
                Some(Ok(piece)) => piece.into_bytes(),
                Some(Err(error)) => return Err(self.gone("follow", container, error)),
            };
            let known = left.min(piece.len());
            left -= known;
            let piece = piece.split_off(known);
            if !piece.is_empty() {
                passed += piece.len();
                // Where nobody listens any more, the next turn ends it.
                let _ = output.send(piece.into()).await;
            }
        }
    }

    /// Sends a signal to the first process of a container, where it still runs.
    pub(super) async fn send(&self, container: &Container, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        match self.api.kill_container(&container.id, Some(options)).await {
            // 409: it is not running; 404: somebody removed it.
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                Err(self.failed(about(&format!("send {signal} to"), container), error))
            }
            _ => Ok(()),
        }
    }

    /// The error of a request about a container that should be there.
    pub(super) fn gone(&self, action: &str, container: &Container, error: Error) -> EngineError {
        match status(&error) {
            // 409: it is being removed.
            Some(404 | 409) => EngineError::Gone {
                container: short(container).to_owned(),
            },
            _ => self.failed(about(action, container), error),
        }
    }
}

/// How long a container may take until Podman knows of its end.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether an error may come of a container that ended at that moment: Podman looks into it by way of its first process.
fn is_of_the_end(error: &Error) -> bool {
    status(error) == Some(404) || words(error).contains("/ns/mnt")
}

pub(super) fn about(action: &str, container: &Container) -> String {
    format!("{action} the container {}", short(container))
}

fn short(container: &Container) -> &str {
    container.id.get(..12).unwrap_or(&container.id)
}
