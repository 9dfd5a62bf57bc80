//! Docker's images.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use async_trait::async_trait;
use bollard::models::ImageInspect;
use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::error::status;
use super::{Docker, Make, export, extend, history, stored, stream};
use crate::engine::{
    Below, Credentials, EngineError, Export, Image, Images, Layer, LayerForm, LayerPart, Listed, Stored,
};
use crate::event::Sink;
use crate::fault::Trouble;
use crate::reference::{Digest, ImageReference, ImageTag};

#[async_trait]
impl Images for Docker {
    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        let action = || format!("inspect the image {reference}");
        match self.api.inspect_image(reference).await {
            Ok(inspected) => image(inspected).map(Some).ok_or_else(|| EngineError::Request {
                action: action(),
                reason: "the engine's answer has no ID".to_owned(),
                trouble: Trouble::Foreign,
            }),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.failed(action(), error)),
        }
    }

    async fn layers(&self, image: &Image) -> Result<Vec<Layer>, EngineError> {
        history::layers(self, image).await
    }

    async fn labelled(&self, label: &str) -> Result<Vec<Listed>, EngineError> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let listed = self.api.list_images(Some(options)).await;
        let listed = listed.map_err(|error| self.failed("list the images".to_owned(), error))?;
        let known = listed.into_iter().filter_map(|image| {
            let tags = image.repo_tags.iter().map(|tag| self.make.own_name(tag).to_owned());
            Some(Listed {
                id: id(&image.id)?,
                tags: tags.collect(),
                labels: image.labels.into_iter().collect(),
            })
        });
        Ok(known.collect())
    }

    async fn pull(
        &self,
        reference: &ImageReference,
        credentials: Option<Credentials>,
        events: &dyn Sink,
    ) -> Result<Image, EngineError> {
        stream::pull(&self.api, reference, credentials, events).await?;
        let pulled = self.image(reference.as_str()).await?;
        pulled.ok_or_else(|| EngineError::Request {
            action: format!("pull {reference}"),
            reason: "the image is not there after the pull".to_owned(),
            trouble: Trouble::Vanished,
        })
    }

    async fn import(
        &self,
        archive: PathBuf,
        tag: &ImageTag,
        labels: &BTreeMap<String, String>,
    ) -> Result<Digest, EngineError> {
        let imported = stream::import(&self.api, archive, tag, labels).await;
        imported.map_err(|error| self.own(error))
    }

    async fn tag(&self, id: &Digest, tag: &ImageTag) -> Result<(), EngineError> {
        let options = TagImageOptionsBuilder::default()
            .repo(&tag.repository)
            .tag(&tag.tag)
            .build();
        let tagged = self.api.tag_image(id.as_str(), Some(options)).await;
        tagged.map_err(|error| self.failed(format!("tag {id} as {tag}"), error))
    }

    async fn stored(&self, wanted: Stored<'_>) -> Result<Option<Export>, EngineError> {
        stored::stored(self, wanted).await
    }

    async fn export(&self, id: &Digest) -> Result<Option<Export>, EngineError> {
        export::export(self, id).await
    }

    async fn takes_layers(&self) -> Result<Option<LayerForm>, EngineError> {
        if self.make == Make::Podman {
            return Ok(None);
        }
        let packed = export::keeps_compressed(self).await?;
        Ok(Some(if packed { LayerForm::Packed } else { LayerForm::Plain }))
    }

    async fn extend(
        &self,
        below: Below<'_>,
        tag: &ImageTag,
        layers: mpsc::Receiver<LayerPart>,
    ) -> Result<Digest, EngineError> {
        extend::extend(self, below, tag, layers).await
    }

    async fn push(
        &self,
        tag: &ImageTag,
        credentials: Option<Credentials>,
        events: &dyn Sink,
    ) -> Result<Digest, EngineError> {
        let lenient = self.make.is_to_be_lenient(tag);
        stream::push(&self.transport, (tag, lenient), credentials, events).await
    }

    async fn untag(&self, tag: &ImageTag) -> Result<(), EngineError> {
        self.remove_by(&tag.to_string()).await
    }

    async fn remove_image(&self, id: &Digest) -> Result<(), EngineError> {
        self.remove_by(id.as_str()).await
    }
}

impl Docker {
    async fn remove_by(&self, name: &str) -> Result<(), EngineError> {
        let removed = self.api.remove_image(name, None::<RemoveImageOptions>, None).await;
        match removed {
            // 409: a container of somebody else's still needs it.
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                Err(self.failed(format!("remove the image {name}"), error))
            }
            _ => Ok(()),
        }
    }
}

/// The ID, which some engines write without the name of its algorithm.
fn id(text: &str) -> Option<Digest> {
    text.parse().or_else(|_| format!("sha256:{text}").parse()).ok()
}

fn image(inspected: ImageInspect) -> Option<Image> {
    let layers = inspected.root_fs.and_then(|root| root.layers).unwrap_or_default();
    let config = inspected.config.unwrap_or_default();
    Some(Image {
        id: inspected.id?.parse().ok()?,
        created: inspected
            .created
            .and_then(|created| Timestamp::from_second(created.unix_timestamp()).ok()),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        variables: config
            .env
            .unwrap_or_default()
            .iter()
            .filter_map(|entry| variable(entry))
            .collect(),
        user: config.user.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        layers: layers.iter().map(|layer| layer.parse().ok()).collect::<Option<_>>()?,
        architecture: inspected.architecture.unwrap_or_default(),
        os: inspected.os.unwrap_or_default(),
        size: inspected.size.unwrap_or_default().try_into().unwrap_or_default(),
    })
}

fn variable(entry: &str) -> Option<(String, String)> {
    let (name, value) = entry.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}
