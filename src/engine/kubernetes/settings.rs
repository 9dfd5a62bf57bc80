//! `kubernetes.yml`: what the Jobs of a site are like, in the words of a pod's own definition.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    Affinity, LocalObjectReference, PodSecurityContext, ResourceRequirements, SecurityContext, Toleration, Volume,
    VolumeMount,
};
use serde::{Deserialize, Serialize};

use crate::fault::{Explained, Kind, Place};
use crate::values::{self, Entry, Node, Number, Value, ValuesError};

/// What the Jobs of a site are like. What it does not say, the namespace decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct JobSettings {
    /// The namespace, if not that of the kubeconfig's context.
    pub namespace: Option<String>,
    /// Labels of Jobs, pods and Secrets.
    pub labels: BTreeMap<String, String>,
    /// Annotations of Jobs, pods and Secrets.
    pub annotations: BTreeMap<String, String>,
    /// The labels of the nodes that pods run on.
    pub node_selector: Option<BTreeMap<String, String>>,
    /// The taints of nodes that pods bear.
    pub tolerations: Option<Vec<Toleration>>,
    /// Which nodes pods run on, in more words.
    pub affinity: Option<Affinity>,
    /// What the tests of a pod get and may take, GPUs included.
    pub resources: Option<ResourceRequirements>,
    /// The service account of pods, whose token they do not get.
    pub service_account_name: Option<String>,
    /// The Secrets with the credentials of registries.
    pub image_pull_secrets: Option<Vec<LocalObjectReference>>,
    /// Volumes of pods.
    pub volumes: Option<Vec<Volume>>,
    /// Where the tests see them.
    pub volume_mounts: Option<Vec<VolumeMount>>,
    /// The priority class of pods.
    pub priority_class_name: Option<String>,
    /// The runtime class of pods.
    pub runtime_class_name: Option<String>,
    /// What pods run as.
    pub pod_security_context: Option<PodSecurityContext>,
    /// What the tests run as.
    pub security_context: Option<SecurityContext>,
    /// How many seconds a pod may take until its tests begin.
    pub pending_timeout_seconds: Option<u64>,
    /// How many seconds an ended Job stays whose floe has not removed it.
    pub ttl_seconds_after_finished: Option<i32>,
}

/// A `kubernetes.yml` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JobSettingsError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no YAML, or no map.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// A value is not what its key takes.
    #[error("{place}: {key}: {reason}")]
    Value {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },
    /// A key says nothing to a cluster.
    #[error("{place}: no setting of Jobs is called {key}")]
    Unknown {
        /// Where.
        place: Place,
        /// The key, behind those that it lies in.
        key: String,
    },
}

impl Explained for JobSettingsError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some(
                "keys are written as in the definition of a pod (nodeSelector, resources, volumeMounts …); \
                 docs/how-to/kubernetes.md lists them"
                    .to_owned(),
            ),
            Self::Values(error) => error.hint(),
            Self::Read { .. } | Self::Value { .. } => None,
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Read { path, .. } => Some(Place::of(path, None)),
            Self::Values(error) => error.place(),
            Self::Value { place, .. } | Self::Unknown { place, .. } => Some(place.clone()),
        }
    }
}

impl JobSettings {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, JobSettingsError> {
        let text = std::fs::read_to_string(path).map_err(|source| JobSettingsError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file; `path` is what errors name.
    pub fn parse(text: &str, path: &Path) -> Result<Self, JobSettingsError> {
        let file = Arc::<Path>::from(path);
        let root = values::read(text, &file)?;
        let Value::Map(entries) = &root.value else {
            return Ok(Self::default());
        };
        let mut all = serde_json::Map::new();
        // Key by key, so that an error names the line.
        for Entry { key, at, node } in entries {
            let value = plain(node);
            let one = serde_json::Map::from_iter([(key.clone(), value.clone())]);
            let read = serde_json::from_value::<Self>(one.into()).map_err(|error| {
                let (place, key, reason) = (at.place(), key.clone(), error.to_string());
                if reason.starts_with("unknown field") {
                    JobSettingsError::Unknown { place, key }
                } else {
                    JobSettingsError::Value { place, key, reason }
                }
            })?;
            // The definitions of Kubernetes pass over what they do not know. What is written again lacks it.
            let understood = serde_json::to_value(&read).unwrap_or_default();
            if let Some((entry, keys)) = unknown(node, &understood[key.as_str()]) {
                let keys = std::iter::once(key.as_str()).chain(keys);
                return Err(JobSettingsError::Unknown {
                    place: entry.at.place(),
                    key: keys.collect::<Vec<_>>().join("."),
                });
            }
            all.insert(key.clone(), value);
        }
        // Each key by itself was read.
        Ok(serde_json::from_value(all.into()).unwrap_or_default())
    }
}

/// A value, as JSON.
fn plain(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(Number::Int(number)) => (*number).into(),
        Value::Number(Number::Unsigned(number)) => (*number).into(),
        Value::Number(Number::Float(number)) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(nodes) => nodes.iter().map(plain).collect(),
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| (entry.key.clone(), plain(&entry.node)));
            serde_json::Value::Object(entries.collect())
        }
    }
}

