//! A registry on the network.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    OciDescriptor, OciImageManifest,
};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use reqwest::header::{CONTENT_LENGTH, LOCATION};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;

use super::identity::{self, Access};
use super::{Manifest, Referrer, Registry, RegistryError};
use crate::engine::Credentials;
use crate::fault::{Trouble, chain, words_of};
use crate::reference::{Digest, ImageReference, ImageTag, RegistryHost};

/// The forms of a manifest that are copied: of one image, and of one for several platforms.
const MANIFESTS: &[&str] = &[
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// A registry on the network.
pub struct Remote {
    host: RegistryHost,
    client: Client,
    http: reqwest::Client,
    credentials: Option<Credentials>,
}

impl Remote {
    /// The registry at `host`. One on this machine is spoken to without TLS, as engines do. `ca` is a PEM bundle to trust
    /// beside the system's certificates.
    pub fn new(
        host: &RegistryHost,
        credentials: Option<Credentials>,
        ca: Option<&[u8]>,
    ) -> Result<Self, RegistryError> {
        let failed = |reason: String| RegistryError {
            image: host.to_string(),
            reason,
            trouble: Trouble::Request,
        };
        let certificates = ca.map(certificates).unwrap_or_default();
        let protocol = if host.is_local() {
            ClientProtocol::HttpsExcept(vec![host.to_string()])
        } else {
            ClientProtocol::Https
        };
        let mut http = reqwest::Client::builder().user_agent(AGENT);
        for certificate in &certificates {
            let trusted = reqwest::Certificate::from_der(certificate).map_err(|error| failed(error.to_string()))?;
            http = http.add_root_certificate(trusted);
        }
        let config = ClientConfig {
            protocol,
            extra_root_certificates: certificates.iter().map(trusted).collect(),
            user_agent: AGENT,
            ..ClientConfig::default()
        };
        Ok(Self {
            host: host.clone(),
            client: Client::try_from(config).map_err(|error| failed(error.to_string()))?,
            http: http.build().map_err(|error| failed(error.to_string()))?,
            credentials,
        })
    }

    /// Lets the client into the repository of `image`, as far as `access` says.
    async fn enter(&self, image: &Reference, access: Access) -> Result<RegistryAuth, RegistryError> {
        let auth = match &self.credentials {
            None => RegistryAuth::Anonymous,
            Some(Credentials::Password { username, password }) => {
                RegistryAuth::Basic(username.clone(), password.clone())
            }
            Some(Credentials::IdentityToken(token)) => {
                identity::exchange(&self.http, &self.host, image.repository(), access, token).await?
            }
        };
        self.client.store_auth_if_needed(image.resolve_registry(), &auth).await;
        Ok(auth)
    }

    /// The manifest that `image` names, to the byte, and its digest.
    async fn raw(&self, image: &Reference) -> Result<(bytes::Bytes, Digest), RegistryError> {
        let auth = self.enter(image, Access::Pull).await?;
        let pulled = self.client.pull_manifest_raw(image, &auth, MANIFESTS).await;
        let (bytes, digest) = pulled.map_err(|error| failed(image, &error))?;
        let digest = digest.parse().map_err(|error| unclear(image, &error))?;
        Ok((bytes, digest))
    }

    /// Puts the manifest `bytes` to where `target` names it, after everything that it names.
    async fn put(&self, bytes: bytes::Bytes, from: &Reference, target: &Reference) -> Result<(), RegistryError> {
        let form: Form = serde_json::from_slice(&bytes).map_err(|error| unclear(from, &error))?;
        if from.repository() != target.repository() {
            for child in &form.manifests {
                let (bytes, _) = self.raw(&from.clone_with_digest(child.digest.clone())).await?;
                let there = target.clone_with_digest(child.digest.clone());
                Box::pin(self.put(bytes, from, &there)).await?;
            }
            for blob in form.config.iter().chain(&form.layers) {
                self.copy_blob(blob, from, target).await?;
            }
        }
        let media_type = form.media_type.as_deref().unwrap_or(OCI_IMAGE_MEDIA_TYPE);
        let media_type = media_type.parse().map_err(|error| unclear(from, &error))?;
        let pushed = self.client.push_manifest_raw(target, bytes, media_type).await;
        pushed.map(drop).map_err(|error| failed(target, &error))
    }

    /// Has a blob in the repository of `target`: the registry makes it known there, or it is sent once more.
    async fn copy_blob(&self, blob: &OciDescriptor, from: &Reference, target: &Reference) -> Result<(), RegistryError> {
        let there = self.client.blob_exists(target, &blob.digest).await;
        if there.map_err(|error| failed(target, &error))? {
            return Ok(());
        }
        // A registry may refuse to, or not know how.
        if self.client.mount_blob(target, from, &blob.digest).await.is_ok() {
            return Ok(());
        }
        let content = self.client.pull_blob_stream(from, blob).await;
        let content = content.map_err(|error| failed(from, &error))?;
        let size = u64::try_from(blob.size).ok();
        let content = content.stream.map_err(OciDistributionError::from);
        let sent = self.client.push_blob_stream(target, content, &blob.digest, size).await;
        sent.map(drop).map_err(|error| failed(target, &error))
    }
}

const AGENT: &str = concat!("floe/", env!("CARGO_PKG_VERSION"));

/// What copying needs to know of a manifest in any form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    media_type: Option<String>,
    config: Option<OciDescriptor>,
    #[serde(default)]
    layers: Vec<OciDescriptor>,
    #[serde(default)]
    manifests: Vec<OciDescriptor>,
}

