//! Kubernetes: containers run as Jobs on a cluster, each with a pod of its own.
//!
//! A cluster builds nothing and keeps no images, so that it is an engine for [`Containers`](super::Containers) alone. What a
//! node needs it pulls from a registry, by digest: the mission's image, and floe's own program in an image of its own, which an init
//! container copies into the pod before anything of the mission's image runs. That demands no more of a cluster than to run
//! what a registry holds: no right to enter pods, no volume that outlives one, no shell in the image. A Secret
//! cannot hold the program, which is larger than the 1 MiB that it may have.
//!
//! What host and agent share reaches the agent as environment variables out of a Secret: a file would lie open to the tests
//! beside it, while the environment of the agent, like its memory, is closed to them. A pod gets no token of a service account,
//! so nothing in it can ask the cluster for anything.

mod containers;
mod error;
mod job;
mod left;
mod log;
mod settings;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use self::error::failed;
pub use self::settings::{JobSettings, JobSettingsError};
use crate::engine::EngineError;
use crate::fault::Trouble;

/// Where a cluster is, and what is particular to it.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The kubeconfig files, which are merged as kubectl does. Where none exists, floe runs in a pod of the cluster.
    pub files: Vec<PathBuf>,
    /// The context, if not the current one.
    pub context: Option<String>,
    /// What the site's Jobs are like.
    pub jobs: JobSettings,
}

/// A namespace of a cluster.
pub struct Cluster {
    client: Client,
    namespace: String,
    settings: JobSettings,
    followed: Mutex<Followed>,
}

/// What is known of the Jobs of this call.
#[derive(Default)]
struct Followed {
    /// The pod of each Job, by name and UID. A Job whose pod is taken away makes another, which tells of itself from its
    /// beginning: what one tells is never taken for what the other does.
    pods: BTreeMap<String, (String, String)>,
    /// The Jobs that were asked to end.
    ended: BTreeSet<String>,
}

impl Cluster {
    /// Connects to a cluster, and asks whether it answers.
    pub async fn connect(surroundings: &Surroundings) -> Result<Self, EngineError> {
        let config = config(surroundings).await?;
        let namespace = surroundings.jobs.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let address = config.cluster_url.to_string();
        let action = || format!("reach the cluster at {address}");
        let client = Client::try_from(config).map_err(|error| failed(action(), &error))?;
        client
            .apiserver_version()
            .await
            .map_err(|error| failed(action(), &error))?;
        Ok(Self {
            client,
            namespace,
            settings: surroundings.jobs.clone(),
            followed: Mutex::default(),
        })
    }

    /// A namespace of a cluster that `client` reaches.
    #[cfg(test)]
    fn of(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            settings: JobSettings::default(),
            followed: Mutex::default(),
        }
    }

    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn events(&self) -> Api<Event> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the cluster is reached.
async fn config(surroundings: &Surroundings) -> Result<Config, EngineError> {
    let directions = |place: String, reason: &dyn std::fmt::Display| EngineError::Cluster {
        action: format!("read {place}"),
        reason: reason.to_string(),
        trouble: Trouble::Request,
    };
    let files = surroundings.files.iter().filter(|file| file.is_file());
    let mut merged = None::<Kubeconfig>;
    for file in files {
        let place = || file.display().to_string();
        let read = Kubeconfig::read_from(file).map_err(|error| directions(place(), &error))?;
        merged = Some(match merged {
            None => read,
            Some(before) => before.merge(read).map_err(|error| directions(place(), &error))?,
        });
    }
    let Some(kubeconfig) = merged else {
        let named = surroundings.files.iter().map(|file| file.display().to_string());
        let named = named.collect::<Vec<_>>().join(", ");
        return Config::incluster_dns().map_err(|_| {
            let reason = format!("there is none ({named}), and floe does not run in a pod of one");
            directions("a kubeconfig, which says where the cluster is".to_owned(), &reason)
        });
    };
    let options = KubeConfigOptions {
        context: surroundings.context.clone(),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.map_err(|error| directions("the kubeconfig".to_owned(), &error))
}

#[cfg(test)]
mod tests;
