//! Containers: started, followed, waited for, ended, and found again by their labels.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::EngineError;
use crate::context::Context;
use crate::image;
use crate::mount::Mount;
use crate::reference::{Digest, ImageReference};

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
    /// A program that it can run and nothing in it can change.
    pub program: Option<SharedProgram>,
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
    /// What of the engine's machine it sees.
    pub mounts: Vec<Mount>,
    /// Who runs in it, if not the image's user.
    pub user: Option<User>,
    /// Its working directory, if not the image's.
    pub directory: Option<String>,
    /// A port of its own that the engine's machine offers to itself, at 127.0.0.1, under the same number.
    pub port: Option<u16>,
    /// What its standard input is.
    pub input: Input,
}

/// What the standard input of a container is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Input {
    /// Empty.
    #[default]
    None,
    /// A pipe.
    Pipe,
    /// A terminal, and so are its standard output and error.
    Terminal,
}

/// Who runs in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The number of the user.
    pub id: u32,
    /// The number of the user's group.
    pub group: u32,
    /// The number of a group that the user is in, too.
    pub beside: u32,
}

/// A program that containers share, and that the engine keeps from one to the next.
#[derive(Debug, Clone)]
pub struct SharedProgram {
    /// What the engine keeps it as. Another content has another name.
    pub name: String,
    /// Where containers have it: its directory holds nothing else.
    pub path: PathBuf,
    /// The program on the host.
    pub source: PathBuf,
    /// The image that holds it, where it is run by machines that pull images.
    pub image: Option<ImageReference>,
}

impl SharedProgram {
    /// The host's own agent, as containers have it. A new file is another program: its name follows from what is cheap to know
    /// of it.
    pub fn of(agent: &Path) -> Result<Self, EngineError> {
        let metadata = std::fs::metadata(agent).map_err(|source| EngineError::File {
            path: agent.to_owned(),
            source,
        })?;
        let (size, modified) = (metadata.size(), (metadata.mtime(), metadata.mtime_nsec()));
        let digest = Digest::of(format!("{size} {modified:?} {} {}", metadata.dev(), metadata.ino()).as_bytes());
        Ok(Self {
            name: format!("floe-agent-{}", digest.short()),
            path: image::AGENT.into(),
            source: agent.to_owned(),
            image: None,
        })
    }
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

/// What is copied out of a container.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The files, relative to the directory; all that are there, if `None`.
    pub files: Option<BTreeSet<PathBuf>>,
    /// How many bytes are read at most, those that nobody wants included.
    pub limit: u64,
}

/// A file or directory that differs from that of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its absolute path.
    pub path: PathBuf,
    /// How it differs.
    pub kind: ChangeKind,
}

/// How a file differs from that of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// In its content, its metadata, or, of a directory, in what it holds.
    Changed,
    /// The image has none.
    Added,
    /// The image alone has it.
    Deleted,
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

/// What runs containers.
#[async_trait]
pub trait Containers: Send + Sync {
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

    /// Copies what is wanted of a directory out of a container, running or not, into `destination`. A missing directory is
    /// no error.
    ///
    /// Returns whether everything fitted.
    async fn copy_out(
        &self,
        container: &Container,
        path: &str,
        destination: PathBuf,
        wanted: &Wanted,
    ) -> Result<bool, EngineError>;

    /// What differs in the container's files from those of its image; `None` where the engine cannot tell. Volumes are left
    /// out.
    async fn changes(&self, container: &Container) -> Result<Option<Vec<Change>>, EngineError>;

    /// Removes the container and its anonymous volumes, running or not. A missing one is no error.
    async fn remove(&self, container: &Container) -> Result<(), EngineError>;

    /// All containers that carry the label `label`.
    async fn containers(&self, label: &str) -> Result<Vec<Found>, EngineError>;
}
