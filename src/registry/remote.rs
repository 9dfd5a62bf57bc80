//! A registry on the network.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;

use super::artifact::{Descriptor, Form};
use super::blobs::{place, upload};
use super::identity::Access;
use super::requests::{Fault, Request, Requests};
use super::{Artifact, Attached, Content, Manifest, Referrer, Registry, RegistryError, referrers};
use crate::engine::Credentials;
use crate::fault::{Kind, Trouble};
use crate::reference::media_type::{INDEX, MANIFEST};
use crate::reference::{Digest, ImageReference, ImageTag, RegistryHost};

/// The forms of a manifest: of one image, and of one for several platforms.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.oci.image.index.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json";

/// More than this is no statement and no list of packages, in bytes.
const LARGEST_ARTIFACT: u64 = 64 << 20;

/// A registry on the network.
pub struct Remote {
    pub(super) requests: Requests,
}

/// A manifest to the byte.
pub(super) struct Raw {
    pub bytes: Bytes,
    pub digest: Digest,
    pub media_type: String,
}

/// The configuration of an image, as far as its labels go.
#[derive(Deserialize)]
struct Configuration {
    config: Option<Labelled>,
}

#[derive(Deserialize)]
struct Labelled {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

impl Remote {
    /// The registry at `host`. One on this machine is spoken to without TLS, as engines do. `ca` is a PEM bundle to trust
    /// beside the system's certificates.
    pub fn new(
        host: &RegistryHost,
        credentials: Option<Credentials>,
        ca: Option<&[u8]>,
    ) -> Result<Self, RegistryError> {
        let failed = |error: reqwest::Error| RegistryError {
            image: host.to_string(),
            reason: error.to_string(),
            trouble: Trouble::Request,
        };
        let mut http = reqwest::Client::builder()
            .user_agent(AGENT)
            .connect_timeout(CONNECT_TIMEOUT);
        for certificate in ca.map(certificates).unwrap_or_default() {
            http = http.add_root_certificate(reqwest::Certificate::from_der(&certificate).map_err(failed)?);
        }
        Ok(Self {
            requests: Requests::new(host, http.build().map_err(failed)?, credentials),
        })
    }

    /// The same, which waits for so long before each new attempt at what may pass, unless the registry says how long.
    #[must_use]
    pub fn pausing(self, pauses: &[std::time::Duration]) -> Self {
        Self {
            requests: self.requests.pausing(pauses),
        }
    }

    /// Whether the registry would take an upload to `repository`, which names its host, with these credentials: one is begun
    /// and called off, which leaves nothing there. The error says why not. An answer that decides nothing is left to the push itself.
    pub async fn admits(&self, repository: &str) -> Result<(), RegistryError> {
        let target = ImageTag {
            repository: repository.to_owned(),
            tag: "x".to_owned(),
        };
        let target = target.reference();
        let first = upload(repository, target.repository(), String::new());
        // What is refused to everybody with these credentials tells less than what the registry says of a push.
        let begun = self.requests.ask(&first, UNDECIDED).await.map_err(|error| {
            let what = match error.trouble.kind() {
                Kind::Refused => "it takes no push there",
                _ => "the registry cannot be asked whether it takes a push",
            };
            RegistryError {
                reason: format!("{what} ({})", error.reason),
                ..error
            }
        })?;
        if let Some(place) = place(&begun.headers) {
            let end = Request::new(Method::DELETE, repository, target.repository(), Access::Push, place);
            // An upload that is not called off ends by itself, in time.
            let _ = self.requests.once(&end, &[]).await;
        }
        Ok(())
    }

