//! Layers on their way to a registry, from files, and the image that they come to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use reqwest::header::RANGE;
use reqwest::{Body, Method};
use tokio::sync::watch;

use super::artifact::{Descriptor, Form};
use super::blobs::{BYTES, end, place, upload};
use super::identity::Access;
use super::remote::Remote;
use super::requests::{Fault, Request};
use super::{Registry, RegistryError};
use crate::fault::Trouble;
use crate::layers::{Compression, Packed};
use crate::reference::media_type::{CONFIGURATION, MANIFEST};
use crate::reference::{Digest, ImageReference};

/// Bytes that are read at once.
const READ: u64 = 1 << 20;

/// Bytes that are sent by one request, where a request for all of them broke off.
const PIECE: u64 = 32 << 20;

/// Something that is sent from a file.
#[derive(Debug, Clone)]
pub struct Blob {
    /// What it is, and how much.
    pub packed: Packed,
    /// The file. It may have lost its name.
    pub file: Arc<File>,
}

/// An image whose layers are in the repository already.
#[derive(Debug, Clone)]
pub struct Assembled {
    /// Its configuration, to the byte.
    pub configuration: Bytes,
    /// Its layers, lowest first.
    pub layers: Vec<Packed>,
    /// How they are compressed.
    pub compression: Compression,
}

/// Where layers go.
#[async_trait]
pub trait Layers: Send + Sync {
    /// Whether the repository of `image` has a layer.
    async fn has(&self, image: &ImageReference, digest: &Digest) -> Result<bool, RegistryError>;

    /// Makes a layer of the repository `from`, with the name of its registry, known in that of `image`. Returns whether it is,
    /// which it never is of another registry.
    async fn mount(&self, image: &ImageReference, digest: &Digest, from: &str) -> Result<bool, RegistryError>;

    /// Sends a layer to the repository of `image`, and tells `sent` how many of its bytes are on their way.
    async fn send(&self, image: &ImageReference, blob: &Blob, sent: &watch::Sender<u64>) -> Result<(), RegistryError>;

    /// Puts an image to where `image` names it. Returns the digest of its manifest.
    async fn assemble(&self, image: &ImageReference, assembled: &Assembled) -> Result<Digest, RegistryError>;
}

/// Where images go.
pub trait Destination: Registry + Layers {}

impl<T: Registry + Layers> Destination for T {}

impl Assembled {
    /// The manifest and its media type: Docker's own where layers are compressed as it does, which every registry takes that
    /// took what Docker pushed; that has no word for zstd, which OCI's has.
    fn manifest(&self) -> (&'static str, Bytes) {
        let (manifest, configuration, layer) = match self.compression {
            Compression::Gzip => (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ),
            Compression::Zstd => (MANIFEST, CONFIGURATION, self.compression.media_type()),
        };
        let part = |media_type: &str, packed: &Packed| Descriptor {
            media_type: media_type.to_owned(),
            digest: packed.digest.clone(),
            size: packed.size,
            artifact_type: None,
            annotations: BTreeMap::new(),
            platform: None,
        };
        let of_configuration = Packed {
            digest: Digest::of(&self.configuration),
            size: self.configuration.len() as u64,
        };
        let form = Form {
            schema_version: 2,
            media_type: Some(manifest.to_owned()),
            artifact_type: None,
            config: Some(part(configuration, &of_configuration)),
            layers: self.layers.iter().map(|packed| part(layer, packed)).collect(),
            manifests: Vec::new(),
            subject: None,
            annotations: BTreeMap::new(),
        };
        let bytes = serde_json::to_vec(&form).expect("strings and numbers are JSON");
        (manifest, bytes.into())
    }
}

#[async_trait]
impl Layers for Remote {
    async fn has(&self, image: &ImageReference, digest: &Digest) -> Result<bool, RegistryError> {
        self.has_blob(image, digest).await
    }

    async fn mount(&self, image: &ImageReference, digest: &Digest, from: &str) -> Result<bool, RegistryError> {
        let Ok(from) = from.parse::<ImageReference>() else {
            return Ok(false);
        };
        if from.registry() != image.registry() || from.repository() == image.repository() {
            return Ok(false);
        }
        Ok(self.mounted(image, digest, from.repository()).await)
    }

    async fn send(&self, image: &ImageReference, blob: &Blob, sent: &watch::Sender<u64>) -> Result<(), RegistryError> {
        let tries = AtomicUsize::new(0);
        let attempt = || async {
            let again = tries.fetch_add(1, Ordering::Relaxed) > 0;
            // What broke off may have arrived.
            if again && self.has_blob(image, &blob.packed.digest).await? {
                return Ok(());
            }
            // One request is what every registry takes. It is divided where what has arrived is to count.
            if again && blob.packed.size > PIECE {
                self.send_in_pieces(image, blob, sent).await
            } else {
                self.send_whole(image, blob, sent).await
            }
        };
        self.requests.patiently(attempt).await
    }

