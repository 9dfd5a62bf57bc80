//! The parts of images and artifacts: looked for, read, sent, and made known in another repository.

use bytes::Bytes;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Body, Method};

use super::artifact::Descriptor;
use super::identity::Access;
use super::refusal::broken;
use super::remote::Remote;
use super::requests::{Fault, Request};
use super::{Artifact, RegistryError};
use crate::fault::Trouble;
use crate::reference::{Digest, ImageReference};

/// The media type of what is sent, whatever it is.
pub(super) const BYTES: &str = "application/octet-stream";

impl Remote {
    /// Sends those parts of an artifact that the repository of `image` does not have.
    pub(super) async fn send_parts(&self, image: &ImageReference, artifact: &Artifact) -> Result<(), RegistryError> {
        for part in std::iter::once(&artifact.config).chain(&artifact.layers) {
            let digest = part.digest();
            if !self.has_blob(image, &digest).await? {
                self.send_bytes(image, &digest, &part.bytes).await?;
            }
        }
        Ok(())
    }

    /// Sends what is in memory.
    pub(super) async fn send_bytes(
        &self,
        image: &ImageReference,
        digest: &Digest,
        bytes: &Bytes,
    ) -> Result<(), RegistryError> {
        let send = || async {
            let place = self.begin(image).await?;
            let end = end(image, &place, digest).body(BYTES, bytes.clone());
            self.requests.once(&end, &[]).await.map(drop)
        };
        self.requests.patiently(send).await
    }

    /// Begins an upload. Returns where it is to go.
    pub(super) async fn begin(&self, image: &ImageReference) -> Result<String, Fault> {
        let request = upload(image.as_str(), image.repository(), String::new());
        let begun = self.requests.once(&request, &[]).await?;
        let nowhere = || request.failed("it does not say where an upload goes".to_owned(), Trouble::Foreign);
        Ok(place(&begun.headers).ok_or_else(nowhere)?)
    }

    pub(super) async fn has_blob(&self, image: &ImageReference, digest: &Digest) -> Result<bool, RegistryError> {
        let request = Request::get(image.as_str(), image.repository(), format!("blobs/{digest}"));
        let request = Request {
            method: Method::HEAD,
            ..request
        };
        let answer = self.requests.ask(&request, &[404]).await?;
        Ok(answer.status.is_success())
    }

    /// The bytes of a part of an artifact.
    pub(super) async fn blob(&self, image: &ImageReference, part: &Descriptor) -> Result<Bytes, RegistryError> {
        let request = Request::get(image.as_str(), image.repository(), format!("blobs/{}", part.digest));
        let read = || async {
            let mut answer = self.requests.streamed(&request).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = answer.chunk().await.map_err(|error| lost(&request, &error))? {
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > part.size {
                    break;
                }
            }
            if Digest::of(&bytes) == part.digest {
                return Ok(bytes.into());
            }
            let reason = format!("what it answers is not {}", part.digest);
            Err(Fault::from(request.failed(reason, Trouble::Lost)))
        };
        self.requests.patiently(read).await
    }

    /// Asks to make a blob of the repository `from` known in that of `target`. Returns whether it is: a registry may refuse
    /// to, or not know how, or not have it any more.
    pub(super) async fn mounted(&self, target: &ImageReference, digest: &Digest, from: &str) -> bool {
        let mount = format!("?mount={digest}&from={from}");
        let mount = Request {
            source: Some(from),
            ..upload(target.as_str(), target.repository(), mount)
        };
        matches!(self.requests.ask(&mount, &[]).await, Ok(answer) if answer.status.as_u16() == 201)
    }

    /// Has a blob in the repository of `target`: the registry makes it known there, or it is sent once more.
    pub(super) async fn copy_blob(
        &self,
        blob: &Descriptor,
        from: &ImageReference,
        target: &ImageReference,
    ) -> Result<(), RegistryError> {
        if self.has_blob(target, &blob.digest).await? {
            return Ok(());
        }
        if self.mounted(target, &blob.digest, from.repository()).await {
            return Ok(());
        }
        let send = || async {
            let get = Request::get(from.as_str(), from.repository(), format!("blobs/{}", blob.digest));
            let content = self.requests.streamed(&get).await?;
            let place = self.begin(target).await?;
            let put = end(target, &place, &blob.digest);
            let put = put.header("content-length", blob.size.to_string());
            let put = put.header("content-type", BYTES);
            let body = Body::wrap_stream(content.bytes_stream());
            self.requests.once_with(&put, body, &[]).await.map(drop)
        };
        self.requests.patiently(send).await
    }
}

/// A request that begins an upload, or goes on with it at `place`.
pub(super) fn upload<'a>(image: &'a str, repository: &'a str, place: String) -> Request<'a> {
    let place = match place.as_str() {
        "" => "blobs/uploads/".to_owned(),
        query if query.starts_with('?') => format!("blobs/uploads/{query}"),
        _ => place,
    };
    Request::new(Method::POST, image, repository, Access::Push, place)
}

/// The request that ends the upload at `place`.
pub(super) fn end<'a>(image: &'a ImageReference, place: &str, digest: &Digest) -> Request<'a> {
    let separator = if place.contains('?') { '&' } else { '?' };
    let place = format!("{place}{separator}digest={digest}");
    Request {
        method: Method::PUT,
        ..upload(image.as_str(), image.repository(), place)
    }
}

/// Where a registry says that an upload goes.
pub(super) fn place(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(LOCATION)?.to_str().ok()?.to_owned())
}

fn lost(request: &Request<'_>, error: &reqwest::Error) -> Fault {
    let (reason, trouble) = broken(error);
    Fault::from(request.failed(reason, trouble))
}