    /// The manifest that `image` names, to the byte; `None` if there is nothing of that name.
    pub(super) async fn raw(&self, image: &ImageReference) -> Result<Option<Raw>, RegistryError> {
        let request = Request::get(image.as_str(), image.repository(), format!("manifests/{}", name(image)));
        let request = request.header("accept", MANIFESTS);
        let attempt = || async {
            let answer = match self.requests.once(&request, &[]).await {
                Err(fault) if fault.error.trouble == Trouble::Missing => return Ok(None),
                other => other?,
            };
            let digest = Digest::of(&answer.body);
            let told = answer.headers.get("docker-content-digest");
            let told = told.and_then(|told| told.to_str().ok()?.parse::<Digest>().ok());
            let wanted = image.digest().or(told).unwrap_or_else(|| digest.clone());
            if wanted != digest {
                // What was altered or cut off on its way is asked for again.
                let reason = format!("what it answers is not {wanted}, but {digest}");
                return Err(Fault::from(request.failed(reason, Trouble::Lost)));
            }
            let form = serde_json::from_slice::<Form>(&answer.body);
            let form = form.map_err(|error| {
                let trouble = if error.is_eof() {
                    Trouble::Lost
                } else {
                    Trouble::Foreign
                };
                Fault::from(request.failed(error.to_string(), trouble))
            })?;
            let header = answer.headers.get(CONTENT_TYPE).and_then(|header| header.to_str().ok());
            Ok(Some(Raw {
                media_type: form
                    .media_type
                    .or_else(|| header.map(str::to_owned))
                    .unwrap_or_else(|| MANIFEST.to_owned()),
                digest,
                bytes: answer.body,
            }))
        };
        self.requests.patiently(attempt).await
    }

    /// The manifest of the image that `image` names, that for this machine where it is for several kinds: its digest, what
    /// describes its configuration, and the whole.
    async fn for_this_machine(
        &self,
        image: &ImageReference,
    ) -> Result<Option<(Digest, Descriptor, Form)>, RegistryError> {
        let mut named = image.clone();
        // An index names no other one that anybody would pull.
        for _ in 0..2 {
            let Some(raw) = self.raw(&named).await? else {
                return Ok(None);
            };
            let form = serde_json::from_slice::<Form>(&raw.bytes).map_err(|error| unclear(&named, &error))?;
            if let Some(config) = form.config.clone() {
                return Ok(Some((raw.digest, config, form)));
            }
            let mut manifests = form.manifests.iter();
            let Some(ours) = manifests.find(|manifest| is_ours(manifest)) else {
                let reason = "it holds no image for this machine's kind";
                return Err(unclear(&named, &reason));
            };
            named = named.beside(&format!("@{}", ours.digest));
        }
        Err(unclear(&named, &"it is a list of lists"))
    }

    /// The labels of the image that `image` names; `None` if there is nothing of that name.
    pub async fn labels(&self, image: &ImageReference) -> Result<Option<BTreeMap<String, String>>, RegistryError> {
        let Some((_, config, _)) = self.for_this_machine(image).await? else {
            return Ok(None);
        };
        if config.size > LARGEST_ARTIFACT {
            return Err(unclear(image, &"its configuration is too long"));
        }
        let bytes = self.blob(image, &config).await?;
        let read = serde_json::from_slice::<Configuration>(&bytes).map_err(|error| unclear(image, &error))?;
        Ok(Some(read.config.and_then(|config| config.labels).unwrap_or_default()))
    }

    /// The same, where it must be there.
    async fn present(&self, image: &ImageReference) -> Result<Raw, RegistryError> {
        self.raw(image).await?.ok_or_else(|| RegistryError {
            image: image.to_string(),
            reason: "there is nothing of that name".to_owned(),
            trouble: Trouble::Missing,
        })
    }

    /// Puts a manifest to where `target` names it. Returns what the registry says of it.
    pub(super) async fn put_manifest(
        &self,
        target: &ImageReference,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<HeaderMap, RegistryError> {
        let place = format!("manifests/{}", name(target));
        let request = Request::new(Method::PUT, target.as_str(), target.repository(), Access::Push, place);
        let answer = self.requests.ask(&request.body(media_type, bytes), &[]).await?;
        Ok(answer.headers)
    }

    /// Puts the manifest `raw` to where `target` names it, after everything that it names.
    async fn transfer(&self, raw: Raw, from: &ImageReference, target: &ImageReference) -> Result<(), RegistryError> {
        let form = serde_json::from_slice::<Form>(&raw.bytes).map_err(|error| unclear(from, &error))?;
        if from.repository() != target.repository() {
            for child in &form.manifests {
                let child = format!("@{}", child.digest);
                let raw = self.present(&from.beside(&child)).await?;
                Box::pin(self.transfer(raw, from, &target.beside(&child))).await?;
            }
            for blob in form.config.iter().chain(&form.layers) {
                self.copy_blob(blob, from, target).await?;
            }
        }
        self.put_manifest(target, &raw.media_type, raw.bytes).await.map(drop)
    }
}

/// Statuses that tell nothing of whether a push would be taken.
const UNDECIDED: &[u16] = &[400, 405, 406, 410, 411, 412, 413, 414, 415, 416, 422];

const AGENT: &str = concat!("floe/", env!("CARGO_PKG_VERSION"));

/// How long it may take until a connection stands.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

#[async_trait]
impl Registry for Remote {
    async fn manifest(&self, image: &ImageReference) -> Result<Option<Manifest>, RegistryError> {
        let found = self.for_this_machine(image).await?;
        Ok(found.map(|(digest, config, form)| Manifest {
            digest,
            config: config.digest,
            size: form.layers.iter().map(|layer| layer.size).sum(),
        }))
    }

