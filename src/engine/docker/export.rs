//! Images saved: whole, as a stream of an archive.

use bollard::models::SystemInfo;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::BodyDataStream;
use hyper::Method;

use super::transport::message;
use super::{Docker, Make};
use crate::engine::{EngineError, Export};
use crate::fault::Trouble;
use crate::reference::Digest;

/// The driver of an engine that keeps images as containerd does (`docker info`, `DriverStatus`).
const CONTAINERD: &str = "io.containerd.snapshotter.v1";

/// Saves the image `id`, unless the engine's own push is quicker. That is so
///
/// - with containerd's store, which keeps layers compressed beside their content: its push sends only what the registry lacks,
///   where to save an image reads all of it;
/// - of Podman, which compresses a layer on all processors, as floe does, and saves nothing before it has copied it;
/// - on another machine, to which a registry may be nearer, and from which everything would travel here in three times as many
///   bytes as it has compressed.
pub(super) async fn export(docker: &Docker, id: &Digest) -> Result<Option<Export>, EngineError> {
    if !is_at_hand(docker) || keeps_compressed(docker).await? {
        return Ok(None);
    }
    save(docker, id).await.map(Some)
}

/// Whether layers may come from the engine at all: it is Docker, on this machine.
pub(super) fn is_at_hand(docker: &Docker) -> bool {
    docker.make != Make::Podman && docker.transport.is_local()
}

/// Saves an image, whoever pushes it.
pub(super) async fn save(docker: &Docker, id: &Digest) -> Result<Export, EngineError> {
    let action = format!("save {id}");
    // bollard's client ends what takes longer than an answer may.
    let answer = docker
        .transport
        .send(Method::GET, &format!("/images/{id}/get"), &[])
        .await;
    let answer = answer.map_err(|error| docker.transport.failed(action.clone(), &error))?;
    if !answer.status().is_success() {
        let trouble = Trouble::of_status(answer.status().as_u16()).unwrap_or(Trouble::Engine);
        return Err(EngineError::Request {
            action,
            reason: message(answer).await,
            trouble,
        });
    }
    let pieces = BodyDataStream::new(answer.into_body()).map_err(move |error| EngineError::Request {
        action: action.clone(),
        reason: error.to_string(),
        trouble: Trouble::Lost,
    });
    Ok(pieces.boxed())
}

/// Whether the engine keeps layers as they are sent.
pub(super) async fn keeps_compressed(docker: &Docker) -> Result<bool, EngineError> {
    let status = keeping(docker).await?.driver_status.unwrap_or_default();
    Ok(status.iter().flatten().any(|word| word == CONTAINERD))
}

/// What the engine says of how, and where, it keeps images.
pub(super) async fn keeping(docker: &Docker) -> Result<SystemInfo, EngineError> {
    let info = docker.api.info().await;
    info.map_err(|error| docker.failed("ask the engine how it keeps images".to_owned(), error))
}
