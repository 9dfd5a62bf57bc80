//! What refers to an image: by the registry's own list, or where it keeps none, by one that its clients keep under a tag
//! made of the image's digest
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;
use serde_json::{Value, json};

use super::artifact::Descriptor;
use super::remote::{Remote, unclear};
use super::requests::Request;
use super::{Artifact, Attached, Referrer, RegistryError};
use crate::fault::Trouble;
use crate::reference::media_type::{INDEX, MANIFEST};
use crate::reference::{Digest, ImageReference};

/// Statuses of registries that keep no such list.
const NO_LIST: &[u16] = &[404, 405, 501];

/// A longer list is none that anybody wants to read, in pages.
const MOST_PAGES: usize = 100;

/// How often a list that others write to at the same time is written again.
const ATTEMPTS: usize = 8;

/// How long others may take to write what they read before: a list is looked at once more after that.
const SETTLING: Duration = Duration::from_millis(100);

/// A list of manifests, of which all that is not asked for is left out.
#[derive(Deserialize)]
struct List {
    #[serde(default)]
    manifests: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    digest: String,
    artifact_type: Option<String>,
}

/// What refers to the manifest with this digest, of one type or of any.
pub(super) async fn list(
    remote: &Remote,
    image: &ImageReference,
    artifact_type: Option<&str>,
) -> Result<Vec<Referrer>, RegistryError> {
    let digest = digest_of(image)?;
    let listed = match kept(remote, image, &digest).await? {
        Some(listed) => listed,
        None => match index(remote, image, &digest).await? {
            Some(index) => read(image, &index.to_string().into())?,
            None => Vec::new(),
        },
    };
    let wanted = |found: &Referrer| artifact_type.is_none_or(|wanted| found.artifact_type.as_deref() == Some(wanted));
    Ok(listed.into_iter().filter(wanted).collect())
}

/// Has an artifact refer to the manifest with this digest, unless it does.
pub(super) async fn attach(
    remote: &Remote,
    image: &ImageReference,
    artifact: &Artifact,
) -> Result<Attached, RegistryError> {
    let subject = digest_of(image)?;
    let Some(raw) = remote.raw(image).await? else {
        return Err(RegistryError {
            image: image.to_string(),
            reason: "there is nothing of that digest to refer to".to_owned(),
            trouble: Trouble::Missing,
        });
    };
    let manifest = artifact.manifest(Some(Descriptor {
        media_type: raw.media_type,
        digest: subject.clone(),
        size: raw.bytes.len() as u64,
        artifact_type: None,
        annotations: BTreeMap::new(),
        platform: None,
    }));
    let digest = Digest::of(&manifest);
    let known = list(remote, image, None).await?;
    if known.iter().any(|referrer| referrer.digest == digest) {
        return Ok(Attached { digest, sent: false });
    }
    remote.send_parts(image, artifact).await?;
    let entry = Descriptor {
        media_type: MANIFEST.to_owned(),
        digest: digest.clone(),
        size: manifest.len() as u64,
        artifact_type: artifact.artifact_type.clone(),
        annotations: artifact.annotations.clone(),
        platform: None,
    };
    let place = image.beside(&format!("@{digest}"));
    let headers = remote.put_manifest(&place, MANIFEST, manifest).await?;
    // A registry that keeps the list says so.
    if !headers.contains_key("oci-subject") {
        enter(remote, image, &subject, &entry).await?;
    }
    Ok(Attached { digest, sent: true })
}

/// The registry's own list; `None` where it keeps none.
async fn kept(
    remote: &Remote,
    image: &ImageReference,
    digest: &Digest,
) -> Result<Option<Vec<Referrer>>, RegistryError> {
    let mut all = Vec::new();
    let mut place = format!("referrers/{digest}");
    for _ in 0..MOST_PAGES {
        let request = Request::get(image.as_str(), image.repository(), place).header("accept", INDEX);
        let answer = remote.requests.ask(&request, NO_LIST).await?;
        if !answer.status.is_success() {
            return Ok(None);
        }
        all.extend(read(image, &answer.body)?);
        match next(&answer.headers) {
            Some(there) => place = there,
            None => return Ok(Some(all)),
        }
    }
    Err(unclear(image, &"its list of referrers has no end"))
}

/// The list that clients keep.
async fn index(remote: &Remote, image: &ImageReference, digest: &Digest) -> Result<Option<Value>, RegistryError> {
    let tag = image.beside(&tag(digest));
    let Some(raw) = remote.raw(&tag).await? else {
        return Ok(None);
    };
    let index = serde_json::from_slice::<Value>(&raw.bytes).map_err(|error| unclear(&tag, &error))?;
    if index["manifests"].is_array() {
        return Ok(Some(index));
    }
    Err(RegistryError {
        image: tag.to_string(),
        reason: "it names something else than a list of referrers".to_owned(),
        trouble: Trouble::Refusal,
    })
}

/// Adds an entry to the list that clients keep. The protocol has no way to write only what has not changed, so another
/// client that writes at the same time may overwrite it: it is looked at again, and written again where it is gone.
async fn enter(
    remote: &Remote,
    image: &ImageReference,
    subject: &Digest,
    entry: &Descriptor,
) -> Result<(), RegistryError> {
    let tag = image.beside(&tag(subject));
    for attempt in 0..=ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(SETTLING).await;
        }
        let list = index(remote, image, subject).await?;
        let mut list = list.unwrap_or_else(|| json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}));
        let entries = list["manifests"].as_array_mut();
        let entries = entries.ok_or_else(|| unclear(&tag, &"it holds no list"))?;
        if entries.iter().any(|known| known["digest"] == entry.digest.as_str()) {
            return Ok(());
        }
        if attempt < ATTEMPTS {
            entries.push(json!(entry));
            remote.put_manifest(&tag, INDEX, list.to_string().into()).await?;
        }
    }
    Err(RegistryError {
        image: tag.to_string(),
        reason: "others write to the list of referrers all the time".to_owned(),
        trouble: Trouble::Conflict,
    })
}

fn digest_of(image: &ImageReference) -> Result<Digest, RegistryError> {
    image.digest().ok_or_else(|| RegistryError {
        image: image.to_string(),
        reason: "what refers to an image is known by the image's digest only".to_owned(),
        trouble: Trouble::Refusal,
    })
}

/// The tag under which clients keep the list.
fn tag(digest: &Digest) -> String {
    format!(":{}", digest.as_str().replace(':', "-"))
}

fn read(image: &ImageReference, body: &Bytes) -> Result<Vec<Referrer>, RegistryError> {
    let list = serde_json::from_slice::<List>(body).map_err(|error| unclear(image, &error))?;
    let found = list.manifests.into_iter().filter_map(|listed| {
        Some(Referrer {
            // What is known by another kind of digest is none of floe's.
            digest: listed.digest.parse().ok()?,
            artifact_type: listed.artifact_type,
        })
    });
    Ok(found.collect())
}

/// Where the list goes on: `Link: </v2/…>; rel="next"`.
fn next(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok());
    let next = links
        .flat_map(|links| links.split(','))
        .find(|link| link.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    Some(rest.split_once('>')?.0.to_owned())
}
