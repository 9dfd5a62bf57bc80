//! What Docker keeps on its disk.
//!
//! The engine's account changed its form with version 29 of Docker, and bollard reads the newer one alone; so it is read
//! here, in either form.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bollard::query_parameters::{RemoveImageOptions, RemoveVolumeOptions};
use http_body_util::BodyExt as _;
use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::error::status;
use super::transport::message;
use super::{Docker, Make, buildkit};
use crate::engine::{About, Builder, Disk, EngineError, HeldImage, HeldVolume, Holdings};
use crate::fault::Trouble;

const ACTION: &str = "count what the engine keeps";

#[async_trait]
impl Disk for Docker {
    async fn about(&self) -> Result<About, EngineError> {
        let info = self.api.info().await;
        let info = info.map_err(|error| self.failed("ask the engine what it is".to_owned(), error))?;
        Ok(About {
            name: match self.make {
                Make::Docker => "Docker",
                Make::Podman => "Podman",
            },
            version: info.server_version.unwrap_or_default(),
            store: info.driver.unwrap_or_default(),
            directory: info.docker_root_dir.map(Into::into),
        })
    }

    async fn builds(&self) -> Result<Builder, EngineError> {
        match self.make {
            Make::Docker => buildkit::answers(&self.transport).await.map(|()| Builder::BuildKit),
            // It is a part of the engine that answered.
            Make::Podman => Ok(Builder::Buildah),
        }
    }

    async fn holdings(&self) -> Result<Holdings, EngineError> {
        let lost = |reason: String| EngineError::Request {
            action: ACTION.to_owned(),
            reason,
            trouble: Trouble::Lost,
        };
        let answer = self.transport.send(Method::GET, "/system/df", &[]).await;
        let answer = answer.map_err(|error| self.own(self.transport.failed(ACTION.to_owned(), &error)))?;
        if !answer.status().is_success() {
            return Err(self.own(EngineError::Request {
                trouble: Trouble::Engine,
                action: ACTION.to_owned(),
                reason: message(answer).await,
            }));
        }
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| lost(error.to_string()))?;
        let told = serde_json::from_slice::<Value>(&body.to_bytes()).map_err(|error| lost(error.to_string()))?;
        let mut holdings = holdings(&told);
        for tag in holdings.images.iter_mut().flat_map(|image| &mut image.tags) {
            *tag = self.make.own_name(tag).to_owned();
        }
        Ok(holdings)
    }

    async fn remove_tag(&self, tag: &str) -> Result<(), EngineError> {
        match self.api.remove_image(tag, None::<RemoveImageOptions>, None).await {
            // 409: somebody needs it.
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                Err(self.failed(format!("remove the tag {tag}"), error))
            }
            _ => Ok(()),
        }
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        match self.api.remove_volume(name, None::<RemoveVolumeOptions>).await {
            // 409: a container has it.
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                Err(self.failed(format!("remove the volume {name}"), error))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ToldImage {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    created: i64,
    size: i64,
    #[serde(default)]
    shared_size: i64,
    #[serde(default)]
    containers: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ToldVolume {
    name: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    usage_data: Option<ToldUsage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ToldUsage {
    size: i64,
    ref_count: i64,
}

/// The entries of the engine's account that `old` names, or `new` in its newer form.
fn entries<'a>(told: &'a Value, old: &str, new: &str) -> impl Iterator<Item = &'a Value> {
    let listed = told[old].as_array().or_else(|| told[new]["Items"].as_array());
    listed.into_iter().flatten()
}

fn holdings(told: &Value) -> Holdings {
    // -1 is the engine's word for what it has not counted.
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let images = entries(told, "Images", "ImageUsage").filter_map(|value| {
        let told = ToldImage::deserialize(value).ok()?;
        Some(HeldImage {
            id: told
                .id
                .parse()
                .or_else(|_| format!("sha256:{}", told.id).parse())
                .ok()?,
            tags: told.repo_tags.unwrap_or_default(),
            labels: told.labels.unwrap_or_default(),
            created: Timestamp::from_second(told.created).ok(),
            size: number(told.size),
            own: number(told.size).saturating_sub(number(told.shared_size)),
            containers: number(told.containers),
        })
    });
    let volumes = entries(told, "Volumes", "VolumeUsage").filter_map(|value| {
        let told = ToldVolume::deserialize(value).ok()?;
        let usage = told.usage_data;
        Some(HeldVolume {
            name: told.name,
            labels: told.labels.unwrap_or_default(),
            size: usage.as_ref().map_or(0, |usage| number(usage.size)),
            containers: usage.as_ref().map_or(0, |usage| number(usage.ref_count)),
        })
    });
    let cached = entries(told, "BuildCache", "BuildCacheUsage").filter_map(|value| {
        // What an image shares is counted with the image.
        let shared = value["Shared"].as_bool().unwrap_or(false);
        value["Size"].as_u64().filter(|_| !shared)
    });
    Holdings {
        images: images.collect(),
        volumes: volumes.collect(),
        cache: cached.sum(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_account_of_an_engine_is_read_in_its_older_and_its_newer_form() {
        let id = format!("sha256:{}", "a".repeat(64));
        let image = json!({"Id": id, "RepoTags": ["floe/m:1"], "Labels": {"a": "b"}, "Created": 1,
            "Size": 100, "SharedSize": 60, "Containers": -1});
        let volume = json!({"Name": "v", "Labels": null, "UsageData": {"Size": 7, "RefCount": 2}});
        let cache = [json!({"Size": 5, "Shared": false}), json!({"Size": 50, "Shared": true})];
        let old = json!({"Images": [image], "Volumes": [volume], "BuildCache": cache});
        let new = json!({"ImageUsage": {"Items": [image]}, "VolumeUsage": {"Items": [volume]},
            "BuildCacheUsage": {"Items": cache}});
        let read = holdings(&old);
        assert_eq!(read, holdings(&new));
        assert_eq!(
            (read.images[0].size, read.images[0].own, read.images[0].containers),
            (100, 40, 0)
        );
        assert_eq!(
            (read.volumes[0].size, read.volumes[0].containers, read.cache),
            (7, 2, 5)
        );
    }
}
