//! What a container is on a cluster: a Secret with what its agent is asked for, and a Job whose one pod runs it.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, EnvFromSource, PodSpec, PodTemplateSpec, ResourceRequirements, Secret,
    SecretEnvSource, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::JobSettings;
use crate::engine::{ContainerRequest, EngineError};
use crate::image::{self, applet};
use crate::reference::ImageReference;

/// The init container that brings floe's program into the pod, and the volume that takes it.
pub(super) const AGENT: &str = "floe-agent";

/// The container in which the tests run.
pub(super) const TESTS: &str = "tests";

/// The label of everything that floe makes on a cluster.
pub(super) const MANAGED: (&str, &str) = ("app.kubernetes.io/managed-by", "floe");

/// How many seconds a pod that is asked to end may take: its agent tells what became of its tests.
const GRACE: i64 = 25;

/// How long an ended Job stays whose floe has not removed it, in seconds, unless the settings say otherwise.
const KEPT: i32 = 86400;

/// The Secret and the Job of a container that is called `name`.
pub(super) fn of(name: &str, request: &ContainerRequest, settings: &JobSettings) -> Result<(Secret, Job), EngineError> {
    let unsupported = |reason: &str| EngineError::Unsupported {
        action: format!("start a pod of {}", request.image),
        reason: reason.to_owned(),
    };
    if !request.files.is_empty() {
        return Err(unsupported("a cluster takes no tests that are not in the image"));
    }
    let Some(agent) = request.program.as_ref().and_then(|program| program.image.as_ref()) else {
        return Err(unsupported("no registry holds the agent"));
    };
    if !request.mounts.is_empty() || request.port.is_some() {
        return Err(unsupported("a cluster sees nothing of this machine"));
    }
    let metadata = metadata(name, request, settings);
    let secret = Secret {
        metadata: metadata.clone(),
        string_data: Some(request.environment.clone()),
        ..Secret::default()
    };
    let spec = JobSpec {
        // What a pod that was taken away had not run is asked for by another Job.
        backoff_limit: Some(0),
        ttl_seconds_after_finished: Some(settings.ttl_seconds_after_finished.unwrap_or(KEPT)),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta {
                name: None,
                ..metadata.clone()
            }),
            spec: Some(pod(name, request, settings, agent)),
        },
        ..JobSpec::default()
    };
    let job = Job {
        metadata,
        spec: Some(spec),
        ..Job::default()
    };
    Ok((secret, job))
}

/// What makes the Secret go with the Job.
pub(super) fn owned_by(job: &Job) -> Option<OwnerReference> {
    Some(OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        name: job.metadata.name.clone()?,
        uid: job.metadata.uid.clone()?,
        ..OwnerReference::default()
    })
}

fn metadata(name: &str, request: &ContainerRequest, settings: &JobSettings) -> ObjectMeta {
    let (label, value) = MANAGED;
    let mut labels = settings.labels.clone();
    labels.insert(label.to_owned(), value.to_owned());
    // floe's own labels hold what no label of a cluster may.
    let mut annotations = settings.annotations.clone();
    annotations.extend(request.labels.clone());
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    }
}

fn pod(name: &str, request: &ContainerRequest, settings: &JobSettings, agent: &ImageReference) -> PodSpec {
    let program = Path::new(image::AGENT).parent().unwrap_or(Path::new("/"));
    let program = program.display().to_string();
    let brought = |read_only: bool| VolumeMount {
        name: AGENT.to_owned(),
        mount_path: program.clone(),
        read_only: Some(read_only),
        ..VolumeMount::default()
    };
    let init = Container {
        name: AGENT.to_owned(),
        image: Some(agent.to_string()),
        args: Some([applet::DELIVER, image::AGENT].map(str::to_owned).to_vec()),
        volume_mounts: Some(vec![brought(false)]),
        resources: Some(small()),
        ..Container::default()
    };
    let mut mounts = vec![brought(true)];
    mounts.extend(settings.volume_mounts.iter().flatten().cloned());
    let tests = Container {
        name: TESTS.to_owned(),
        image: Some(request.image.clone()),
        command: request.entrypoint.clone(),
        args: Some(request.command.clone()),
        env_from: Some(vec![EnvFromSource {
            secret_ref: Some(SecretEnvSource {
                name: name.to_owned(),
                ..SecretEnvSource::default()
            }),
            ..EnvFromSource::default()
        }]),
        volume_mounts: Some(mounts),
        resources: Some(resources(request, settings)),
        security_context: settings.security_context.clone(),
        ..Container::default()
    };
    let mut volumes = vec![Volume {
        name: AGENT.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }];
    volumes.extend(settings.volumes.iter().flatten().cloned());
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        // Variables for each service of the namespace would be seen by tests.
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE),
        init_containers: Some(vec![init]),
        containers: vec![tests],
        volumes: Some(volumes),
        node_selector: settings.node_selector.clone(),
        tolerations: settings.tolerations.clone(),
        affinity: settings.affinity.clone(),
        service_account_name: settings.service_account_name.clone(),
        image_pull_secrets: settings.image_pull_secrets.clone(),
        priority_class_name: settings.priority_class_name.clone(),
        runtime_class_name: settings.runtime_class_name.clone(),
        security_context: settings.pod_security_context.clone(),
        ..PodSpec::default()
    }
}

