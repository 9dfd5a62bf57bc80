//! What is kept in a registry beside images: statements about them and lists of what they hold, in the form of an image
//! (<https://github.com/opencontainers/image-spec/blob/main/manifest.md>), so that every registry takes them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::reference::Digest;
use crate::reference::media_type::MANIFEST;

const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Something that is kept in a registry, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the specification's name")]
pub struct Artifact {
    /// The media type that says what it is.
    pub artifact_type: Option<String>,
    /// Its configuration; that of most artifacts is [empty](Content::empty).
    pub config: Content,
    /// What it holds.
    pub layers: Vec<Content>,
    /// What is said of it.
    pub annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// An artifact of one part, whose type is its own.
    #[must_use]
    pub fn of(part: Content) -> Self {
        Self {
            artifact_type: Some(part.media_type.clone()),
            config: Content::empty(),
            annotations: part.annotations.clone(),
            layers: vec![part],
        }
    }

    /// The bytes of its manifest; the same artifact gives the same bytes.
    pub(super) fn manifest(&self, subject: Option<Descriptor>) -> Bytes {
        let manifest = Form {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: self.artifact_type.clone(),
            config: Some(self.config.descriptor()),
            layers: self.layers.iter().map(Content::descriptor).collect(),
            manifests: Vec::new(),
            subject,
            annotations: self.annotations.clone(),
        };
        serde_json::to_vec(&manifest)
            .expect("strings and numbers are JSON")
            .into()
    }
}

/// A part of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What it is.
    pub media_type: String,
    /// The bytes.
    pub bytes: Bytes,
    /// What is said of it.
    pub annotations: BTreeMap<String, String>,
}

impl Content {
    /// These bytes.
    pub fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        Self {
            media_type: media_type.to_owned(),
            bytes: bytes.into(),
            annotations: BTreeMap::new(),
        }
    }

    /// What stands where there is nothing to say.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(EMPTY, "{}")
    }

    /// The same with one thing more said of it.
    #[must_use]
    pub fn annotated(mut self, name: &str, text: &str) -> Self {
        self.annotations.insert(name.to_owned(), text.to_owned());
        self
    }

    /// The digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest(),
            size: self.bytes.len() as u64,
            artifact_type: None,
            annotations: self.annotations.clone(),
            platform: None,
        }
    }
}

/// What a manifest says of a part, or an index of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// What an image of an index is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Platform {
    pub os: String,
    pub architecture: String,
}

/// A manifest in any form.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Form {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}
