//! The archive that the engine loads: layers, and at its end what they are layers of.

use std::io;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use super::beginning::Beginning;
use crate::engine::{LayerPart, NewLayer};
use crate::reference::media_type::{INDEX, MANIFEST};
use crate::reference::{Digest, ImageTag};

/// A tar archive consists of blocks of so many bytes.
const BLOCK: usize = 512;

/// Bytes of layers from which on the others go into another archive.
const ENOUGH: u64 = 128 << 20;

/// Where containerd reads what an image is called.
const NAME: &str = "io.containerd.image.name";

/// What marks an OCI layout.
const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// What an archive was filled with.
#[derive(PartialEq, Eq)]
pub(super) enum Filled {
    /// Layers, and others follow.
    More,
    /// Layers to the last.
    Last,
    /// Layers, until whoever sends them gave up.
    Abandoned,
}

/// A tar archive on its way to the engine.
pub(super) struct Archive {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    /// The bytes of the layers in it.
    bytes: u64,
}

impl Archive {
    /// An archive without anything yet, whose pieces go there.
    pub(super) const fn new(pieces: mpsc::Sender<io::Result<Bytes>>) -> Self {
        Self { pieces, bytes: 0 }
    }

    /// Writes layers, until there are enough for an archive; `None` where nobody reads it any more.
    pub(super) async fn fill(
        &mut self,
        beginning: &mut Beginning,
        layers: &mut mpsc::Receiver<LayerPart>,
    ) -> Option<Filled> {
        let (mut size, mut said, mut name) = (0, String::new(), None);
        while self.bytes < ENOUGH {
            match layers.recv().await {
                Some(LayerPart::Begin { made, layer }) => match layer {
                    NewLayer::There(digest) => beginning.add_known(digest, &made),
                    NewLayer::Plain(bytes) => {
                        self.header(&path(beginning.len()), bytes).await?;
                        (size, said, name) = (bytes, made, None);
                    }
                    NewLayer::Packed {
                        media_type,
                        digest,
                        size: bytes,
                    } => {
                        self.header(&blob(&digest), bytes).await?;
                        let named = json!({"mediaType": media_type, "digest": digest.as_str(), "size": bytes});
                        (size, said, name) = (bytes, made, Some(named));
                    }
                },
                Some(LayerPart::Bytes(piece)) => self.send(piece).await?,
                Some(LayerPart::End(digest)) => {
                    self.pad(size).await?;
                    self.bytes += size;
                    match name.take() {
                        Some(name) => beginning.add_named(digest, &said, name),
                        None => beginning.add(digest, &said),
                    }
                }
                Some(LayerPart::Done) => return Some(Filled::Last),
                None => return Some(Filled::Abandoned),
            }
        }
        Some(Filled::More)
    }

    /// A cut archive must not look like a whole one to the engine.
    pub(super) async fn abandon(&mut self) {
        let _ = self.pieces.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
    }

    /// Writes the end: the configuration and the list of layers, most of which the archive does not hold. Returns the ID of the
    /// image. If nobody reads it any more, that is known by the answer.
    pub(super) async fn end(&mut self, beginning: &Beginning, tag: &ImageTag) -> Digest {
        let configuration = beginning.configuration();
        let id = match beginning.manifest(&configuration) {
            Some(manifest) => self.layout(configuration, manifest, tag).await,
            None => self.list(configuration, beginning.len(), tag).await,
        };
        let _ = self.send(Bytes::from_static(&[0; 2 * BLOCK])).await;
        id
    }

    /// Ends it in Docker's own form.
    async fn list(&mut self, configuration: Vec<u8>, layers: usize, tag: &ImageTag) -> Digest {
        let id = Digest::of(&configuration);
        let name = format!("{}.json", id.hex());
        let paths = (0..layers).map(path).collect::<Vec<_>>();
        let list = json!([{"Config": name, "RepoTags": [tag.to_string()], "Layers": paths}]);
        let _ = self.file(&name, configuration).await;
        let _ = self.file("manifest.json", list.to_string().into_bytes()).await;
        id
    }

    /// Ends it as an OCI layout.
    async fn layout(&mut self, configuration: Vec<u8>, manifest: Vec<u8>, tag: &ImageTag) -> Digest {
        let id = Digest::of(&manifest);
        // containerd's names are whole.
        let whole = tag.reference().beside(&format!(":{}", tag.tag));
        let named = json!({
            "mediaType": MANIFEST, "digest": id.as_str(), "size": manifest.len(),
            "annotations": {NAME: whole.as_str()},
        });
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]});
        let _ = self.file(&blob(&Digest::of(&configuration)), configuration).await;
        let _ = self.file(&blob(&id), manifest).await;
        let _ = self.file("index.json", index.to_string().into_bytes()).await;
        let _ = self.file("oci-layout", LAYOUT.into()).await;
        id
    }

    async fn file(&mut self, path: &str, content: Vec<u8>) -> Option<()> {
        let bytes = content.len() as u64;
        self.header(path, bytes).await?;
        self.send(content.into()).await?;
        self.pad(bytes).await
    }

    async fn header(&mut self, path: &str, bytes: u64) -> Option<()> {
        let mut header = tar::Header::new_gnu();
        // The names are floe's own, and short.
        header.set_path(path).ok()?;
        header.set_mode(0o644);
        header.set_size(bytes);
        header.set_cksum();
        self.send(Bytes::copy_from_slice(header.as_bytes())).await
    }

    /// Fills the last block of a file.
    async fn pad(&mut self, bytes: u64) -> Option<()> {
        static ZEROS: [u8; BLOCK] = [0; BLOCK];
        let missing = bytes.next_multiple_of(BLOCK as u64) - bytes;
        let missing = usize::try_from(missing).unwrap_or_default();
        if missing == 0 {
            return Some(());
        }
        self.send(Bytes::from_static(&ZEROS[..missing])).await
    }

    async fn send(&mut self, piece: Bytes) -> Option<()> {
        self.pieces.send(Ok(piece)).await.ok()
    }
}

/// What something is called in an OCI layout.
fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// What a layer is called in an archive of Docker's own form.
fn path(index: usize) -> String {
    format!("{index}/layer.tar")
}
