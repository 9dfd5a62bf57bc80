//! What machines pull that test an image: the image before anything is known of it, and floe's own program.
//!
//! Both lie in the repository that the image is pushed to once it has passed, so that whoever may push may test, and what
//! pulls the one pulls the other. A candidate has a tag of its own, which nobody takes for that of an image that passed; what
//! passed is pushed with all layers there already.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::{PAUSES, PublishError, Shipment, arrived};
use crate::engine::{Credentials, Images};
use crate::event::Sink;
use crate::layers::{self, Packing};
use crate::reference::media_type::CONFIGURATION;
use crate::reference::{Digest, ImageReference, ImageTag};
use crate::registry::{Artifact, Content, Destination, Registry};
use crate::state::FileError;

const LAYER: &str = layers::Compression::Gzip.media_type();

/// Nobody: what copies a file needs no right to anything else.
const NOBODY: &str = "65534:65534";

/// An image that is to be tested by machines that pull it.
pub struct Candidate<'a> {
    /// The image's ID.
    pub id: &'a Digest,
    /// Where it goes once it has passed.
    pub target: &'a ImageTag,
    /// Credentials for the registry.
    pub credentials: Option<&'a Credentials>,
    /// How floe pushes its layers; without it the engine does.
    pub packing: Option<&'a Packing>,
    /// floe's own program, which reads layers where the engine keeps them.
    pub agent: &'a Path,
}

/// Has an image in its registry. Returns by what it is pulled.
pub async fn candidate(
    image: Candidate<'_>,
    images: &dyn Images,
    registry: &dyn Destination,
    events: &dyn Sink,
) -> Result<ImageReference, PublishError> {
    let Candidate {
        id,
        target,
        credentials,
        packing,
        agent,
    } = image;
    let by = |digest: &Digest| target.reference().beside(&format!("@{digest}"));
    // What was pushed is there.
    if let Some(held) = registry.manifest(&target.reference()).await?
        && held.is(id)
    {
        return Ok(by(&held.digest));
    }
    let untested = ImageTag {
        repository: target.repository.clone(),
        tag: format!("untested-{}", id.short()),
    };
    let shipment = Shipment {
        id,
        target: &untested,
        credentials,
        packing,
        agent,
        pauses: PAUSES,
    };
    let (digest, _) = arrived(&shipment, images, registry, events).await?;
    Ok(by(&digest))
}

/// Has `program`, which is floe's own, in the repository of `target`, as an image that holds nothing else. Returns by what it is
/// pulled.
pub async fn agent(program: &Path, target: &ImageTag, registry: &dyn Registry) -> Result<ImageReference, PublishError> {
    let archive = archive(program).map_err(FileError::of(program))?;
    let config = configuration(&archive);
    let tag = ImageTag {
        repository: target.repository.clone(),
        tag: format!("floe-agent-{}", config.digest().short()),
    };
    let tag = tag.reference();
    let digest = match registry.manifest(&tag).await? {
        // Its configuration names the archive's content, which whoever pulls it verifies.
        Some(held) if held.config == config.digest() => held.digest,
        _ => {
            let layer = compressed(&archive).map_err(FileError::of(program))?;
            let artifact = Artifact {
                artifact_type: None,
                config,
                layers: vec![Content::new(LAYER, layer)],
                annotations: BTreeMap::new(),
            };
            registry.put(&tag, &artifact).await?
        }
    };
    Ok(tag.beside(&format!("@{digest}")))
}

/// An archive that holds a program as `floe`, the same for the same program.
fn archive(program: &Path) -> io::Result<Vec<u8>> {
    let content = fs::read(program)?;
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o555);
    let mut archive = tar::Builder::new(Vec::with_capacity(content.len() + 4096));
    archive.append_data(&mut header, "floe", content.as_slice())?;
    archive.into_inner()
}

/// What is said of the image of an archive: what it runs, and as whom.
fn configuration(archive: &[u8]) -> Content {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": ["/floe", "applet"], "User": NOBODY},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(archive)]},
    });
    Content::new(CONFIGURATION, config.to_string())
}

fn compressed(archive: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    io::copy(&mut &*archive, &mut encoder)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_a_program_is_the_same_whenever_it_is_made_and_another_for_another_program() {
        let directory = tempfile::tempdir().unwrap();
        let image = |content: &str| {
            let path = directory.path().join("program");
            fs::write(&path, content).unwrap();
            let archive = archive(&path).unwrap();
            (
                configuration(&archive).digest(),
                Digest::of(&compressed(&archive).unwrap()),
            )
        };
        assert_eq!(image("one"), image("one"));
        assert_ne!(image("one").0, image("two").0);
    }
}
