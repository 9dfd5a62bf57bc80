//! Images at an engine, and their ways to and from a registry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{EngineError, SharedProgram};
use crate::event::Sink;
use crate::image::layer;
use crate::reference::{Digest, ImageReference, ImageTag};

/// An image as the engine knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The image's ID: the digest of its configuration or, where the engine keeps images as containerd does, that of its
    /// manifest or index.
    pub id: Digest,
    /// When it was made, where the engine says so.
    pub created: Option<Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The digests of its layers' uncompressed content, lowest first.
    pub layers: Vec<Digest>,
    /// Who runs in its containers unless told otherwise: a name or number, with a group behind a colon; empty for root.
    pub user: String,
    /// What its containers run unless told otherwise, and its command after it.
    pub entrypoint: Vec<String>,
    /// What its containers run unless told otherwise, after its entrypoint.
    pub command: Vec<String>,
    /// The environment variables that its containers have.
    pub variables: BTreeMap<String, String>,
    /// The architecture, e.g. `amd64`.
    pub architecture: String,
    /// The operating system, e.g. `linux`.
    pub os: String,
    /// Bytes on disk, as the engine counts them: where it keeps images as containerd does, those of the compressed layers.
    pub size: u64,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// The digest of its uncompressed content.
    pub digest: Digest,
    /// What made it, in the engine's words; empty where it does not say.
    pub made: String,
    /// The bytes of its files; 0 where the engine does not say.
    pub size: u64,
}

impl Layer {
    /// What people call it: by the environment that it holds, or by what made it.
    #[must_use]
    pub fn called(&self) -> String {
        layer::called(&self.made)
    }
}

/// What an engine tells of an image among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The image's ID.
    pub id: Digest,
    /// Its tags, as floe gives them.
    pub tags: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What a registry knows a user by.
#[derive(Clone)]
pub enum Credentials {
    /// A name and a password, or a token in the place of one.
    Password {
        /// The user's name.
        username: String,
        /// The password or token.
        password: String,
    },
    /// A token of an identity service, which the registry's own service exchanges for one that opens a repository.
    IdentityToken(String),
}

/// An archive of an image, as it comes from the engine.
pub type Export = BoxStream<'static, Result<Bytes, EngineError>>;

/// Layers that are read where the engine keeps them.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The ID of the image.
    pub image: &'a Digest,
    /// Those of its layers that are wanted, by the digests of their content.
    pub layers: &'a BTreeSet<Digest>,
    /// What reads them: floe's own program.
    pub program: &'a SharedProgram,
}

/// The form in which an engine takes layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerForm {
    /// As they are: it keeps their files.
    Plain,
    /// Compressed: it keeps what it was given, and pushes that.
    Packed,
}

/// What layers are to lie on.
#[derive(Debug, Clone, Copy)]
pub struct Below<'a> {
    /// The image.
    pub image: &'a Digest,
    /// An image that has all layers of that one, and on top of them those that are said to be there.
    pub having: &'a Digest,
}

/// Layers on their way to an engine, in parts, the lowest layer first.
#[derive(Debug)]
pub enum LayerPart {
    /// A layer begins.
    Begin {
        /// What the history of the image says of it.
        made: String,
        /// What there is of it.
        layer: NewLayer,
    },
    /// Some of its bytes.
    Bytes(Bytes),
    /// The layer ends; the digest of its archive before it was compressed.
    End(Digest),
    /// There is no other layer. Without it, whoever sends them has given up.
    Done,
}

/// A layer that an image is to have.
#[derive(Debug)]
pub enum NewLayer {
    /// The engine has it on top of those before it. Nothing follows.
    There(Digest),
    /// Its archive has so many bytes, which follow.
    Plain(u64),
    /// Its compressed archive follows.
    Packed {
        /// What it is, as registries call it.
        media_type: &'static str,
        /// The digest of its bytes.
        digest: Digest,
        /// How many there are.
        size: u64,
    },
}

/// What keeps images.
#[async_trait]
pub trait Images: Send + Sync {
    /// The image that `reference` (an ID or a tag) names, if the engine has it.
    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError>;

    /// The layers of an image, the lowest first.
    async fn layers(&self, image: &Image) -> Result<Vec<Layer>, EngineError>;

    /// All images with this label, whatever its value.
    async fn labelled(&self, label: &str) -> Result<Vec<Listed>, EngineError>;

    /// Fetches an image from its registry.
    async fn pull(
        &self,
        reference: &ImageReference,
        credentials: Option<Credentials>,
        events: &dyn Sink,
    ) -> Result<Image, EngineError>;

    /// Makes an image of one layer from an archive of a root filesystem.
    async fn import(
        &self,
        archive: PathBuf,
        tag: &ImageTag,
        labels: &BTreeMap<String, String>,
    ) -> Result<Digest, EngineError>;

    /// Gives the image `id` one more tag.
    async fn tag(&self, id: &Digest, tag: &ImageTag) -> Result<(), EngineError>;

    /// Reads layers where the engine keeps them, and the configuration of their image. `None` where it is not known how: then
    /// it saves the image. Of what is read nothing is known to be what it should be, and not all of it may come.
    async fn stored(&self, wanted: Stored<'_>) -> Result<Option<Export>, EngineError>;

    /// Saves the image `id`, with its layers as they are before they are compressed. `None` where the engine itself is to push
    /// it, since that is quicker.
    async fn export(&self, id: &Digest) -> Result<Option<Export>, EngineError>;

    /// The form in which it takes layers on top of an image that it has; `None` where it takes none.
    async fn takes_layers(&self) -> Result<Option<LayerForm>, EngineError>;

    /// Makes an image of an image and layers on top of it, in the form that [`Self::takes_layers`] says.
    async fn extend(
        &self,
        below: Below<'_>,
        tag: &ImageTag,
        layers: mpsc::Receiver<LayerPart>,
    ) -> Result<Digest, EngineError>;

    /// Pushes what `tag` names; returns the digest of the manifest in the registry.
    async fn push(
        &self,
        tag: &ImageTag,
        credentials: Option<Credentials>,
        events: &dyn Sink,
    ) -> Result<Digest, EngineError>;

    /// Takes a tag away, and with the last one the image, unless a container or another image needs it. A missing one is no error.
    async fn untag(&self, tag: &ImageTag) -> Result<(), EngineError>;

    /// Removes an image, unless a container or another image needs it. A missing one is no error.
    async fn remove_image(&self, id: &Digest) -> Result<(), EngineError>;
}
