//! Evidence in a registry: attached to the digest of a pushed image, and read back where somebody relies on it.
//!
//! A statement is attached as a referrer, and one that is signed also under the tag where cosign 2 keeps attestations
//! (`sha256-<digest>.att`). It is believed from either place, and from a bundle as newer versions of cosign attach them:
//! cosign 2.5 writes that with a wrong type in the list of referrers (`application/vnd.oci.empty.v1+json`, seen), so what
//! is listed without a type of its own is looked at, too.

mod bill;
mod error;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

pub use self::bill::bill;
pub use self::error::ProofError;
use crate::dsse::{ENVELOPE_MEDIA_TYPE, Envelope, KeyError, PublicKey, SigningKey};
use crate::fault::Trouble;
use crate::reference::{Digest, ImageReference, media_type};
use crate::registry::{Artifact, Content, Registry, RegistryError};
use crate::run::evidence::{STATEMENT_MEDIA_TYPE, Statement, TEST_RESULT};

/// The media type of a bill of materials: SPDX 2.3 as JSON.
pub const SBOM_MEDIA_TYPE: &str = "application/spdx+json";

/// What cosign calls the types of the attestations that it attaches begins so.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

const COSIGN_ARTIFACT: &str = "application/vnd.dev.cosign.artifact";

const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// More artifacts than these are not read in search of a statement.
const MOST_READ: usize = 200;

/// How often a list of attestations that others write to at the same time is written again.
const ATTEMPTS: usize = 8;

/// How long others may take to write what they read before.
const SETTLING: Duration = Duration::from_millis(100);

/// What a gate believes.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// The key that a statement must be signed by; any statement counts where there is none.
    pub verify: Option<PublicKey>,
}

impl Keys {
    /// What a gate believes where the public key in the file `verify` is required, if one is named.
    pub fn of(verify: Option<&Path>) -> Result<Self, KeyError> {
        Ok(Self {
            verify: verify.map(PublicKey::read).transpose()?,
        })
    }
}

/// That exactly one image passed its tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The digest of the image's manifest.
    pub digest: Digest,
    /// What says so.
    pub statement: Statement,
    /// The fingerprint of the key that signed it; `None` where no key is required, and so none was looked at.
    pub signer: Option<Digest>,
}

/// What is attached to an image.
#[derive(Clone, Default)]
pub struct Evidence<'a> {
    /// That it passed its tests.
    pub statement: Option<&'a Statement>,
    /// What it holds, as SPDX.
    pub sbom: Option<&'a [u8]>,
    /// What signs both.
    pub key: Option<&'a SigningKey>,
}

/// Attaches evidence to what `image` names by its digest. Returns how much had to be sent: what is there already is not.
///
/// # Panics
///
/// Never: what it writes consists of strings.
pub async fn attach(
    registry: &dyn Registry,
    image: &ImageReference,
    evidence: &Evidence<'_>,
) -> Result<usize, RegistryError> {
    let mut sent = 0;
    let mut statements = Vec::new();
    if let Some(statement) = evidence.statement {
        statements.push((TEST_RESULT, statement.to_json()));
    }
    if let Some(sbom) = evidence.sbom {
        // As it is, for whoever reads bills of materials; and as a statement, where it can be signed.
        let part = Content::new(SBOM_MEDIA_TYPE, Bytes::copy_from_slice(sbom));
        sent += usize::from(registry.attach(image, &Artifact::of(part)).await?.sent);
        statements.extend(
            evidence
                .key
                .and(bill::statement(image, sbom))
                .map(|text| (bill::SPDX, text)),
        );
    }
    let mut signed = Vec::new();
    for (predicate, text) in statements {
        let part = match evidence.key {
            None => Content::new(STATEMENT_MEDIA_TYPE, text),
            Some(key) => {
                let envelope = Envelope::sign(STATEMENT_MEDIA_TYPE, &text, key);
                let envelope = Bytes::from(serde_json::to_vec(&envelope).expect("strings are JSON"));
                signed.push((predicate, envelope.clone()));
                Content::new(ENVELOPE_MEDIA_TYPE, envelope)
            }
        };
        let part = part.annotated("in-toto.io/predicate-type", predicate);
        sent += usize::from(registry.attach(image, &Artifact::of(part)).await?.sent);
    }
    if !signed.is_empty() {
        sent += usize::from(append(registry, image, &signed).await?);
    }
    Ok(sent)
}

