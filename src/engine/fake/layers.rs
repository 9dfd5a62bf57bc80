//! Images of an engine in memory with layers on top.

use std::collections::BTreeMap;
use std::io::Read as _;

use tokio::sync::mpsc;

use super::{Fake, made_up, refused};
use crate::engine::{Below, EngineError, LayerPart, NewLayer};
use crate::reference::{Digest, ImageTag};

/// Takes layers as a real engine does: those that are said to be there must be, in the image that is said to have them, and the
/// others what they are said to be.
pub(super) async fn extend(
    fake: &Fake,
    below: Below<'_>,
    tag: &ImageTag,
    mut layers: mpsc::Receiver<LayerPart>,
) -> Result<Digest, EngineError> {
    let action = format!("load layers on top of {}", below.image);
    let failed = |reason: &str| Err(refused(action.clone(), reason));
    let of = |image: &Digest| fake.state().images.get(image).map(|image| image.layers.clone());
    let mut chain = of(below.image).unwrap_or_default();
    let having = of(below.having).unwrap_or_default();
    let (mut said, mut content, mut left, mut compressed) = (Vec::new(), Vec::new(), 0, None);
    drop(fake.call("take", below.image.short())?);
    loop {
        match layers.recv().await {
            Some(LayerPart::Begin { layer, .. }) => {
                content.clear();
                (left, compressed) = match layer {
                    NewLayer::There(digest) => {
                        chain.push(digest);
                        if !having.starts_with(&chain) {
                            return failed("a layer is not there");
                        }
                        said.push("there".to_owned());
                        continue;
                    }
                    NewLayer::Plain(bytes) => (bytes, None),
                    NewLayer::Packed { digest, size, .. } => (size, Some(digest)),
                };
            }
            Some(LayerPart::Bytes(piece)) => {
                content.extend_from_slice(&piece);
                left -= piece.len() as u64;
            }
            Some(LayerPart::End(digest)) => {
                if fake.state().packs != compressed.is_some() {
                    return failed("a layer has another form");
                }
                if let Some(compressed) = &compressed {
                    if Digest::of(&content) != *compressed {
                        return failed("a compressed layer is not what it is said to be");
                    }
                    let mut plain = Vec::new();
                    let read = flate2::read::MultiGzDecoder::new(content.as_slice()).read_to_end(&mut plain);
                    read.map_err(|error| refused(action.clone(), &error.to_string()))?;
                    content = plain;
                }
                if left != 0 || Digest::of(&content) != digest {
                    return failed("a layer is not what it is said to be");
                }
                said.push(String::from_utf8_lossy(&content).into_owned());
                chain.push(digest);
            }
            Some(LayerPart::Done) => break,
            None => return failed("the layers ended early"),
        }
    }
    let mut image = made_up(&said.join(" "), BTreeMap::new());
    image.layers = chain;
    let id = image.id.clone();
    let mut state = fake.call("extend", &format!("{} by {}", below.image.short(), said.join(", ")))?;
    state.keep(tag.to_string(), image);
    Ok(id)
}

impl Fake {
    /// Lets the engine take layers compressed only.
    pub fn packs_layers(&self) {
        self.state().packs = true;
    }

    /// Gives a label to each image that there is.
    pub fn label_all(&self, label: &str) {
        for image in self.state().images.values_mut() {
            image.labels.insert(label.to_owned(), String::new());
        }
    }
}
