//! Containers that a person, or a pipe, is attached to.

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

use super::{Container, ContainerRequest, EngineError};
use crate::context::Context;

/// What a container writes, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// On its standard output, or on its terminal.
    Output(Bytes),
    /// On its standard error.
    Error(Bytes),
}

/// The streams of a container. Dropping them lets go of it.
pub struct Attached {
    /// Its standard input. To shut it down ends the input.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it writes, until it ends.
    pub output: mpsc::Receiver<Result<Written, EngineError>>,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its columns.
    pub columns: u16,
    /// Its rows.
    pub rows: u16,
}

/// What lets people into containers: a container is created, given what it needs, attached to, and only then begun, so that
/// nothing of it is missed.
#[async_trait]
pub trait Consoles: Send + Sync {
    /// Creates a container, which does nothing before [`Consoles::begin`].
    async fn create(&self, request: &ContainerRequest) -> Result<Container, EngineError>;

    /// Puts the files of `files` below the absolute path `directory` of a container, owned by root.
    async fn give(&self, container: &Container, directory: &str, files: &Context) -> Result<(), EngineError>;

    /// Copies the file or directory at `path` out of a container, running or not, into the directory `into`, under its own
    /// name. Links are copied as such; nothing is written outside of `into`.
    ///
    /// Returns whether there is one.
    async fn fetch(&self, container: &Container, path: &str, into: PathBuf) -> Result<bool, EngineError>;

    /// Attaches to the standard streams of a container. `terminal` says whether it was created with one.
    async fn attach(&self, container: &Container, terminal: bool) -> Result<Attached, EngineError>;

    /// Starts a container that was created.
    async fn begin(&self, container: &Container) -> Result<(), EngineError>;

    /// Gives the terminal of a running container another size.
    async fn resize(&self, container: &Container, size: Size) -> Result<(), EngineError>;

    /// Sends a signal, e.g. `SIGINT`, to the first process of a container. One that has ended already is no error.
    async fn signal(&self, container: &Container, signal: &str) -> Result<(), EngineError>;
}
