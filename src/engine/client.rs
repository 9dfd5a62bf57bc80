//! The real engine: Docker, by its API on a Unix socket.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error;
use bollard::models::ImageInspect;
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder, WaitContainerOptions,
};
use futures_util::StreamExt as _;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::archive::{Pieces, unpack};
use super::refusal::{failed, status, words};
use super::socket::{Socket, advice};
use super::{
    BuildRequest, Container, ContainerExit, ContainerRequest, Credentials, Engine, EngineError, Found, Image, PATIENCE,
    buildkit, creation, stream,
};
use crate::event::Sink;
use crate::reference::{Digest, ImageTag};

/// Where Docker listens unless told otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// How long the first answer may take: nobody waits for an engine that is not there.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// A Docker engine.
#[derive(Debug, Clone)]
pub struct Docker {
    socket: Socket,
    docker: bollard::Docker,
}

impl Docker {
    /// Connects to the engine at `host`: `unix://PATH`, a plain path of a socket, or Docker's default where `None`.
    ///
    /// Answers an engine that has answered. Engines on other machines are refused: a build sends its files over the
    /// socket, and tests expect the containers beside them.
    pub async fn connect(host: Option<&str>) -> Result<Self, EngineError> {
        let address = host.unwrap_or(DEFAULT_SOCKET);
        let path = address.strip_prefix("unix://").unwrap_or(address);
        if !path.starts_with('/') {
            return Err(EngineError::Request {
                action: format!("connect to the container engine at {address}"),
                reason: "only Unix sockets are supported: unix:///path/to/docker.sock".to_owned(),
                temporary: false,
            });
        }
        let unreachable = |reason: String| EngineError::Unreachable {
            address: address.to_owned(),
            reason,
        };
        let first = async {
            // Only the system's own error tells a missing socket from a forbidden one.
            UnixStream::connect(path)
                .await
                .map_err(|error| unreachable(advice(&error)))?;
            let docker = bollard::Docker::connect_with_unix(path, PATIENCE.as_secs(), bollard::API_DEFAULT_VERSION)
                .map_err(|error| unreachable(error.to_string()))?;
            docker.ping().await.map_err(|error| unreachable(words(&error)))?;
            docker
                .negotiate_version()
                .await
                .map_err(|error| unreachable(words(&error)))
        };
        let docker = timeout(FIRST_ANSWER, first)
            .await
            .map_err(|_| unreachable(format!("no answer within {} seconds", FIRST_ANSWER.as_secs())))??;
        Ok(Self {
            socket: Socket(PathBuf::from(path)),
            docker,
        })
    }

    /// Passes on the container's log, without its first `skipped` bytes, until it ends or nobody listens. Answers how
    /// many bytes were passed on.
    async fn pass_on(
        &self,
        container: &Container,
        follow: bool,
        skipped: usize,
        output: &mpsc::Sender<Vec<u8>>,
    ) -> Result<usize, EngineError> {
        let options = LogsOptionsBuilder::default().follow(follow).stdout(true).stderr(true);
        let mut log = pin!(self.docker.logs(&container.id, Some(options.build())));
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
    async fn signal(&self, container: &Container, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        match self.docker.kill_container(&container.id, Some(options)).await {
            // 409: it is not running; 404: somebody removed it.
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                Err(self.failed(about(&format!("send {signal} to"), container), error))
            }
            _ => Ok(()),
        }
    }

    /// The error of a request about a container that should be there.
    fn gone(&self, action: &str, container: &Container, error: Error) -> EngineError {
        match status(&error) {
            // 409: it is being removed.
            Some(404 | 409) => EngineError::Gone {
                container: short(container).to_owned(),
            },
            _ => self.failed(about(action, container), error),
        }
    }

    /// The error of a request, as [`failed`] gives it, unless the engine itself is gone.
    fn failed(&self, action: String, error: Error) -> EngineError {
        match error {
            Error::HyperLegacyError { err } if err.is_connect() => EngineError::Unreachable {
                address: self.socket.path().display().to_string(),
                reason: err.to_string(),
            },
            other => failed(action, &other),
        }
    }
}