#[async_trait]
impl Registry for Remote {
    async fn manifest(&self, image: &ImageReference) -> Result<Option<Manifest>, RegistryError> {
        let reference = reference(image.as_str())?;
        let auth = self.enter(&reference, Access::Pull).await?;
        let (manifest, digest) = match self.client.pull_image_manifest(&reference, &auth).await {
            Ok(found) => found,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(failed(&reference, &error)),
        };
        let OciImageManifest { config, .. } = manifest;
        let parsed = |text: &str| text.parse().map_err(|error| unclear(&reference, &error));
        Ok(Some(Manifest {
            digest: parsed(&digest)?,
            config: parsed(&config.digest)?,
        }))
    }

    async fn tag(&self, image: &ImageReference, tag: &str) -> Result<Digest, RegistryError> {
        let from = reference(image.as_str())?;
        let target = Reference::with_tag(from.registry().to_owned(), from.repository().to_owned(), tag.to_owned());
        self.transfer(&from, &target).await
    }

    async fn copy(&self, image: &ImageReference, target: &ImageTag) -> Result<Digest, RegistryError> {
        let (from, target) = (reference(image.as_str())?, reference(&target.to_string())?);
        if from.registry() != target.registry() {
            return Err(unclear(&from, &format!("{target} is in another registry")));
        }
        self.transfer(&from, &target).await
    }

    async fn referrers(
        &self,
        image: &ImageReference,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let reference = reference(image.as_str())?;
        self.enter(&reference, Access::Pull).await?;
        let found = self.client.pull_referrers(&reference, artifact_type).await;
        let found = found.map_err(|error| failed(&reference, &error))?;
        let referrers = found.manifests.into_iter().map(|entry| {
            Ok(Referrer {
                digest: entry.digest.parse().map_err(|error| unclear(&reference, &error))?,
                artifact_type: entry.artifact_type,
            })
        });
        referrers.collect()
    }
}

impl Remote {
    /// Whether the registry would take an upload to `repository`, which names its host, with these credentials: one is begun
    /// and called off, which leaves nothing there. The error says why not. An answer that decides nothing is left to the push itself.
    pub async fn admits(&self, repository: &str) -> Result<(), RegistryError> {
        let target = reference(repository)?;
        let auth = self.enter(&target, Access::Push).await?;
        let token = self.client.auth(&target, &auth, RegistryOperation::Push).await;
        let token = token.map_err(|error| failed(&target, &error))?;
        let with_credentials = |request: reqwest::RequestBuilder| match (&token, &auth) {
            (Some(token), _) => request.bearer_auth(token),
            (None, RegistryAuth::Basic(user, password)) => request.basic_auth(user, Some(password)),
            (None, _) => request,
        };
        let scheme = if self.host.is_local() { "http" } else { "https" };
        let host = format!("{scheme}://{}", target.resolve_registry());
        let begun = self
            .http
            .post(format!("{host}/v2/{}/blobs/uploads/", target.repository()));
        let begun = with_credentials(begun).header(CONTENT_LENGTH, 0).send().await;
        let begun = begun.map_err(|error| {
            let (reason, trouble) = broken(&error);
            RegistryError {
                image: repository.to_owned(),
                reason: format!("the registry cannot be asked whether it takes a push: {reason}"),
                trouble,
            }
        })?;
        let status = begun.status();
        if Trouble::of_status(status.as_u16()).is_some() {
            let body = begun.text().await.unwrap_or_default();
            return Err(RegistryError {
                image: repository.to_owned(),
                reason: format!("it takes no push there ({status})"),
                trouble: answered(status.as_u16(), &body),
            });
        }
        let place = begun.headers().get(LOCATION).and_then(|place| place.to_str().ok());
        if let Some(place) = place {
            let url = if place.starts_with('/') {
                format!("{host}{place}")
            } else {
                place.to_owned()
            };
            // An upload that is not called off ends by itself, in time.
            let _ = with_credentials(self.http.delete(url)).send().await;
        }
        Ok(())
    }

