//! A container as the engine is asked for it: how it is configured, and the files that it holds before it starts.
//!
//! Docker's `local` log driver loses and repeats pieces where a log is followed, so containers log as `json-file`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use bollard::models::{
    ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, HostConfig, HostConfigLogConfig, Mount,
    MountType, PortBinding, ResourcesUlimits,
};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use rustix::process::{Resource, getrlimit};

use super::{pack, volume};
use crate::context::Context;
use crate::engine::{ContainerRequest, EngineError, Found, Input};
use crate::image::label;
use crate::process::Owner;

/// The configuration of a container. Its processes have these limits, or the engine's own.
pub(super) fn body(request: &ContainerRequest, limits: Option<Vec<ResourcesUlimits>>) -> ContainerCreateBody {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let memory = request.memory.map(number);
    ContainerCreateBody {
        image: Some(request.image.clone()),
        entrypoint: request.entrypoint.clone(),
        cmd: Some(request.command.clone()).filter(|command| !command.is_empty()),
        env: Some(request.environment.iter().map(|(k, v)| format!("{k}={v}")).collect()),
        labels: Some(labels(&request.labels)),
        host_config: Some(HostConfig {
            memory,
            memory_swap: memory,
            ulimits: limits,
            pids_limit: request.processes.map(number),
            shm_size: request.shm_size.map(number),
            log_config: Some(log_config()),
            mounts: Some(mounts(request)),
            group_add: request.user.map(|user| vec![user.beside.to_string()]),
            port_bindings: request
                .port
                .map(|port| HashMap::from([(tcp(port), Some(vec![local(port)]))])),
            ..HostConfig::default()
        }),
        user: request.user.map(|user| format!("{}:{}", user.id, user.group)),
        working_dir: request.directory.clone(),
        exposed_ports: request.port.map(|port| vec![tcp(port)]),
        tty: Some(request.input == Input::Terminal),
        open_stdin: Some(request.input != Input::None),
        // Whoever has attached to it is the only one who ever does: the input ends with that.
        stdin_once: Some(request.input != Input::None),
        ..ContainerCreateBody::default()
    }
}

/// These labels, and whose a container is that belongs to no run: this process's, so that a later floe knows when nobody needs it
/// any more.
pub(super) fn labels(given: &BTreeMap<String, String>) -> HashMap<String, String> {
    let mut labels = given.clone().into_iter().collect::<HashMap<_, _>>();
    labels
        .entry(label::OWNER.to_owned())
        .or_insert_with(|| Owner::current().to_string());
    labels
}

/// The limits of this process, where it may have fewer files than Podman gives: where that is root and may not raise limits,
/// as in another container, it starts none otherwise.
pub(super) fn own_limits() -> Option<Vec<ResourcesUlimits>> {
    let own = |resource| getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let files = own(Resource::Nofile);
    let ulimit = |name: &str, limit: u64| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: i64::try_from(limit).ok(),
        hard: i64::try_from(limit).ok(),
    };
    (files < PODMAN_FILES).then(|| {
        vec![
            ulimit("nofile", files),
            ulimit("nproc", own(Resource::Nproc).min(PODMAN_PROCESSES)),
        ]
    })
}

/// How many files Podman lets a container have by itself.
const PODMAN_FILES: u64 = 1 << 20;

/// Podman lowers its own limit to the number of process IDs of the machine, which is no less than this.
const PODMAN_PROCESSES: u64 = 32_768;

/// What a container sees of the host. A place that is not there is an error, and never made.
fn mounts(request: &ContainerRequest) -> Vec<Mount> {
    let bound = request.mounts.iter().map(|mount| Mount {
        source: Some(mount.source.display().to_string()),
        target: Some(mount.target.display().to_string()),
        typ: Some(MountType::BIND),
        read_only: Some(mount.read_only),
        ..Mount::default()
    });
    let program = request.program.iter().map(|program| volume::mount(program, true));
    program.chain(bound).collect()
}

fn tcp(port: u16) -> String {
    format!("{port}/tcp")
}

/// Nobody but the machine itself reaches the port.
fn local(port: u16) -> PortBinding {
    PortBinding {
        host_ip: Some("127.0.0.1".to_owned()),
        host_port: Some(port.to_string()),
    }
}

/// A site may have set a driver that cannot be read back, or that drops what is old. Docker's `local` driver would keep
/// bytes that are not UTF-8, which this one replaces; but 20.10 loses and repeats pieces of it where it is followed. The
/// size is given because the daemon's own, which makes it drop what is old, applies otherwise.
fn log_config() -> HostConfigLogConfig {
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(HashMap::from([("max-size".to_owned(), "1t".to_owned())])),
    }
}

/// A container in a list.
pub(super) fn listed(summary: ContainerSummary) -> Option<Found> {
    Some(Found {
        id: summary.id?,
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
        running: summary.state == Some(ContainerSummaryStateEnum::RUNNING),
    })
}

/// Puts the content of `context` below `directory` in the container `id`, owned by root. The error is the engine's, or
/// that of a file that could not be read.
pub(super) async fn put(
    docker: &bollard::Docker,
    id: &str,
    directory: &str,
    context: &Context,
) -> Result<Result<(), bollard::errors::Error>, EngineError> {
    put_at(docker, id, "/", directory.trim_matches('/'), context).await
}

/// The same below `below` in the directory `at`, which is there: a volume, of which Podman knows only where it is itself
/// what the request names.
pub(super) async fn put_at(
    docker: &bollard::Docker,
    id: &str,
    at: &str,
    below: &str,
    context: &Context,
) -> Result<Result<(), bollard::errors::Error>, EngineError> {
    let (arriving, packing) = pack::stream(PathBuf::from(below), context.entries()?, Vec::new());
    let options = UploadToContainerOptionsBuilder::default().path(at).build();
    let body = bollard::body_try_stream(arriving);
    let sent = docker.upload_to_container(id, Some(options), body).await;
    packing.outcome().await?;
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_says_of_no_owner_is_this_process_s() {
        let another = BTreeMap::from([(label::OWNER.to_owned(), "another".to_owned())]);
        assert_eq!(labels(&another)[label::OWNER], "another");
        assert_eq!(labels(&BTreeMap::new())[label::OWNER], Owner::current().to_string());
    }
}