#[async_trait]
impl Engine for Docker {
    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        let action = || format!("inspect the image {reference}");
        match self.docker.inspect_image(reference).await {
            Ok(inspected) => image(inspected).map(Some).ok_or_else(|| EngineError::Request {
                action: action(),
                reason: "the engine's answer has no ID".to_owned(),
                temporary: false,
            }),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.failed(action(), error)),
        }
    }

    async fn pull(
        &self,
        reference: &str,
        credentials: Option<Credentials>,
        events: &dyn Sink,
    ) -> Result<Image, EngineError> {
        stream::pull(&self.docker, reference, credentials, events).await?;
        let pulled = self.image(reference).await?;
        pulled.ok_or_else(|| EngineError::Request {
            action: format!("pull {reference}"),
            reason: "the image is not there after the pull".to_owned(),
            temporary: false,
        })
    }

    async fn build(&self, request: BuildRequest, events: &dyn Sink) -> Result<Digest, EngineError> {
        buildkit::build(&self.socket, request, events).await
    }

    async fn import(
        &self,
        archive: PathBuf,
        tag: &ImageTag,
        labels: &BTreeMap<String, String>,
    ) -> Result<Digest, EngineError> {
        stream::import(&self.docker, archive, tag, labels).await
    }

    async fn tag(&self, id: &Digest, tag: &ImageTag) -> Result<(), EngineError> {
        let options = TagImageOptionsBuilder::default()
            .repo(&tag.repository)
            .tag(&tag.tag)
            .build();
        let tagged = self.docker.tag_image(id.as_str(), Some(options)).await;
        tagged.map_err(|error| self.failed(format!("tag {id} as {tag}"), error))
    }

    async fn push(
        &self,
        tag: &ImageTag,
        credentials: Option<Credentials>,
        events: &dyn Sink,
    ) -> Result<Digest, EngineError> {
        stream::push(&self.socket, tag, credentials, events).await
    }

    async fn start(&self, request: &ContainerRequest) -> Result<Container, EngineError> {
        let action = || format!("start a container of {}", request.image);
        let created = self.docker.create_container(None, creation::body(request)).await;
        let container = Container {
            id: created.map_err(|error| self.failed(action(), error))?.id,
        };
        let started = async {
            for (directory, files) in &request.files {
                let put = creation::put(&self.docker, &container.id, directory, files).await?;
                put.map_err(|error| self.failed(action(), error))?;
            }
            let started = self.docker.start_container(&container.id, None).await;
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
        let mut waiting = pin!(self.docker.wait_container(&container.id, None::<WaitContainerOptions>));
        let code = match waiting.next().await {
            Some(Ok(answer)) => answer.status_code,
            // bollard makes an error of every code but 0.
            Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => return Err(failed(error)),
            None => return Err(failed(io::Error::from(io::ErrorKind::ConnectionReset).into())),
        };
        let inspected = self
            .docker
            .inspect_container(&container.id, None)
            .await
            .map_err(failed)?;
        Ok(ContainerExit {
            code,
            out_of_memory: inspected.state.and_then(|state| state.oom_killed).unwrap_or(false),
        })
    }

    async fn terminate(&self, container: &Container) -> Result<(), EngineError> {
        self.signal(container, "SIGTERM").await
    }

    async fn kill(&self, container: &Container) -> Result<(), EngineError> {
        self.signal(container, "SIGKILL").await
    }

    async fn copy_out(
        &self,
        container: &Container,
        path: &str,
        destination: PathBuf,
        limit: u64,
    ) -> Result<bool, EngineError> {
        let action = || about(&format!("copy {path} out of"), container);
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut archive = pin!(self.docker.download_from_container(&container.id, Some(options)));
        let first = match archive.next().await {
            Some(Err(error)) if status(&error) == Some(404) => return Ok(true),
            other => other,
        };
        let mut archive = pin!(futures_util::stream::iter(first).chain(archive));
        let (sender, arriving) = mpsc::channel(4);
        let unpacking = tokio::task::spawn_blocking(move || unpack(Pieces::new(arriving), &destination, limit));
        while let Some(piece) = archive.next().await {
            let broken = match piece {
                Ok(piece) => {
                    // A reader that is gone has stopped for a reason, which it answers below.
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
        unpacking.await.map_err(|error| EngineError::Request {
            action: action(),
            reason: error.to_string(),
            temporary: false,
        })?
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.docker.remove_container(&container.id, Some(options)).await {
            // 409: it is being removed already.
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                Err(self.failed(about("remove", container), error))
            }
            _ => Ok(()),
        }
    }

    async fn remove_image(&self, id: &Digest) -> Result<(), EngineError> {
        let removed = self
            .docker
            .remove_image(id.as_str(), None::<RemoveImageOptions>, None)
            .await;
        match removed {
            // 409: a container of somebody else's still needs it.
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                Err(self.failed(format!("remove the image {id}"), error))
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
        let found = self.docker.list_containers(Some(options)).await;
        let found = found.map_err(|error| self.failed(format!("list the containers with the label {label}"), error))?;
        Ok(found.into_iter().filter_map(creation::listed).collect())
    }
}

fn about(action: &str, container: &Container) -> String {
    format!("{action} the container {}", short(container))
}

fn short(container: &Container) -> &str {
    container.id.get(..12).unwrap_or(&container.id)
}

fn image(inspected: ImageInspect) -> Option<Image> {
    let layers = inspected.root_fs.and_then(|root| root.layers).unwrap_or_default();
    let config = inspected.config.unwrap_or_default();
    Some(Image {
        id: inspected.id?.parse().ok()?,
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        command: config.cmd.unwrap_or_default(),
        layers: layers.iter().map(|layer| layer.parse().ok()).collect::<Option<_>>()?,
        architecture: inspected.architecture.unwrap_or_default(),
        os: inspected.os.unwrap_or_default(),
        size: inspected.size.unwrap_or_default().try_into().unwrap_or_default(),
    })
}