/// The first entry of `written` that is not in what was understood of it, with the keys that lead to it.
fn unknown<'a>(written: &'a Node, understood: &serde_json::Value) -> Option<(&'a Entry, Vec<&'a str>)> {
    match &written.value {
        Value::Map(entries) => entries.iter().find_map(|entry| match understood.get(&entry.key) {
            None if entry.node.value == Value::Null => None,
            None => Some((entry, vec![entry.key.as_str()])),
            Some(understood) => {
                let (deeper, mut keys) = unknown(&entry.node, understood)?;
                keys.insert(0, &entry.key);
                Some((deeper, keys))
            }
        }),
        Value::List(nodes) => {
            let understood = understood.as_array().map(Vec::as_slice).unwrap_or_default();
            nodes
                .iter()
                .zip(understood)
                .find_map(|(node, understood)| unknown(node, understood))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<JobSettings, JobSettingsError> {
        JobSettings::parse(text, Path::new("kubernetes.yml"))
    }

    #[test]
    fn settings_are_written_as_in_the_definition_of_a_pod() {
        let settings = read(
            "namespace: science\n\
             nodeSelector: {pool: notebooks}\n\
             tolerations:\n\
             - {key: gpu, operator: Exists, effect: NoSchedule}\n\
             resources:\n\
             \x20 requests: {cpu: 2, memory: 4Gi}\n\
             \x20 limits: {nvidia.com/gpu: 1}\n\
             imagePullSecrets: [{name: registry}]\n\
             volumes: [{name: data, persistentVolumeClaim: {claimName: data, readOnly: true}}]\n\
             volumeMounts: [{name: data, mountPath: /data, readOnly: true}]\n\
             affinity:\n\
             pendingTimeoutSeconds: 60\n",
        )
        .unwrap();
        assert_eq!(settings.namespace.as_deref(), Some("science"));
        let resources = settings.resources.unwrap();
        assert_eq!(resources.requests.unwrap()["cpu"].0, "2");
        assert_eq!(resources.limits.unwrap()["nvidia.com/gpu"].0, "1");
        assert_eq!(settings.tolerations.unwrap()[0].key.as_deref(), Some("gpu"));
        assert_eq!(settings.pending_timeout_seconds, Some(60));
        assert_eq!(read("").unwrap(), JobSettings::default());
    }

    #[test]
    fn a_key_that_nobody_knows_is_refused_with_its_line_however_deep_it_lies() {
        for (text, said) in [
            (
                "namespace: a\nnodeselector: {}\n",
                "kubernetes.yml:2: no setting of Jobs is called nodeselector",
            ),
            (
                "resources:\n  limits: {cpu: 1}\n  limit: {cpu: 1}\n",
                "kubernetes.yml:3: no setting of Jobs is called resources.limit",
            ),
            (
                "tolerations:\n- key: a\n- key: b\n  efect: NoSchedule\n",
                "kubernetes.yml:4: no setting of Jobs is called tolerations.efect",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn a_value_of_another_kind_is_refused_with_its_line() {
        let error = read("namespace: a\ntolerations: none\n").unwrap_err();
        assert!(
            error.to_string().starts_with("kubernetes.yml:2: tolerations: "),
            "{error}"
        );
        assert!(read("- a\n").is_err());
    }
}
