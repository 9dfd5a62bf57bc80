//! Images of an engine in memory with layers on top.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::{Fake, made_up, refused};
use crate::engine::{EngineError, LayerPart, NewLayer};
use crate::reference::{Digest, ImageTag};

/// Takes layers as a real engine does: those that are said to be there must be, and the others what they are said to be.
pub(super) async fn extend(
    fake: &Fake,
    parent: &Digest,
    tag: &ImageTag,
    mut layers: mpsc::Receiver<LayerPart>,
) -> Result<Digest, EngineError> {
    let failed = |reason: &str| Err(refused(format!("load layers on top of {parent}"), reason));
    let mut chain = fake
        .state()
        .images
        .get(parent)
        .map(|image| image.layers.clone())
        .unwrap_or_default();
    let (mut said, mut content, mut left) = (Vec::new(), Vec::new(), 0);
    loop {
        match layers.recv().await {
            Some(LayerPart::Begin {
                layer: NewLayer::There(digest),
                ..
            }) => {
                chain.push(digest);
                if !fake
                    .state()
                    .images
                    .values()
                    .any(|image| image.layers.starts_with(&chain))
                {
                    return failed("a layer is not there");
                }
                said.push("there".to_owned());
            }
            Some(LayerPart::Begin {
                layer: NewLayer::Bytes(bytes),
                ..
            }) => (content, left) = (Vec::new(), bytes),
            Some(LayerPart::Bytes(piece)) => {
                content.extend_from_slice(&piece);
                left -= piece.len() as u64;
            }
            Some(LayerPart::End(digest)) if left == 0 && Digest::of(&content) == digest => {
                said.push(String::from_utf8_lossy(&content).into_owned());
                chain.push(digest);
            }
            Some(LayerPart::End(_)) => return failed("a layer is not what it is said to be"),
            Some(LayerPart::Done) => break,
            None => return failed("the layers ended early"),
        }
    }
    let mut image = made_up(&said.join(" "), BTreeMap::new());
    image.layers = chain;
    let id = image.id.clone();
    let mut state = fake.call("extend", &format!("{} by {}", parent.short(), said.join(", ")))?;
    state.keep(tag.to_string(), image);
    Ok(id)
}

impl Fake {
    /// Gives a label to each image that there is.
    pub fn label_all(&self, label: &str) {
        for image in self.state().images.values_mut() {
            image.labels.insert(label.to_owned(), String::new());
        }
    }
}
