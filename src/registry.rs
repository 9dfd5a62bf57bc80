//! Registries: what an image's reference there names, by the OCI distribution protocol.

use async_trait::async_trait;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::OciImageManifest;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

use crate::engine::Credentials;
use crate::reference::{Digest, ImageTag};

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of the manifest, by which the image is pulled.
    pub digest: Digest,
    /// The digest of the configuration, which is the image's ID on the machine that built it.
    pub config: Digest,
}

impl Manifest {
    /// Whether this is the image that an engine knows as `id`: engines name an image by the digest of its configuration
    /// or, with containerd's image store, by that of its manifest.
    #[must_use]
    pub fn is(&self, id: &Digest) -> bool {
        self.config == *id || self.digest == *id
    }
}

/// A registry of images.
#[async_trait]
pub trait Registry: Send + Sync {
    /// What `tag` names; `None` if there is nothing of that name.
    async fn manifest(&self, tag: &ImageTag) -> Result<Option<Manifest>, RegistryError>;
}

/// A registry that does not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("registry of {image}: {reason}")]
pub struct RegistryError {
    /// The image that was asked for.
    pub image: String,
    /// The registry's or the network's words.
    pub reason: String,
    /// Whether trying again may help.
    pub temporary: bool,
}

/// A registry on the network.
pub struct Remote {
    client: Client,
    auth: RegistryAuth,
}

impl Remote {
    /// The registry at `host`, e.g. `registry.example.org` or `localhost:5000`. One on this machine is spoken to without
    /// TLS, as the engine does. `ca` is a PEM bundle to trust beside the system's certificates.
    pub fn new(host: &str, credentials: Option<Credentials>, ca: Option<&[u8]>) -> Result<Self, RegistryError> {
        let local = matches!(host.split(':').next(), Some("localhost" | "127.0.0.1"));
        let protocol = if local {
            ClientProtocol::HttpsExcept(vec![host.to_owned()])
        } else {
            ClientProtocol::Https
        };
        let certificates = ca.map(pem_certificates).unwrap_or_default();
        let config = ClientConfig {
            protocol,
            extra_root_certificates: certificates,
            user_agent: concat!("floe/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| RegistryError {
            image: host.to_owned(),
            reason: error.to_string(),
            temporary: false,
        })?;
        let auth = credentials.map_or(RegistryAuth::Anonymous, |c| RegistryAuth::Basic(c.username, c.password));
        Ok(Self { client, auth })
    }
}

#[async_trait]
impl Registry for Remote {
    async fn manifest(&self, tag: &ImageTag) -> Result<Option<Manifest>, RegistryError> {
        let failed = |reason: String, temporary| RegistryError {
            image: tag.to_string(),
            reason,
            temporary,
        };
        let reference = tag
            .to_string()
            .parse::<Reference>()
            .map_err(|error| failed(error.to_string(), false))?;
        let (manifest, digest) = match self.client.pull_image_manifest(&reference, &self.auth).await {
            Ok(found) => found,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(failed(error.to_string(), is_temporary(&error))),
        };
        let OciImageManifest { config, .. } = manifest;
        let parsed = |text: &str| text.parse().map_err(|error| failed(format!("{error}"), false));
        Ok(Some(Manifest {
            digest: parsed(&digest)?,
            config: parsed(&config.digest)?,
        }))
    }
}

fn is_missing(error: &OciDistributionError) -> bool {
    let codes = [
        OciErrorCode::ManifestUnknown,
        OciErrorCode::NameUnknown,
        OciErrorCode::NotFound,
    ];
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) => true,
        OciDistributionError::ServerError { code, .. } => *code == 404,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|error| codes.contains(&error.code))
        }
        _ => false,
    }
}

fn is_temporary(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ServerError { code, .. } => *code == 429 || *code >= 500,
        OciDistributionError::RequestError(error) => error.is_timeout() || error.is_connect() || error.is_request(),
        OciDistributionError::IoError(_) => true,
        _ => false,
    }
}

/// Each certificate of a bundle by itself, as the client takes them.
fn pem_certificates(bundle: &[u8]) -> Vec<Certificate> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(bundle);
    text.split_inclusive(END)
        .filter_map(|part| part.find("-----BEGIN CERTIFICATE-----").map(|start| &part[start..]))
        .filter(|part| part.ends_with(END))
        .map(|part| Certificate {
            encoding: CertificateEncoding::Pem,
            data: part.as_bytes().to_vec(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_split_into_its_certificates_and_comments_are_dropped() {
        let one = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----";
        let bundle = format!("# first\n{one}\n# second\n{one}\n-----BEGIN CERTIFICATE-----\ncut off");
        let found = pem_certificates(bundle.as_bytes());
        assert_eq!(
            found.iter().map(|c| c.data.as_slice()).collect::<Vec<_>>(),
            [one.as_bytes(); 2]
        );
    }
}