/// The proof that what `image` names passed its tests: a statement in the registry that says so of exactly its digest, signed
/// by the key that `keys` require. One such statement suffices, whatever others say.
///
/// `image` names a digest, or a tag whose digest is asked for first.
pub async fn proof(registry: &dyn Registry, image: &ImageReference, keys: &Keys) -> Result<Proof, ProofError> {
    let digest = match image.digest() {
        Some(digest) => digest,
        None => match registry.manifest(image).await? {
            Some(manifest) => manifest.digest,
            None => {
                return Err(ProofError::Absent {
                    image: image.to_string(),
                });
            }
        },
    };
    let image = image.beside(&format!("@{digest}"));
    let mut best = ProofError::Missing {
        image: image.to_string(),
    };
    for found in found(registry, &image, &digest).await? {
        match examined(&image, &digest, &found, keys) {
            Ok(proof) => return Ok(proof),
            Err(error) if error.progress() > best.progress() => best = error,
            Err(_) => {}
        }
    }
    Err(best)
}

/// Attaches a document of a type of its own to what `image` names by its digest, signed where there is a key.
///
/// # Panics
///
/// Never: what it writes consists of strings.
pub async fn attach_document(
    registry: &dyn Registry,
    image: &ImageReference,
    media_type: &str,
    text: Vec<u8>,
    key: Option<&SigningKey>,
) -> Result<(), RegistryError> {
    let part = match key {
        None => Content::new(media_type, text),
        Some(key) => {
            let envelope = Envelope::sign(media_type, &text, key);
            Content::new(
                ENVELOPE_MEDIA_TYPE,
                serde_json::to_vec(&envelope).expect("strings are JSON"),
            )
        }
    };
    let artifact = Artifact {
        artifact_type: Some(media_type.to_owned()),
        ..Artifact::of(part)
    };
    registry.attach(image, &artifact).await.map(drop)
}

/// The documents of a type that are attached to what `image` names by its digest: those that are signed by the key which
/// `keys` require, if they require one.
pub async fn documents(
    registry: &dyn Registry,
    image: &ImageReference,
    media_type: &str,
    keys: &Keys,
) -> Result<Vec<Vec<u8>>, RegistryError> {
    let mut documents = Vec::new();
    for referrer in registry
        .referrers(image, Some(media_type))
        .await?
        .iter()
        .take(MOST_READ)
    {
        let reference = image.beside(&format!("@{}", referrer.digest));
        let Some(artifact) = readable(registry.artifact(&reference).await)? else {
            continue;
        };
        for found in parts(artifact) {
            documents.extend(match (found, &keys.verify) {
                (Found::Plain(text), None) => Some(text.to_vec()),
                (Found::Plain(_), Some(_)) => None,
                (Found::Signed(envelope), Some(key)) if !envelope.is_signed_by(key) => None,
                (Found::Signed(envelope), _) => envelope.payload(media_type),
            });
        }
    }
    Ok(documents)
}

/// Something that may be a statement.
enum Found {
    Plain(Bytes),
    Signed(Envelope),
}

/// Whether something is a statement that the image passed.
fn examined(image: &ImageReference, digest: &Digest, found: &Found, keys: &Keys) -> Result<Proof, ProofError> {
    let image = image.to_string();
    let text = match found {
        Found::Plain(text) => Some(text.to_vec()),
        Found::Signed(envelope) => envelope.payload(STATEMENT_MEDIA_TYPE),
    };
    let statement = text.and_then(|text| serde_json::from_slice::<Statement>(&text).ok());
    let Some(statement) = statement.filter(Statement::is_of_tests) else {
        return Err(ProofError::Missing { image });
    };
    let mut signer = None;
    if let Some(key) = &keys.verify {
        let required = key.fingerprint();
        match found {
            Found::Signed(envelope) if envelope.is_signed_by(key) => signer = Some(required),
            Found::Signed(envelope) if envelope.signatures() > 0 => {
                return Err(ProofError::OtherSigner { image, required });
            }
            _ => return Err(ProofError::Unsigned { image, required }),
        }
    }
    if !statement.is_of(digest) {
        let found = statement.subjects().collect();
        return Err(ProofError::OtherDigest { image, found });
    }
    if !statement.passed() {
        let tests = statement.failed_tests().to_vec();
        return Err(ProofError::Failed { image, tests });
    }
    Ok(Proof {
        digest: digest.clone(),
        statement,
        signer,
    })
}

