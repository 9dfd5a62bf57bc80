//! The image in a stage's values: read from the fields that hold it, and written there.

use std::path::Path;

use super::DeploymentError;
use crate::reference::{Digest, ImageTag};
use crate::values::{Edit, Field, Node, Value};

/// The image that a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The repository, with the registry's host where there is one.
    pub repository: String,
    /// The tag, where one is written.
    pub tag: Option<String>,
    /// The digest, where one is written.
    pub digest: Option<Digest>,
}

impl Held {
    /// The reference by which it is pulled.
    #[must_use]
    pub fn reference(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self
            .digest
            .as_ref()
            .map(|digest| format!("@{digest}"))
            .unwrap_or_default();
        format!("{}{tag}{digest}", self.repository)
    }
}

/// The image in `field` of merged values. `None` if nothing is written there.
///
/// A field is text, `REPOSITORY:TAG@DIGEST`, or a map of `name` and `tag`, as charts of Zero to JupyterHub have it, where
/// the tag may be `TAG@DIGEST`, or of `name`, `tag` and `digest`.
pub fn held(values: &Node, field: &Field) -> Result<Option<Held>, DeploymentError> {
    let Some(node) = field.of_values(values) else {
        return Ok(None);
    };
    let wrong = |reason: &str| DeploymentError::Image {
        place: node.source.place(),
        field: field.clone(),
        reason: reason.to_owned(),
    };
    let (mut text, digest) = match &node.value {
        Value::Null => return Ok(None),
        Value::Text(text) => (text.clone(), None),
        Value::Map(_) => {
            let part = |key: &str| match node.get(key).map(|node| &node.value) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::Text(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
                Some(Value::Number(number)) if key == "tag" => Err(wrong(&format!(
                    "the tag {number} is read as a number; write it in quotes"
                ))),
                Some(_) => Err(wrong(&format!("{key} is no text"))),
            };
            let Some(name) = part("name")? else {
                return if part("tag")?.is_some() {
                    Err(wrong("it has a tag and no name"))
                } else {
                    Ok(None)
                };
            };
            let tag = part("tag")?.map(|tag| format!(":{tag}")).unwrap_or_default();
            (format!("{name}{tag}"), part("digest")?)
        }
        _ => return Err(wrong("an image is text, or a map of name and tag")),
    };
    if let Some(digest) = digest {
        text = format!("{text}@{digest}");
    }
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text.as_str(), None),
    };
    let digest = digest.map(str::parse).transpose();
    let digest = digest.map_err(|error: crate::reference::ReferenceError| wrong(&error.to_string()))?;
    // A colon before the last slash is that of a port.
    let (repository, tag) = match named.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.to_owned())),
        _ => (named, None),
    };
    if repository.is_empty() {
        return Err(wrong("it names no repository"));
    }
    Ok(Some(Held {
        repository: repository.to_owned(),
        tag,
        digest,
    }))
}

/// What is to be written so that `field` of the file that `values` are of holds the image.
pub fn edits(
    values: &Node,
    path: &Path,
    field: &Field,
    image: &ImageTag,
    digest: &Digest,
) -> Result<Vec<Edit>, DeploymentError> {
    let (name, tag) = (&image.repository, &image.tag);
    let absent = || DeploymentError::FieldAbsent {
        path: path.to_owned(),
        field: field.clone(),
    };
    let node = field.of_values(values).ok_or_else(absent)?;
    let edit = |field: Field, text: String| Edit { field, text };
    match &node.value {
        Value::Text(_) | Value::Null => Ok(vec![edit(field.clone(), format!("{name}:{tag}@{digest}"))]),
        Value::Map(_) => {
            if node.get("tag").is_none() {
                return Err(absent());
            }
            let mut edits = Vec::new();
            if node.get("digest").is_some() {
                edits.push(edit(field.key("tag"), tag.clone()));
                edits.push(edit(field.key("digest"), digest.to_string()));
            } else {
                edits.push(edit(field.key("tag"), format!("{tag}@{digest}")));
            }
            if node.get("name").is_some() {
                edits.push(edit(field.key("name"), name.clone()));
            }
            Ok(edits)
        }
        _ => Err(DeploymentError::Image {
            place: node.source.place(),
            field: field.clone(),
            reason: "an image is text, or a map of name and tag".to_owned(),
        }),
    }
}
