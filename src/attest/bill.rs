//! Bills of materials in a registry: as SPDX for everybody, and where there is a key also as a signed statement whose predicate
//! that is, as `cosign verify-attestation --type spdxjson` reads it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Found, Keys, SBOM_MEDIA_TYPE, found, readable};
use crate::dsse::{Envelope, PublicKey};
use crate::reference::{Digest, ImageReference};
use crate::registry::{Registry, RegistryError};
use crate::run::evidence::STATEMENT_MEDIA_TYPE;

/// What a statement calls a predicate that is SPDX.
pub(super) const SPDX: &str = "https://spdx.dev/Document";

/// The bill of materials that is attached to what `image` names by its digest, if there is one. Where `keys` require a key,
/// only one counts that is signed by it.
pub async fn bill(
    registry: &dyn Registry,
    image: &ImageReference,
    keys: &Keys,
) -> Result<Option<Bytes>, RegistryError> {
    if let Some(key) = &keys.verify {
        let Some(digest) = image.digest() else {
            return Ok(None);
        };
        let all = found(registry, image, &digest).await?;
        return Ok(all.iter().find_map(|found| match found {
            Found::Signed(envelope) => signed(envelope, key, &digest),
            Found::Plain(_) => None,
        }));
    }
    for referrer in registry.referrers(image, Some(SBOM_MEDIA_TYPE)).await? {
        let reference = image.beside(&format!("@{}", referrer.digest));
        let artifact = readable(registry.artifact(&reference).await)?;
        if let Some(part) = artifact.and_then(|artifact| artifact.layers.into_iter().next()) {
            return Ok(Some(part.bytes));
        }
    }
    Ok(None)
}

/// The statement that an image holds what `sbom` lists. `None` if that is no JSON, or the image is not named by its digest.
pub(super) fn statement(image: &ImageReference, sbom: &[u8]) -> Option<Vec<u8>> {
    let sbom = serde_json::from_slice::<&RawValue>(sbom).ok()?;
    let digest = image.digest()?;
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": format!("{}/{}", image.registry(), image.repository()),
            "digest": {"sha256": digest.hex()},
        }],
        "predicateType": SPDX,
        "predicate": sbom,
    });
    serde_json::to_vec(&statement).ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    subject: Vec<Subject>,
    predicate_type: String,
    #[serde(borrow)]
    predicate: &'a RawValue,
}

#[derive(Deserialize)]
struct Subject {
    digest: Sha256,
}

#[derive(Deserialize)]
struct Sha256 {
    #[serde(default)]
    sha256: String,
}

/// The bill that an envelope holds, if it is one of this image, signed by the holder of `key`.
fn signed(envelope: &Envelope, key: &PublicKey, digest: &Digest) -> Option<Bytes> {
    let text = envelope.payload(STATEMENT_MEDIA_TYPE)?;
    let statement = serde_json::from_slice::<Statement<'_>>(&text).ok()?;
    let hex = digest.hex();
    let is_ours = statement.subject.iter().any(|subject| subject.digest.sha256 == hex);
    let is_bill = statement.predicate_type.starts_with("https://spdx.dev/Document");
    let counts = is_ours && is_bill && envelope.is_signed_by(key);
    counts.then(|| Bytes::from(statement.predicate.get().to_owned()))
}
