//! What stands for an image in a registry, where no engine pushes one.

use floe::reference::{ImageReference, ImageTag};
use floe::registry::{Artifact, Content, Registry as _, Remote};

/// A client of the registry that has repositories below `address`.
pub fn remote(address: &str) -> Remote {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Remote::new(&address.split('/').next().unwrap().parse().unwrap(), None, None).unwrap()
}

/// Something that is an image, as far as a registry can tell: put under the tag `1` of the repository at `address`.
pub async fn pushed(remote: &Remote, address: &str) -> ImageReference {
    let tag = tag(address, "1");
    let digest = remote.put(&tag, &image()).await.unwrap();
    tag.beside(&format!("@{digest}"))
}

/// The image that [`pushed`] puts.
pub fn image() -> Artifact {
    Artifact {
        artifact_type: None,
        config: Content::new("application/vnd.oci.image.config.v1+json", "{\"rootfs\": {}}"),
        ..Artifact::of(Content::new("application/vnd.oci.image.layer.v1.tar", vec![7; 100_000]))
    }
}

/// A tag of the repository at `address`.
pub fn tag(address: &str, tag: &str) -> ImageReference {
    ImageTag {
        repository: address.to_owned(),
        tag: tag.to_owned(),
    }
    .reference()
}
