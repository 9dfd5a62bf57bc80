//! Images of another one and layers on top of it, by `docker load`.
//!
//! The engine takes an archive that names layers and does not hold them, as long as it has them: Docker's classic store, by
//! the place where they are named in an archive of Docker's own form; containerd's, by the digests by which the manifest of an OCI
//! layout names them. The archive is sent while its layers arrive; what they are layers of comes last.

mod archive;
mod beginning;
mod manifest;

use std::io;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Response};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::archive::{Archive, Filled};
use self::beginning::Beginning;
use super::stream::Lines;
use super::transport::message;
use super::{Docker, export};
use crate::engine::{Below, EngineError, Images as _, LayerPart};
use crate::fault::Trouble;
use crate::reference::{Digest, ImageTag};

/// Pieces of the archive that wait to be sent.
const WAITING: usize = 16;

/// Makes an image of another one and `layers` on top of it.
///
/// The engine unpacks an archive when it has all of it. So layers are sent in several archives, each that of an image on top of
/// the one before it: while one is unpacked, the next is sent, except for its list of layers, without which nothing of it is
/// looked at.
pub(super) async fn extend(
    docker: &Docker,
    below: Below<'_>,
    tag: &ImageTag,
    mut layers: mpsc::Receiver<LayerPart>,
) -> Result<Digest, EngineError> {
    let parent = below.image;
    let inspected = get(docker, &format!("/images/{parent}/json")).await?;
    let history = get(docker, &format!("/images/{parent}/history")).await?;
    let known = if export::keeps_compressed(docker).await? {
        manifest::layers_of(docker, below.having).await?
    } else {
        Vec::new()
    };
    let mut beginning = Beginning::read(&inspected, &history, known);
    let mut between = Vec::new();
    let mut before = None;
    let made = loop {
        let (archive, loading) = send(docker, parent);
        let mut archive = Archive::new(archive);
        let loading = tokio::spawn(loading);
        let filled = archive.fill(&mut beginning, &mut layers).await;
        // What lies below has to be there first.
        if let Some(before) = before.take()
            && let Err(error) = loaded(before).await
        {
            break Err(error);
        }
        let is_last = match filled {
            Some(Filled::Last) => true,
            Some(Filled::More) => false,
            Some(Filled::Abandoned) => {
                archive.abandon().await;
                let _ = loading.await;
                break Err(failed(parent, "the layers ended early".to_owned(), Trouble::Lost));
            }
            // An engine that does not read on says why.
            None => {
                let unread = failed(parent, "the engine has not read all of it".to_owned(), Trouble::Engine);
                break Err(loaded(loading).await.err().unwrap_or(unread));
            }
        };
        let mut name = tag.clone();
        if !is_last {
            // By its name it is found if this call ends before it removes it.
            name.tag = format!("{}-{}", tag.tag, between.len());
        }
        let id = archive.end(&beginning, &name).await;
        drop(archive);
        if is_last {
            break loaded(loading).await.map(|()| id);
        }
        between.push(name);
        before = Some(loading);
    };
    let mut removed = Ok(());
    for name in between {
        // Its layers are those of the image above it.
        removed = docker.untag(&name).await.and(removed);
    }
    let id = made?;
    removed?;
    Ok(id)
}

fn failed(parent: &Digest, reason: String, trouble: Trouble) -> EngineError {
    EngineError::Request {
        action: format!("load layers on top of {parent}"),
        reason,
        trouble,
    }
}

/// The end of a load.
async fn loaded(loading: JoinHandle<Result<(), EngineError>>) -> Result<(), EngineError> {
    match loading.await {
        Ok(loaded) => loaded,
        // What is not cancelled ends by itself.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Begins to send an archive: where its pieces go, and what loads it.
fn send(
    docker: &Docker,
    parent: &Digest,
) -> (
    mpsc::Sender<io::Result<Bytes>>,
    impl Future<Output = Result<(), EngineError>> + Send + 'static,
) {
    let (archive, pieces) = mpsc::channel(WAITING);
    let frames = stream::unfold(pieces, |mut pieces| async move {
        let piece: io::Result<Bytes> = pieces.recv().await?;
        Some((piece.map(Frame::data), pieces))
    });
    let (transport, parent) = (docker.transport.clone(), parent.clone());
    let loading = async move {
        let path = "/images/load?quiet=1";
        let answer = transport
            .upload(path, "application/x-tar", StreamBody::new(frames))
            .await;
        let action = format!("load layers on top of {parent}");
        let answer = answer.map_err(|error| transport.failed(action, &error))?;
        answered(answer, &parent).await
    };
    (archive, loading)
}

/// The end of the engine's answer.
async fn answered(mut answer: Response<Incoming>, parent: &Digest) -> Result<(), EngineError> {
    let refused = |reason: String, trouble| failed(parent, reason, trouble);
    let status = answer.status();
    if !status.is_success() {
        let reason = message(answer).await;
        let trouble = Trouble::of(&reason).or_else(|| Trouble::of_status(status.as_u16()));
        return Err(refused(reason, trouble.unwrap_or(Trouble::Engine)));
    }
    let mut lines = Lines::default();
    loop {
        let line = lines.next(&mut answer).await;
        let Some(line) = line.map_err(|reason| refused(reason, Trouble::Lost))? else {
            return Ok(());
        };
        let said = serde_json::from_slice::<Value>(&line).unwrap_or_default();
        if let Some(reason) = said["error"].as_str() {
            let trouble = Trouble::of(reason).unwrap_or(Trouble::Engine);
            return Err(refused(reason.to_owned(), trouble));
        }
    }
}

async fn get(docker: &Docker, path: &str) -> Result<Value, EngineError> {
    let action = format!("ask for {path}");
    let answer = docker.transport.send(Method::GET, path, &[]).await;
    let answer = answer.map_err(|error| docker.transport.failed(action.clone(), &error))?;
    let failed = |reason: String, trouble| EngineError::Request {
        action: action.clone(),
        reason,
        trouble,
    };
    if !answer.status().is_success() {
        let trouble = Trouble::of_status(answer.status().as_u16()).unwrap_or(Trouble::Engine);
        return Err(failed(message(answer).await, trouble));
    }
    let body = answer.into_body().collect().await;
    let body = body
        .map_err(|error| failed(error.to_string(), Trouble::Lost))?
        .to_bytes();
    serde_json::from_slice(&body).map_err(|error| failed(error.to_string(), Trouble::Foreign))
}
