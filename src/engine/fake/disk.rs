//! What an engine in memory keeps.

use async_trait::async_trait;

use super::Fake;
use crate::engine::{About, Builder, Disk, EngineError, HeldImage, Holdings};

#[async_trait]
impl Disk for Fake {
    async fn about(&self) -> Result<About, EngineError> {
        self.call("about", "").map(|_| About {
            name: "Memory",
            version: "1".to_owned(),
            store: "memory".to_owned(),
            directory: None,
        })
    }

    async fn builds(&self) -> Result<Builder, EngineError> {
        self.call("builds", "").map(|_| Builder::BuildKit)
    }

    async fn holdings(&self) -> Result<Holdings, EngineError> {
        let state = self.call("holdings", "")?;
        let images = state.images.values().map(|image| HeldImage {
            id: image.id.clone(),
            tags: state
                .tags
                .iter()
                .filter(|(_, id)| **id == image.id)
                .map(|(tag, _)| tag.clone())
                .collect(),
            labels: image.labels.clone(),
            created: image.created,
            size: image.size,
            own: image.size,
            containers: 0,
        });
        Ok(Holdings {
            images: images.collect(),
            ..Holdings::default()
        })
    }

    async fn remove_tag(&self, tag: &str) -> Result<(), EngineError> {
        let mut state = self.call("remove_tag", tag)?;
        let last = state.tags.remove(tag);
        if let Some(id) = last.filter(|id| !state.tags.values().any(|other| other == id)) {
            state.images.remove(&id);
        }
        Ok(())
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.call("remove_volume", name).map(drop)
    }
}