/// All that may be a statement about an image.
async fn found(registry: &dyn Registry, image: &ImageReference, digest: &Digest) -> Result<Vec<Found>, RegistryError> {
    let mut all = Vec::new();
    let referrers = registry.referrers(image, None).await?;
    let likely = referrers
        .iter()
        .filter(|referrer| referrer.artifact_type.as_deref().is_none_or(is_likely));
    for referrer in likely.take(MOST_READ) {
        let reference = image.beside(&format!("@{}", referrer.digest));
        if let Some(artifact) = readable(registry.artifact(&reference).await)? {
            all.extend(parts(artifact));
        }
    }
    if let Some(artifact) = readable(registry.artifact(&attestations(image, digest)).await)? {
        all.extend(parts(artifact));
    }
    Ok(all)
}

/// What makes no sense is no statement, and hides none.
fn readable(artifact: Result<Option<Artifact>, RegistryError>) -> Result<Option<Artifact>, RegistryError> {
    match artifact {
        Err(error) if error.trouble == Trouble::Foreign => Ok(None),
        other => other,
    }
}

fn is_likely(artifact_type: &str) -> bool {
    [STATEMENT_MEDIA_TYPE, ENVELOPE_MEDIA_TYPE, EMPTY, ""].contains(&artifact_type)
        || artifact_type.starts_with(BUNDLE)
        || artifact_type.starts_with(COSIGN_ARTIFACT)
        || artifact_type.starts_with("application/vnd.in-toto.")
}

/// What newer versions of cosign attach: an envelope, and what it can be verified by.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Envelope,
}

fn parts(artifact: Artifact) -> impl Iterator<Item = Found> {
    artifact.layers.into_iter().filter_map(|layer| {
        if layer.media_type.starts_with(BUNDLE) {
            let bundle = serde_json::from_slice::<Bundle>(&layer.bytes).ok()?;
            return Some(Found::Signed(bundle.dsse_envelope));
        }
        let envelope = serde_json::from_slice::<Envelope>(&layer.bytes);
        Some(envelope.map_or(Found::Plain(layer.bytes), Found::Signed))
    })
}

/// Where cosign 2 keeps attestations of an image.
fn attestations(image: &ImageReference, digest: &Digest) -> ImageReference {
    image.beside(&format!(":{}.att", digest.as_str().replace(':', "-")))
}

/// Adds envelopes, each with the type of its predicate, to the attestations that cosign 2 keeps, unless they are among them.
/// Returns whether any had to be.
async fn append(
    registry: &dyn Registry,
    image: &ImageReference,
    envelopes: &[(&str, Bytes)],
) -> Result<bool, RegistryError> {
    let Some(digest) = image.digest() else {
        return Ok(false);
    };
    let place = attestations(image, &digest);
    for attempt in 0..=ATTEMPTS {
        if attempt > 0 {
            // The same as with any list that clients keep: another may have overwritten it since.
            tokio::time::sleep(SETTLING).await;
        }
        let mut kept = registry.artifact(&place).await?.unwrap_or_else(|| Artifact {
            artifact_type: None,
            ..Artifact::of(Content::empty())
        });
        // That of the empty artifact stands for nothing.
        kept.layers.retain(|layer| layer.media_type != EMPTY);
        kept.annotations.clear();
        let before = kept.layers.len();
        for (predicate, envelope) in envelopes {
            if kept.layers.iter().any(|layer| layer.bytes == *envelope) {
                continue;
            }
            let layer = Content::new(ENVELOPE_MEDIA_TYPE, envelope.clone());
            let layer = layer.annotated("dev.cosignproject.cosign/signature", "");
            kept.layers.push(layer.annotated("predicateType", predicate));
        }
        if kept.layers.len() == before {
            return Ok(attempt > 0);
        }
        kept.config = configuration(&kept.layers);
        registry.put(&place, &kept).await?;
    }
    Err(RegistryError {
        image: place.to_string(),
        reason: "others write to the list of attestations all the time".to_owned(),
        trouble: Trouble::Conflict,
    })
}

/// The configuration that cosign gives to its attestations: that of an image, so that it can add to it.
fn configuration(layers: &[Content]) -> Content {
    let created = "0001-01-01T00:00:00Z";
    let config = json!({
        "architecture": "",
        "created": created,
        "history": layers.iter().map(|_| json!({"created": created})).collect::<Vec<_>>(),
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(Content::digest).collect::<Vec<_>>()},
        "config": {},
    });
    Content::new(media_type::CONFIGURATION, config.to_string())
}

#[cfg(test)]
mod tests;
