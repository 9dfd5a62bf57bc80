//! Builds of images.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::EngineError;
use crate::context::Context;
use crate::event::Sink;
use crate::reference::{Digest, ImageTag};

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
    /// Files that single `RUN`s see, by the ID with which the Dockerfile names them. They reach no layer and no history.
    pub mounts: BTreeMap<String, Vec<u8>>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// The tags that the image gets.
    pub tags: Vec<ImageTag>,
    /// Whether the builder's cache is left aside.
    pub no_cache: bool,
}

/// A connection with a step of a build, whatever way it takes.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// The connections that the `RUN`s of a build open to the host.
pub type Connections = mpsc::Sender<DuplexStream>;

/// What builds images.
#[async_trait]
pub trait Builds: Send + Sync {
    /// Builds an image; its steps become events.
    async fn build(&self, request: BuildRequest, events: &dyn Sink) -> Result<Digest, EngineError>;

    /// Carries out the steps of a Dockerfile and makes no image of them. Where a `RUN` mounts `type=ssh`, the socket that
    /// `SSH_AUTH_SOCK` names leads to `connections`: no other way leads from a step of a build to who asked for it.
    async fn perform(
        &self,
        request: BuildRequest,
        connections: Connections,
        events: &dyn Sink,
    ) -> Result<(), EngineError>;

    /// A quicker connection with a step that has said that it listens at a `door`: brought there by a
    /// container of `image`, which has floe's own program. `None` where no other way leads there.
    async fn passage(&self, image: &Digest, door: &Path) -> Result<Option<UnixStream>, EngineError>;
}
