//! Images of another one and layers on top of it, by `docker load`.
//!
//! Docker's classic store takes an archive that names layers and does not hold them, as long as it has them where they are
//! named. The archive is sent while its layers arrive; its configuration and the list of its layers come last.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Docker;
use super::stream::Lines;
use super::transport::message;
use crate::engine::{EngineError, Images as _, LayerPart, NewLayer};
use crate::fault::Trouble;
use crate::reference::{Digest, ImageTag};

/// When such an image says that it was made: the same layers are the same image.
const CREATED: &str = "1980-01-01T00:00:00Z";

/// A tar archive consists of blocks of so many bytes.
const BLOCK: usize = 512;

/// Pieces of the archive that wait to be sent.
const WAITING: usize = 16;

/// Bytes of layers from which on the others go into another archive.
const ENOUGH: u64 = 128 << 20;

/// Makes an image of `parent` and `layers` on top of it.
///
/// The engine unpacks an archive when it has all of it. So layers are sent in several archives, each that of an image on top of
/// the one before it: while one is unpacked, the next is sent, except for its list of layers, without which nothing of it is
/// looked at.
pub(super) async fn extend(
    docker: &Docker,
    parent: &Digest,
    tag: &ImageTag,
    mut layers: mpsc::Receiver<LayerPart>,
) -> Result<Digest, EngineError> {
    let mut beginning = Beginning::of(docker, parent).await?;
    let mut between = Vec::new();
    let mut before = None;
    let made = loop {
        let (archive, loading) = send(docker, parent);
        let mut archive = Archive {
            pieces: archive,
            bytes: 0,
        };
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
        let id = archive.end(&beginning, is_last.then_some(tag)).await;
        drop(archive);
        if is_last {
            break loaded(loading).await.map(|()| id);
        }
        between.push(id);
        before = Some(loading);
    };
    let mut removed = Ok(());
    for id in between {
        // Its layers are those of the image above it.
        removed = docker.remove_image(&id).await.and(removed);
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

/// What the image takes over of the one that it extends.
struct Beginning {
    /// Its configuration, without layers.
    configuration: Value,
    /// The digests of its layers.
    layers: Vec<Digest>,
    /// What it says of its making, as many entries with a layer as it has layers.
    history: Vec<Value>,
}

impl Beginning {
    async fn of(docker: &Docker, parent: &Digest) -> Result<Self, EngineError> {
        let inspected = get(docker, &format!("/images/{parent}/json")).await?;
        let history = get(docker, &format!("/images/{parent}/history")).await?;
        Ok(Self::read(&inspected, &history))
    }

    fn read(inspected: &Value, history: &Value) -> Self {
        let layers = inspected["RootFS"]["Layers"].as_array().into_iter().flatten();
        let layers = layers
            .filter_map(|layer| layer.as_str()?.parse().ok())
            .collect::<Vec<Digest>>();
        Self {
            configuration: json!({
                "architecture": inspected["Architecture"],
                "os": inspected["Os"],
                "created": CREATED,
                "config": inspected["Config"],
            }),
            history: entries(history, layers.len()),
            layers,
        }
    }

    /// Adds a layer, and what the history says of it.
    fn add(&mut self, layer: Digest, made: &str) {
        self.history.push(json!({"created": CREATED, "created_by": made}));
        self.layers.push(layer);
    }

    /// The configuration of an image of all layers so far.
    fn configuration(&self) -> Vec<u8> {
        let layers = self.layers.iter().map(Digest::as_str).collect::<Vec<_>>();
        let mut configuration = self.configuration.clone();
        configuration["rootfs"] = json!({"type": "layers", "diff_ids": layers});
        configuration["history"] = self.history.clone().into();
        configuration.to_string().into_bytes()
    }
}

/// The history of an image in the form of a configuration, the oldest first. The engine does not say which entries have a layer.
/// Those have that hold something, and where these are not all, nothing more is said than that there are layers.
fn entries(history: &Value, layers: usize) -> Vec<Value> {
    let told = history.as_array().into_iter().flatten().rev();
    let entries = told.map(|entry| {
        let words = entry["CreatedBy"].as_str().unwrap_or_default();
        let is_empty = entry["Size"].as_u64() == Some(0) && !makes_a_layer(words);
        let created = entry["Created"].as_i64().unwrap_or_default();
        let created = jiff::Timestamp::from_second(created).unwrap_or_default();
        let mut entry = json!({"created": created.to_string(), "created_by": words, "comment": entry["Comment"]});
        if is_empty {
            entry["empty_layer"] = true.into();
        }
        entry
    });
    let entries = entries.collect::<Vec<_>>();
    let full = entries.iter().filter(|entry| entry["empty_layer"].is_null()).count();
    if full == layers {
        return entries;
    }
    vec![json!({"created": CREATED}); layers]
}

/// Whether an instruction makes a layer, and be it one that holds nothing.
fn makes_a_layer(words: &str) -> bool {
    let words = words.trim_start_matches("/bin/sh -c ");
    let beginnings = ["RUN ", "COPY ", "ADD ", "WORKDIR "];
    !words.starts_with("#(nop)") && beginnings.iter().any(|beginning| words.starts_with(beginning))
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

/// What an archive was filled with.
#[derive(PartialEq, Eq)]
enum Filled {
    /// Layers, and others follow.
    More,
    /// Layers to the last.
    Last,
    /// Layers, until whoever sends them gave up.
    Abandoned,
}

/// A tar archive on its way to the engine.
struct Archive {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    /// The bytes of the layers in it.
    bytes: u64,
}

impl Archive {
    /// Writes layers, until there are enough for an archive; `None` where nobody reads it any more.
    async fn fill(&mut self, beginning: &mut Beginning, layers: &mut mpsc::Receiver<LayerPart>) -> Option<Filled> {
        let (mut size, mut said) = (0, String::new());
        while self.bytes < ENOUGH {
            match layers.recv().await {
                Some(LayerPart::Begin { made, layer }) => match layer {
                    NewLayer::There(digest) => beginning.add(digest, &made),
                    NewLayer::Bytes(bytes) => {
                        self.header(&path(beginning.layers.len()), bytes).await?;
                        (size, said) = (bytes, made);
                    }
                },
                Some(LayerPart::Bytes(piece)) => self.send(piece).await?,
                Some(LayerPart::End(digest)) => {
                    self.pad(size).await?;
                    self.bytes += size;
                    beginning.add(digest, &said);
                }
                Some(LayerPart::Done) => return Some(Filled::Last),
                None => return Some(Filled::Abandoned),
            }
        }
        Some(Filled::More)
    }

    /// A cut archive must not look like a whole one to the engine.
    async fn abandon(&mut self) {
        let _ = self.pieces.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
    }

    /// Writes the end: the configuration and the list of layers, most of which the archive does not hold. Returns the ID of the
    /// image. If nobody reads it any more, that is known by the answer.
    async fn end(&mut self, beginning: &Beginning, tag: Option<&ImageTag>) -> Digest {
        let configuration = beginning.configuration();
        let id = Digest::of(&configuration);
        let name = format!("{}.json", id.as_str().trim_start_matches("sha256:"));
        let tags = tag.iter().map(ToString::to_string).collect::<Vec<_>>();
        let paths = (0..beginning.layers.len()).map(path).collect::<Vec<_>>();
        let list = json!([{"Config": name, "RepoTags": tags, "Layers": paths}]);
        let _ = self.file(&name, configuration).await;
        let _ = self.file("manifest.json", list.to_string().into_bytes()).await;
        let _ = self.send(Bytes::from_static(&[0; 2 * BLOCK])).await;
        id
    }

    async fn file(&mut self, path: &str, content: Vec<u8>) -> Option<()> {
        let bytes = content.len() as u64;
        self.header(path, bytes).await?;
        self.send(content.into()).await?;
        self.pad(bytes).await
    }

    async fn header(&mut self, path: &str, bytes: u64) -> Option<()> {
        let mut header = tar::Header::new_gnu();
        // The names are floe's own, and short.
        header.set_path(path).ok()?;
        header.set_mode(0o644);
        header.set_size(bytes);
        header.set_cksum();
        self.send(Bytes::copy_from_slice(header.as_bytes())).await
    }

    /// Fills the last block of a file.
    async fn pad(&mut self, bytes: u64) -> Option<()> {
        static ZEROS: [u8; BLOCK] = [0; BLOCK];
        let missing = bytes.next_multiple_of(BLOCK as u64) - bytes;
        let missing = usize::try_from(missing).unwrap_or_default();
        if missing == 0 {
            return Some(());
        }
        self.send(Bytes::from_static(&ZEROS[..missing])).await
    }

    async fn send(&mut self, piece: Bytes) -> Option<()> {
        self.pieces.send(Ok(piece)).await.ok()
    }
}

/// What a layer is called in an archive.
fn path(index: usize) -> String {
    format!("{index}/layer.tar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_names_as_many_layers_as_there_are() {
        let history = json!([
            {"Created": 3, "CreatedBy": "CMD [\"x\"]", "Size": 0, "Comment": ""},
            {"Created": 2, "CreatedBy": "RUN true", "Size": 0, "Comment": "buildkit"},
            {"Created": 1, "CreatedBy": "/bin/sh -c #(nop) ADD file in /", "Size": 7, "Comment": ""},
        ]);
        let told = entries(&history, 2);
        let empty = told
            .iter()
            .map(|entry| entry["empty_layer"] == true)
            .collect::<Vec<_>>();
        assert_eq!(empty, [false, false, true]);
        assert_eq!(told[0]["created"], "1970-01-01T00:00:01Z");
        assert_eq!(entries(&history, 3), vec![json!({"created": CREATED}); 3]);
    }

    #[test]
    fn the_configuration_is_that_of_the_parent_with_layers_added() {
        let digests = ["a", "b", "c"].map(|text| Digest::of(text.as_bytes()));
        let inspected = json!({
            "Architecture": "amd64", "Os": "linux", "Config": {"User": "1000", "OnBuild": null},
            "RootFS": {"Layers": [digests[0]]},
        });
        let history = json!([{"Created": 1, "CreatedBy": "ADD x", "Size": 7, "Comment": ""}]);
        let mut beginning = Beginning::read(&inspected, &history);
        beginning.add(digests[1].clone(), "b");
        beginning.add(digests[2].clone(), "c");
        let written = serde_json::from_slice::<Value>(&beginning.configuration()).unwrap();
        assert_eq!(written["rootfs"]["diff_ids"], json!(digests));
        assert_eq!(written["config"], inspected["Config"]);
        assert_eq!(written["history"].as_array().unwrap().len(), 3);
        assert_eq!(written["history"][2]["created_by"], "c");
    }
}