    async fn transfer(&self, from: &Reference, target: &Reference) -> Result<Digest, RegistryError> {
        self.enter(target, Access::Push).await?;
        let (bytes, digest) = self.raw(from).await?;
        self.put(bytes, from, target).await?;
        Ok(digest)
    }
}

fn reference(text: &str) -> Result<Reference, RegistryError> {
    text.parse().map_err(|error: oci_client::ParseError| RegistryError {
        image: text.to_owned(),
        reason: error.to_string(),
        trouble: Trouble::Refusal,
    })
}

fn failed(image: &Reference, error: &OciDistributionError) -> RegistryError {
    let (reason, trouble) = told(error);
    RegistryError {
        image: image.to_string(),
        reason,
        trouble,
    }
}

/// The error of an answer that makes no sense.
fn unclear(image: &Reference, reason: &dyn std::fmt::Display) -> RegistryError {
    RegistryError {
        image: image.to_string(),
        reason: reason.to_string(),
        trouble: Trouble::Foreign,
    }
}

fn is_missing(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) => true,
        other => told(other).1 == Trouble::Missing,
    }
}

/// The words of a request that broke, and what they tell. Those at the bottom tell more than the address that was asked,
/// which may hold any word.
pub(super) fn broken(error: &reqwest::Error) -> (String, Trouble) {
    let innermost = chain(error).last().map(ToString::to_string).unwrap_or_default();
    let by_kind = || {
        if error.is_timeout() {
            Trouble::Silent
        } else {
            Trouble::Lost
        }
    };
    (words_of(error), Trouble::of(&innermost).unwrap_or_else(by_kind))
}

/// The words of an error, and what they tell.
fn told(error: &OciDistributionError) -> (String, Trouble) {
    let words = error.to_string();
    let trouble = match error {
        OciDistributionError::RequestError(error) => return broken(error),
        OciDistributionError::IoError(error) => Trouble::of(&error.to_string()).unwrap_or(Trouble::Lost),
        OciDistributionError::ServerError { code, message, .. } => {
            let shown = short(message);
            return (format!("it answers {code}: {shown}"), answered(*code, message));
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            let codes = envelope.errors.iter().map(|error| refusal(&error.code));
            // What is refused for several reasons needs what passes last.
            codes.max().unwrap_or(Trouble::Refusal)
        }
        OciDistributionError::UnauthorizedError { .. } => Trouble::Unauthorized,
        OciDistributionError::AuthenticationFailure(reason) => Trouble::of(reason).unwrap_or(Trouble::Unauthorized),
        OciDistributionError::ImageManifestNotFoundError(_) => Trouble::Missing,
        // An answer that is none of a registry's, or the beginning of one.
        other => match Trouble::of(&other.to_string()) {
            Some(Trouble::Lost) => Trouble::Lost,
            _ => Trouble::Foreign,
        },
    };
    (words, trouble)
}

/// What an answer without a registry's own words tells.
fn answered(status: u16, body: &str) -> Trouble {
    let by_status = Trouble::of_status(status);
    match by_status {
        Some(Trouble::Busy | Trouble::Broken | Trouble::Silent | Trouble::Unauthorized) => by_status,
        _ => Trouble::of(body).filter(|told| *told == Trouble::Foreign).or(by_status),
    }
    .unwrap_or(Trouble::Refusal)
}

/// What a registry's own code tells.
fn refusal(code: &OciErrorCode) -> Trouble {
    match code {
        OciErrorCode::Toomanyrequests => Trouble::Busy,
        OciErrorCode::Unauthorized => Trouble::Unauthorized,
        OciErrorCode::Denied => Trouble::Denied,
        OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound => Trouble::Missing,
        _ => Trouble::Refusal,
    }
}

/// The beginning of an answer, in one line.
fn short(body: &str) -> String {
    let words = body.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(200).collect()
}

/// Each certificate of a bundle by itself. What is none is passed over, as OpenSSL does.
fn certificates(bundle: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(bundle).filter_map(Result::ok).collect()
}

fn trusted(certificate: &CertificateDer<'static>) -> Certificate {
    Certificate {
        encoding: CertificateEncoding::Der,
        data: certificate.to_vec(),
    }
}

#[cfg(test)]
mod tests;
