//! A container as the engine is asked for it: how it is configured, and the files that it holds before it starts.
//!
//! Docker's `local` log driver loses and repeats pieces where a log is followed, so containers log as `json-file`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, HostConfig, HostConfigLogConfig, Mount,
    MountType, PortBinding,
};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::volume;
use crate::context::{Context, Entry, EntryKind};
use crate::engine::{ContainerRequest, EngineError, Found, Input};

/// Bytes of an archive that are on their way at once.
const PIECE: usize = 256 * 1024;

/// The configuration of a container.
pub(super) fn body(request: &ContainerRequest) -> ContainerCreateBody {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let memory = request.memory.map(number);
    ContainerCreateBody {
        image: Some(request.image.clone()),
        entrypoint: request.entrypoint.clone(),
        cmd: Some(request.command.clone()).filter(|command| !command.is_empty()),
        env: Some(request.environment.iter().map(|(k, v)| format!("{k}={v}")).collect()),
        labels: Some(request.labels.clone().into_iter().collect()),
        host_config: Some(HostConfig {
            memory,
            memory_swap: memory,
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
    let entries = context.entries()?;
    let below = PathBuf::from(directory.trim_matches('/'));
    let (sender, arriving) = mpsc::channel(4);
    let packing = tokio::task::spawn_blocking(move || pack(&below, &entries, &sender));
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    let body = bollard::body_try_stream(ReceiverStream::new(arriving));
    let sent = docker.upload_to_container(id, Some(options), body).await;
    match packing.await {
        Ok(Err(failed)) if failed.source.kind() != io::ErrorKind::BrokenPipe => Err(EngineError::File {
            path: failed.path,
            source: failed.source,
        }),
        _ => Ok(sent),
    }
}

/// A file that could not be packed.
struct Failed {
    path: PathBuf,
    source: io::Error,
}

/// Writes an archive of the entries below `below`. What breaks it ends the stream with an error, so that no engine takes
/// half of it for the whole.
fn pack(below: &Path, entries: &[Entry], sender: &mpsc::Sender<io::Result<Bytes>>) -> Result<(), Failed> {
    let mut archive = tar::Builder::new(Pieces(sender.clone()));
    for entry in entries {
        append(&mut archive, below, entry).map_err(|(path, source)| {
            let _ = sender.blocking_send(Err(source.kind().into()));
            Failed { path, source }
        })?;
    }
    archive.finish().map_err(|source| Failed {
        path: below.to_owned(),
        source,
    })
}

fn append(archive: &mut tar::Builder<Pieces>, below: &Path, entry: &Entry) -> Result<(), (PathBuf, io::Error)> {
    let path = below.join(&entry.path);
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_size(0);
    header.set_mtime(u64::try_from(entry.modified / 1_000_000_000).unwrap_or(0));
    let appended = match &entry.kind {
        EntryKind::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            archive.append_data(&mut header, &path, io::empty())
        }
        EntryKind::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            archive.append_link(&mut header, &path, target)
        }
        EntryKind::File { source, size } => {
            header.set_size(*size);
            // The header promises a size: a file that has changed since must not shift what follows it.
            let content = File::open(source).and_then(|file| {
                let whole = file.metadata()?.len() == *size;
                whole.then_some(file).ok_or_else(changed)
            });
            return match content {
                Ok(file) => archive.append_data(&mut header, &path, file),
                Err(error) => Err(error),
            }
            .map_err(|error| (source.clone(), error));
        }
    };
    appended.map_err(|error| (path, error))
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file changed while it was read")
}

/// Sends what is written in pieces. Blocks: for threads of their own.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(piece)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
