//! Runs that were left to the cluster: each a `ConfigMap`, which the cluster removes with the last of the run's Jobs.
//!
//! What floe and the agents share stays in the Secrets of the Jobs, so that whoever lists runs needs to read no Secret.

use std::collections::BTreeMap;

use async_trait::async_trait;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Error};
use serde_json::json;

use super::Cluster;
use super::error::{failed, is_missing};
use super::job::{self, MANAGED};
use crate::engine::{Container, EngineError, LeftRun, LeftRuns};
use crate::image::label;
use crate::reference::Digest;

/// The key of the `ConfigMap`.
const KEY: &str = "run";

#[async_trait]
impl LeftRuns for Cluster {
    async fn keep(&self, run: &LeftRun, containers: &[Container]) -> Result<(), EngineError> {
        let made = async {
            let mut owners = Vec::new();
            for container in containers {
                owners.extend(job::owned_by(&self.jobs().get(&container.id).await?));
            }
            let map = self.map_of(run, owners);
            self.maps().create(&PostParams::default(), &map).await
        };
        let made = made.await;
        made.map_err(|error| failed(format!("leave the run {} to the cluster", run.run), &error))?;
        Ok(())
    }

    async fn kept(&self) -> Result<Vec<LeftRun>, EngineError> {
        let (name, value) = MANAGED;
        let ours = ListParams::default().labels(&format!("{name}={value}"));
        let maps = self.maps().list(&ours).await;
        let maps = maps.map_err(|error| failed("list the runs that were left to the cluster".to_owned(), &error))?;
        Ok(maps.items.into_iter().filter_map(kept).collect())
    }

    async fn claim(&self, run: &LeftRun, owner: Option<&str>) -> Result<bool, EngineError> {
        // The cluster refuses what is not about the state that is known here.
        let patch = json!({"metadata": {"resourceVersion": run.version, "annotations": {label::OWNER: owner}}});
        let params = PatchParams::default();
        match self.maps().patch(&name(&run.run), &params, &Patch::Merge(&patch)).await {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(failed(format!("take up the run {}", run.run), &error)),
        }
    }

    async fn forget(&self, run: &str) -> Result<(), EngineError> {
        match self.maps().delete(&name(run), &DeleteParams::default()).await {
            Err(error) if !is_missing(&error) => Err(failed(format!("remove the run {run}"), &error)),
            _ => Ok(()),
        }
    }

    async fn given(&self, container: &Container) -> Result<Option<BTreeMap<String, String>>, EngineError> {
        let found = async {
            let Some(_) = self.jobs().get_opt(&container.id).await? else {
                return Ok(None);
            };
            self.secrets().get_opt(&container.id).await
        };
        let secret = found.await;
        let secret = secret.map_err(|error| failed(format!("look at the Job {}", container.id), &error))?;
        let data = secret.and_then(|secret| secret.data);
        let text = |(name, value): (String, ByteString)| Some((name, String::from_utf8(value.0).ok()?));
        Ok(data.map(|data| data.into_iter().filter_map(text).collect()))
    }
}

impl Cluster {
    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn map_of(&self, run: &LeftRun, owners: Vec<OwnerReference>) -> ConfigMap {
        let (label, value) = MANAGED;
        let mut labels = self.settings.labels.clone();
        labels.insert(label.to_owned(), value.to_owned());
        let mut annotations = self.settings.annotations.clone();
        annotations.extend(run.labels.clone());
        annotations.insert(label::RUN.to_owned(), run.run.clone());
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name(&run.run)),
                labels: Some(labels),
                annotations: Some(annotations),
                owner_references: (!owners.is_empty()).then_some(owners),
                ..ObjectMeta::default()
            },
            binary_data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(run.content.clone()))])),
            ..ConfigMap::default()
        }
    }
}

/// The run that a `ConfigMap` keeps, if it is one of these.
fn kept(map: ConfigMap) -> Option<LeftRun> {
    let labels = map.metadata.annotations.unwrap_or_default();
    Some(LeftRun {
        run: labels.get(label::RUN)?.clone(),
        labels,
        content: map.binary_data?.remove(KEY)?.0,
        version: map.metadata.resource_version.unwrap_or_default(),
    })
}

/// What the `ConfigMap` of a run is called: names of runs hold what no name of a cluster may.
fn name(run: &str) -> String {
    format!("floe-run-{}", Digest::of(run.as_bytes()).short())
}
