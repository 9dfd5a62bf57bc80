//! The container engine, seen from floe: images are inspected, built and pushed, containers are run.
//!
//! [`Engine`] is the edge. [`client::Docker`] is the real one; [`fake::Fake`] serves unit tests beside it.

mod archive;
mod buildkit;
pub mod client;
mod creation;
pub mod fake;
pub mod fault;
mod refusal;
mod socket;
mod stream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::event::Sink;
use crate::reference::{Digest, ImageTag};

/// An image as the engine knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The image's ID: the digest of its configuration.
    pub id: Digest,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The digests of its layers' uncompressed content, lowest first.
    pub layers: Vec<Digest>,
    /// What its containers run unless told otherwise, after its entrypoint.
    pub command: Vec<String>,
    /// The architecture, e.g. `amd64`.
    pub architecture: String,
    /// The operating system, e.g. `linux`.
    pub os: String,
    /// Bytes on disk.
    pub size: u64,
}

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// What is built, in people's words, for events: `common`, `mission roman`.
    pub image: String,
    /// The text of the Dockerfile.
    pub dockerfile: String,
    /// The files that it can copy.
    pub context: Context,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Secrets by their ID, for `RUN --mount=type=secret,id=…`. They reach no layer and no history.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// The tags that the image gets.
    pub tags: Vec<ImageTag>,
    /// Whether the builder's cache is left aside.
    pub no_cache: bool,
}

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct ContainerRequest {
    /// The image, by ID or tag.
    pub image: String,
    /// In place of the image's own entrypoint; none at all, if it is empty.
    pub entrypoint: Option<Vec<String>>,
    /// The command, in place of the image's own.
    pub command: Vec<String>,
    /// Files that it holds before it starts, each set below an absolute path.
    pub files: Vec<(String, Context)>,
    /// Environment variables beside the image's own.
    pub environment: BTreeMap<String, String>,
    /// Labels, by which floe finds the container again.
    pub labels: BTreeMap<String, String>,
    /// A limit on memory and swap together, in bytes.
    pub memory: Option<u64>,
    /// A limit on the number of processes and threads.
    pub processes: Option<u64>,
    /// The size of `/dev/shm`, in bytes.
    pub shm_size: Option<u64>,
}

/// A container that was created and started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The engine's ID of it.
    pub id: String,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerExit {
    /// The exit code of its first process; 128 and the signal's number where it was killed.
    pub code: i64,
    /// Whether the engine saw a process of the container killed for memory. True also where only a child was killed.
    pub out_of_memory: bool,
}

/// A container of floe's own, found by its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The engine's ID of it.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is running.
    pub running: bool,
}

/// A name and a secret for a registry.
#[derive(Clone)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password or token.
    pub password: String,
}

/// A container engine.
#[async_trait]
pub trait Engine: Send + Sync {
    /// The image that `reference` (an ID or a tag) names, if the engine has it.
    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError>;

    /// Fetches an image from its registry.
    async fn pull(
        &self,
        reference: &str,
        credentials: Option<Credentials>,
        events: &dyn Sink,
    ) -> Result<Image, EngineError>;

    /// Builds an image; its steps become events.
    async fn build(&self, request: BuildRequest, events: &dyn Sink) -> Result<Digest, EngineError>;

    /// Makes an image of one layer from an archive of a root filesystem.
    async fn import(
        &self,
        archive: PathBuf,
        tag: &ImageTag,
        labels: &BTreeMap<String, String>,
    ) -> Result<Digest, EngineError>;

    /// Gives the image `id` one more tag.
    async fn tag(&self, id: &Digest, tag: &ImageTag) -> Result<(), EngineError>;

    /// Pushes what `tag` names; answers the digest of the manifest in the registry.
    async fn push(
        &self,
        tag: &ImageTag,
        credentials: Option<Credentials>,
        events: &dyn Sink,
    ) -> Result<Digest, EngineError>;

    /// Creates and starts a container.
    async fn start(&self, request: &ContainerRequest) -> Result<Container, EngineError>;

    /// Sends what the container prints (standard output and error together) into `output` until it ends.
    async fn follow(&self, container: &Container, output: mpsc::Sender<Vec<u8>>) -> Result<(), EngineError>;

    /// Waits until the container ends.
    async fn wait(&self, container: &Container) -> Result<ContainerExit, EngineError>;

    /// Asks the first process of the container to end (SIGTERM). One that has ended already is no error.
    async fn terminate(&self, container: &Container) -> Result<(), EngineError>;

    /// Kills every process of the container. One that has ended already is no error.
    async fn kill(&self, container: &Container) -> Result<(), EngineError>;

    /// Copies a directory out of a container, running or not, into `destination`. A missing one is no error.
    ///
    /// At most `limit` bytes are written; answers whether everything fitted.
    async fn copy_out(
        &self,
        container: &Container,
        path: &str,
        destination: PathBuf,
        limit: u64,
    ) -> Result<bool, EngineError>;

    /// Removes the container and its anonymous volumes, running or not. A missing one is no error.
    async fn remove(&self, container: &Container) -> Result<(), EngineError>;

    /// Removes an image, unless a container or another image needs it. A missing one is no error.
    async fn remove_image(&self, id: &Digest) -> Result<(), EngineError>;

    /// All containers that carry the label `label`.
    async fn containers(&self, label: &str) -> Result<Vec<Found>, EngineError>;
}

/// What can go wrong at the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No engine answers.
    #[error("no container engine answers at {address}: {reason}")]
    Unreachable {
        /// The socket or URL that was tried.
        address: String,
        /// The operating system's or the engine's words.
        reason: String,
    },
    /// A request was refused or broke.
    #[error("{action}: {reason}")]
    Request {
        /// What was asked, e.g. `start a container of floe/roman:0123`.
        action: String,
        /// The engine's words.
        reason: String,
        /// Whether the same request may succeed later (name resolution, time-outs, 429 and 5xx, resets).
        temporary: bool,
    },
    /// A container was removed by somebody else while it was needed.
    #[error("the container {container} was removed while it ran, and not by floe")]
    Gone {
        /// The container, by the beginning of its ID.
        container: String,
    },
    /// A build failed.
    #[error("building {image} failed: {reason}")]
    Build {
        /// What was built.
        image: String,
        /// The builder's words.
        reason: String,
        /// The line of the composed Dockerfile, counted from 1, where the builder names it or the step can be found.
        line: Option<usize>,
        /// The step that failed, as the builder names it.
        step: Option<String>,
        /// The last lines that the step printed.
        output: String,
        /// Whether the same build may succeed later.
        temporary: bool,
    },
    /// The files of the context could not be read.
    #[error(transparent)]
    Context(#[from] crate::context::ContextError),
    /// A local file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl EngineError {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Gone { .. } => true,
            Self::Request { temporary, .. } | Self::Build { temporary, .. } => *temporary,
            Self::Context(_) | Self::File { .. } => false,
        }
    }
}

/// How long the engine may take to answer a request that should be quick.
const PATIENCE: Duration = Duration::from_mins(2);