    async fn assemble(&self, image: &ImageReference, assembled: &Assembled) -> Result<Digest, RegistryError> {
        let digest = Digest::of(&assembled.configuration);
        if !self.has_blob(image, &digest).await? {
            self.send_bytes(image, &digest, &assembled.configuration).await?;
        }
        let (media_type, manifest) = assembled.manifest();
        let digest = Digest::of(&manifest);
        self.put_manifest(image, media_type, manifest).await?;
        Ok(digest)
    }
}

impl Remote {
    async fn send_whole(&self, image: &ImageReference, blob: &Blob, sent: &watch::Sender<u64>) -> Result<(), Fault> {
        let place = self.begin(image).await?;
        let put = end(image, &place, &blob.packed.digest);
        let put = put.header("content-length", blob.packed.size.to_string());
        let put = put.header("content-type", BYTES);
        let body = || content(blob, (0, blob.packed.size), sent);
        self.requests.once_from(&put, body, &[]).await.map(drop)
    }

    async fn send_in_pieces(
        &self,
        image: &ImageReference,
        blob: &Blob,
        sent: &watch::Sender<u64>,
    ) -> Result<(), Fault> {
        let (mut place, mut done) = (self.begin(image).await?, 0);
        while done < blob.packed.size {
            let piece = (done, (done + PIECE).min(blob.packed.size));
            let tried = AtomicBool::new(false);
            let (upload, tried) = (&place, &tried);
            let attempt = || async move {
                let again = tried.swap(true, Ordering::Relaxed);
                let (place, from) = if again {
                    self.standing(image, upload).await?
                } else {
                    (upload.clone(), piece.0)
                };
                // A piece whose answer was lost is there.
                if from >= piece.1 {
                    return Ok((place, from));
                }
                self.send_piece(image, blob, (&place, from, piece.1), sent).await
            };
            // A registry that does not know the upload any more, or not how far it is, gets it from the beginning.
            let arrived = self.requests.patiently(attempt).await.map_err(|error| RegistryError {
                trouble: if error.trouble == Trouble::Denied {
                    error.trouble
                } else {
                    Trouble::Lost
                },
                ..error
            });
            (place, done) = arrived?;
        }
        let end = end(image, &place, &blob.packed.digest);
        self.requests.once(&end, &[]).await.map(drop)
    }

    /// Sends a part of a blob to its upload. Returns where that goes on, and how far it is.
    async fn send_piece(
        &self,
        image: &ImageReference,
        blob: &Blob,
        (at, from, to): (&str, u64, u64),
        sent: &watch::Sender<u64>,
    ) -> Result<(String, u64), Fault> {
        let patch = Request {
            method: Method::PATCH,
            ..upload(image.as_str(), image.repository(), at.to_owned())
        };
        let patch = patch
            .header("content-length", (to - from).to_string())
            .header("content-range", format!("{from}-{}", to - 1))
            .header("content-type", BYTES);
        let body = || content(blob, (from, to), sent);
        let answer = self.requests.once_from(&patch, body, &[]).await?;
        Ok((place(&answer.headers).unwrap_or_else(|| at.to_owned()), to))
    }

    /// Where an upload goes on, and how many bytes of it have arrived.
    async fn standing(&self, image: &ImageReference, at: &str) -> Result<(String, u64), Fault> {
        let get = Request::new(
            Method::GET,
            image.as_str(),
            image.repository(),
            Access::Push,
            at.to_owned(),
        );
        let answer = self.requests.once(&get, &[]).await?;
        let range = answer.headers.get(RANGE).and_then(|range| range.to_str().ok());
        let last = range.and_then(|range| range.rsplit_once('-')?.1.parse::<u64>().ok());
        // `0-0` is what distribution says of an upload that nothing has arrived of.
        let arrived = last.map_or(0, |last| if last == 0 { 0 } else { last + 1 });
        Ok((place(&answer.headers).unwrap_or_else(|| at.to_owned()), arrived))
    }
}

/// The content of a blob between two places.
fn content(blob: &Blob, (from, to): (u64, u64), sent: &watch::Sender<u64>) -> Body {
    let (file, sent) = (Arc::clone(&blob.file), sent.clone());
    Body::wrap_stream(stream::try_unfold(from, move |at| {
        let (file, sent) = (Arc::clone(&file), sent.clone());
        async move {
            if at == to {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || {
                let length = usize::try_from(READ.min(to - at)).map_err(io::Error::other)?;
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, at).map(|()| Bytes::from(bytes))
            });
            let bytes = read.await.map_err(io::Error::other)??;
            let next = at + bytes.len() as u64;
            sent.send_replace(next);
            Ok::<_, io::Error>(Some((bytes, next)))
        }
    }))
}