    async fn tag(&self, image: &ImageReference, tag: &str) -> Result<Option<Digest>, RegistryError> {
        let target = image.beside(&format!(":{tag}"));
        let before = self.raw(&target).await?.map(|raw| raw.digest);
        if before.is_none() || before != image.digest() {
            let raw = self.present(image).await?;
            self.transfer(raw, image, &target).await?;
        }
        Ok(before)
    }

    async fn copy(&self, image: &ImageReference, target: &ImageTag) -> Result<Digest, RegistryError> {
        let target = target.reference();
        if image.registry() != target.registry() {
            return Err(unclear(image, &format!("{target} is in another registry")));
        }
        let raw = self.present(image).await?;
        let digest = raw.digest.clone();
        self.transfer(raw, image, &target).await?;
        Ok(digest)
    }

    async fn referrers(
        &self,
        image: &ImageReference,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>, RegistryError> {
        referrers::list(self, image, artifact_type).await
    }

    async fn attach(&self, image: &ImageReference, artifact: &Artifact) -> Result<Attached, RegistryError> {
        referrers::attach(self, image, artifact).await
    }

    async fn put(&self, target: &ImageReference, artifact: &Artifact) -> Result<Digest, RegistryError> {
        self.send_parts(target, artifact).await?;
        let manifest = artifact.manifest(None);
        let digest = Digest::of(&manifest);
        self.put_manifest(target, MANIFEST, manifest).await?;
        Ok(digest)
    }

    async fn artifact(&self, image: &ImageReference) -> Result<Option<Artifact>, RegistryError> {
        let Some(raw) = self.raw(image).await? else {
            return Ok(None);
        };
        let form = serde_json::from_slice::<Form>(&raw.bytes).map_err(|error| unclear(image, &error))?;
        let Some(config) = &form.config else {
            return Err(unclear(image, &format!("it is no artifact ({})", raw.media_type)));
        };
        let parts = form.layers.iter().chain([config]);
        if parts.map(|part| part.size).fold(0, u64::saturating_add) > LARGEST_ARTIFACT {
            let limit = LARGEST_ARTIFACT >> 20;
            return Err(unclear(
                image,
                &format!("it holds more than {limit} MB, which no artifact does"),
            ));
        }
        let mut layers = Vec::new();
        for layer in &form.layers {
            layers.push(self.content(image, layer).await?);
        }
        Ok(Some(Artifact {
            artifact_type: form.artifact_type,
            config: self.content(image, config).await?,
            layers,
            annotations: form.annotations,
        }))
    }
}

impl Remote {
    async fn content(&self, image: &ImageReference, part: &Descriptor) -> Result<Content, RegistryError> {
        Ok(Content {
            media_type: part.media_type.clone(),
            bytes: self.blob(image, part).await?,
            annotations: part.annotations.clone(),
        })
    }
}

/// Whether an image of an index is for this machine.
fn is_ours(manifest: &Descriptor) -> bool {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let platform = manifest.platform.as_ref();
    manifest.media_type != INDEX
        && platform.is_some_and(|platform| platform.os == "linux" && platform.architecture == architecture)
}

/// The tag or digest of a reference.
fn name(image: &ImageReference) -> String {
    match (image.digest(), image.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    }
}

/// The error of an answer that makes no sense.
pub(super) fn unclear(image: &ImageReference, reason: &dyn std::fmt::Display) -> RegistryError {
    RegistryError {
        image: image.to_string(),
        reason: reason.to_string(),
        trouble: Trouble::Foreign,
    }
}

/// Each certificate of a bundle by itself. What is none is passed over, as OpenSSL does.
fn certificates(bundle: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(bundle).filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests;