/// What the tests may take: what the settings say, and no more memory than the call does.
fn resources(request: &ContainerRequest, settings: &JobSettings) -> ResourceRequirements {
    let mut resources = settings.resources.clone().unwrap_or_default();
    if let Some(memory) = request.memory {
        let limits = resources.limits.get_or_insert_default();
        limits.insert("memory".to_owned(), Quantity(memory.to_string()));
        // A request above the limit would be refused, and none at all means as much as the limit.
        if let Some(requests) = &mut resources.requests {
            requests.remove("memory");
        }
    }
    resources
}

/// What a copy of one file takes; a namespace with quotas wants to be told. What is written counts as memory until it is on
/// the disk.
fn small() -> ResourceRequirements {
    let amounts = |cpu: &str, memory: &str| {
        let amounts = [("cpu", cpu), ("memory", memory)];
        BTreeMap::from(amounts.map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned()))))
    };
    ResourceRequirements {
        limits: Some(amounts("1", "512Mi")),
        requests: Some(amounts("100m", "64Mi")),
        ..ResourceRequirements::default()
    }
}

/// A name that no other Job has, with the mission's as far as it is one for a cluster.
pub(super) fn name(request: &ContainerRequest) -> String {
    let mission = request.labels.get(image::label::MISSION).map_or("", String::as_str);
    let plain = mission.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let plain = plain.take(30).collect::<String>().to_lowercase();
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("floe-{}-{}", plain.trim_matches('-'), &unique[..8]).replace("--", "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::SharedProgram;

    const AGENT_IMAGE: &str = "r.example/m@sha256:0123456789012345678901234567890123456789012345678901234567890123";

    fn request() -> ContainerRequest {
        ContainerRequest {
            image: "r.example/m@sha256:00".to_owned(),
            entrypoint: Some(vec![image::AGENT.to_owned(), "applet".to_owned()]),
            command: vec![applet::SUPERVISE.to_owned()],
            environment: BTreeMap::from([("FLOE_EVENTS".to_owned(), "the key".to_owned())]),
            labels: BTreeMap::from([
                (image::label::MISSION.to_owned(), "roman_cal".to_owned()),
                (image::label::OWNER.to_owned(), "a/b/c/1/2".to_owned()),
            ]),
            memory: Some(1 << 30),
            program: Some(SharedProgram {
                name: "agent".to_owned(),
                path: image::AGENT.into(),
                source: "floe".into(),
                image: Some(AGENT_IMAGE.parse().unwrap()),
            }),
            ..ContainerRequest::default()
        }
    }

    fn made(request: &ContainerRequest, settings: &JobSettings) -> (Secret, Job) {
        of("floe-m-1", request, settings).unwrap()
    }

    #[test]
    fn what_host_and_agent_share_is_in_no_file_of_the_pod_and_in_no_part_of_the_job() {
        let (secret, job) = made(&request(), &JobSettings::default());
        assert_eq!(secret.string_data.unwrap()["FLOE_EVENTS"], "the key");
        let text = serde_json::to_string(&job).unwrap();
        assert!(!text.contains("the key"), "{text}");
        let pod = job.spec.unwrap().template.spec.unwrap();
        let volumes = pod.volumes.unwrap();
        assert!(volumes.iter().all(|volume| volume.secret.is_none()));
        assert_eq!(pod.automount_service_account_token, Some(false));
    }

    #[test]
    fn the_agent_comes_before_the_image_and_the_tests_cannot_write_where_it_lies() {
        let (_, job) = made(&request(), &JobSettings::default());
        let pod = job.spec.unwrap().template.spec.unwrap();
        let init = &pod.init_containers.unwrap()[0];
        assert_eq!(init.image.as_deref(), Some(AGENT_IMAGE));
        let tests = &pod.containers[0];
        assert_eq!(
            tests.command.as_deref(),
            Some(&[image::AGENT.to_owned(), "applet".to_owned()][..])
        );
        let mount = &tests.volume_mounts.as_ref().unwrap()[0];
        assert_eq!(
            (mount.mount_path.as_str(), mount.read_only),
            ("/opt/floe/bin", Some(true))
        );
    }

    #[test]
    fn a_call_limits_memory_whatever_the_settings_request() {
        let settings = JobSettings {
            resources: Some(ResourceRequirements {
                requests: Some(BTreeMap::from([
                    ("memory".to_owned(), Quantity("8Gi".to_owned())),
                    ("cpu".to_owned(), Quantity("2".to_owned())),
                ])),
                ..ResourceRequirements::default()
            }),
            ..JobSettings::default()
        };
        let resources = resources(&request(), &settings);
        assert_eq!(resources.limits.unwrap()["memory"].0, "1073741824");
        assert_eq!(resources.requests.unwrap().into_keys().collect::<Vec<_>>(), ["cpu"]);
    }

    #[test]
    fn a_name_is_one_for_a_cluster_whatever_the_mission_is_called() {
        let name = name(&request());
        assert!(name.starts_with("floe-roman-cal-"), "{name}");
        assert!(name.len() <= 52, "the pod's own name gets longer");
    }

    #[test]
    fn what_is_not_in_the_image_is_refused() {
        let mut request = request();
        request.files = vec![("/x".to_owned(), crate::context::Context::new("/nonexistent"))];
        let error = of("n", &request, &JobSettings::default()).unwrap_err();
        assert!(error.to_string().contains("not in the image"), "{error}");
    }
}
