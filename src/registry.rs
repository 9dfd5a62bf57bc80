//! Registries: what an image's reference there names, where else it is to be, and what refers to it, by the OCI
//! distribution protocol.

mod artifact;
mod blobs;
mod identity;
mod layers;
mod referrers;
mod refusal;
mod remote;
mod requests;

use async_trait::async_trait;

pub use self::artifact::{Artifact, Content};
pub use self::layers::{Assembled, Blob, Destination, Layers};
pub use self::remote::Remote;
use crate::fault::{Explained, Kind, Trouble};
use crate::reference::{Digest, ImageReference, ImageTag};

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of the manifest, by which the image is pulled.
    pub digest: Digest,
    /// The digest of the configuration, which is the image's ID on the machine that built it.
    pub config: Digest,
    /// How many bytes its layers are, as they are sent.
    pub size: u64,
}

impl Manifest {
    /// Whether this is the image that an engine knows as `id`: engines name an image by the digest of its configuration
    /// or, with containerd's image store, by that of its manifest.
    #[must_use]
    pub fn is(&self, id: &Digest) -> bool {
        self.config == *id || self.digest == *id
    }
}

/// What refers to an image in a registry: a statement about it, or a list of what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// The digest of its own manifest.
    pub digest: Digest,
    /// The media type that says what it is.
    pub artifact_type: Option<String>,
}

/// An artifact that refers to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The digest of its manifest.
    pub digest: Digest,
    /// Whether it had to be sent; otherwise it was there already.
    pub sent: bool,
}

/// A registry of images.
#[async_trait]
pub trait Registry: Send + Sync {
    /// What `image` names; `None` if there is nothing of that name.
    async fn manifest(&self, image: &ImageReference) -> Result<Option<Manifest>, RegistryError>;

    /// Gives what `image` names the tag `tag` in its repository, too. Returns the digest that the tag named
    /// before, if it named any.
    async fn tag(&self, image: &ImageReference, tag: &str) -> Result<Option<Digest>, RegistryError>;

    /// Copies what `image` names to `target`, in another repository of the same registry, to the byte. What is there
    /// already is not sent again. Returns the digest that both name.
    async fn copy(&self, image: &ImageReference, target: &ImageTag) -> Result<Digest, RegistryError>;

    /// What refers to the manifest that `image` names by its digest, of one type or of any.
    async fn referrers(
        &self,
        image: &ImageReference,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>, RegistryError>;

    /// Has `artifact` refer to the manifest that `image` names by its digest. What refers to it already is neither sent
    /// again nor lost.
    async fn attach(&self, image: &ImageReference, artifact: &Artifact) -> Result<Attached, RegistryError>;

    /// Puts `artifact` to where `target` names it, in the place of what that named before.
    async fn put(&self, target: &ImageReference, artifact: &Artifact) -> Result<Digest, RegistryError>;

    /// The artifact that `image` names, by tag or digest, with all that it holds; `None` if there is nothing of that name.
    async fn artifact(&self, image: &ImageReference) -> Result<Option<Artifact>, RegistryError>;
}

/// A registry that does not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("registry of {image}: {reason}")]
pub struct RegistryError {
    /// The image that was asked for.
    pub image: String,
    /// The registry's or the network's words.
    pub reason: String,
    /// What they tell.
    pub trouble: Trouble,
}

impl Explained for RegistryError {
    fn kind(&self) -> Kind {
        self.trouble.kind()
    }

    fn hint(&self) -> Option<String> {
        let hint = self.trouble.hint()?;
        Some(match self.trouble {
            Trouble::Unresolved | Trouble::Unheard | Trouble::Foreign => {
                format!("{hint} REGISTRY says where images go")
            }
            _ => hint.to_owned(),
        })
    }

    fn is_temporary(&self) -> bool {
        self.trouble.may_pass()
    }
}
