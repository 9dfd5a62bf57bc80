//! Images of another one and layers on top of it, by `docker load`.
//!
//! Docker's classic store takes an archive that names layers and does not hold them, as long as it has them where they are
//! named. The archive is sent while its layers arrive; its configuration and the list of its layers come last.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Method;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Docker;
use super::stream::Lines;
use super::transport::message;
use crate::engine::{EngineError, LayerPart, NewLayer};
use crate::fault::Trouble;
use crate::reference::{Digest, ImageTag};

/// When such an image says that it was made: the same layers are the same image.
const CREATED: &str = "1980-01-01T00:00:00Z";

/// A tar archive consists of blocks of so many bytes.
const BLOCK: u64 = 512;

/// Pieces of the archive that wait to be sent.
const WAITING: usize = 16;

/// Makes an image of `parent` and `layers` on top of it.
pub(super) async fn extend(
    docker: &Docker,
    parent: &Digest,
    tag: &ImageTag,
    layers: mpsc::Receiver<LayerPart>,
) -> Result<Digest, EngineError> {
    let action = || format!("load layers on top of {parent}");
    let beginning = Beginning::of(docker, parent).await?;
    let (archive, pieces) = mpsc::channel(WAITING);
    let frames = stream::unfold(pieces, |mut pieces| async move {
        let piece: io::Result<Bytes> = pieces.recv().await?;
        Some((piece.map(Frame::data), pieces))
    });
    let sending = async {
        let body = StreamBody::new(frames);
        let answer = docker
            .transport
            .upload("/images/load?quiet=1", "application/x-tar", body);
        let answer = answer
            .await
            .map_err(|error| docker.transport.failed(action(), &error))?;
        loaded(answer, &action).await
    };
    let (written, sent) = tokio::join!(write(beginning, tag, layers, archive), sending);
    // An engine that ends the connection says why; where the layers ended early, that is why.
    match (written, sent) {
        (Written::Whole(id), Ok(())) => Ok(id),
        (Written::Unread, Ok(())) => Err(EngineError::Request {
            action: action(),
            reason: "the engine has not read all of the archive".to_owned(),
            trouble: Trouble::Engine,
        }),
        (Written::Abandoned, _) => Err(EngineError::Request {
            action: action(),
            reason: "the layers ended early".to_owned(),
            trouble: Trouble::Lost,
        }),
        (_, Err(error)) => Err(error),
    }
}

/// The end of the engine's answer.
async fn loaded(
    mut answer: hyper::Response<hyper::body::Incoming>,
    action: &impl Fn() -> String,
) -> Result<(), EngineError> {
    let refused = |reason: String, trouble| EngineError::Request {
        action: action(),
        reason,
        trouble,
    };
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

    /// The configuration of an image that has `new` layers, too, each with what the history says of it.
    fn with(mut self, new: Vec<(Digest, String)>) -> Vec<u8> {
        for (layer, made) in new {
            self.history.push(json!({"created": CREATED, "created_by": made}));
            self.layers.push(layer);
        }
        let layers = self.layers.iter().map(Digest::as_str).collect::<Vec<_>>();
        self.configuration["rootfs"] = json!({"type": "layers", "diff_ids": layers});
        self.configuration["history"] = self.history.into();
        self.configuration.to_string().into_bytes()
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

/// How the writing of an archive ended.
enum Written {
    /// It is whole, and is an image with this ID.
    Whole(Digest),
    /// Nobody reads it any more.
    Unread,
    /// The layers ended before the last.
    Abandoned,
}

async fn write(
    beginning: Beginning,
    tag: &ImageTag,
    layers: mpsc::Receiver<LayerPart>,
    archive: mpsc::Sender<io::Result<Bytes>>,
) -> Written {
    let mut archive = Archive(archive);
    match archive.fill(beginning, tag, layers).await {
        Some(written) => written,
        None => Written::Unread,
    }
}

/// A tar archive on its way to the engine.
struct Archive(mpsc::Sender<io::Result<Bytes>>);

impl Archive {
    /// Writes the whole archive; `None` where nobody reads it any more.
    async fn fill(
        &mut self,
        beginning: Beginning,
        tag: &ImageTag,
        mut layers: mpsc::Receiver<LayerPart>,
    ) -> Option<Written> {
        let (mut new, mut said) = (Vec::new(), String::new());
        let mut paths = (0..beginning.layers.len())
            .map(|index| format!("there/{index}/layer.tar"))
            .collect::<Vec<_>>();
        let mut bytes = 0;
        loop {
            match layers.recv().await {
                Some(LayerPart::Begin { made, layer }) => match layer {
                    NewLayer::There(digest) => {
                        paths.push(format!("there/{}/layer.tar", paths.len()));
                        new.push((digest, made));
                    }
                    NewLayer::Bytes(size) => {
                        let path = format!("new/{}/layer.tar", paths.len());
                        self.header(&path, size).await?;
                        paths.push(path);
                        (bytes, said) = (size, made);
                    }
                },
                Some(LayerPart::Bytes(piece)) => self.send(piece).await?,
                Some(LayerPart::End(digest)) => {
                    self.pad(bytes).await?;
                    new.push((digest, std::mem::take(&mut said)));
                }
                Some(LayerPart::Done) => break,
                None => {
                    // A cut archive must not look like a whole one to the engine.
                    let _ = self.0.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
                    return Some(Written::Abandoned);
                }
            }
        }
        let configuration = beginning.with(new);
        let id = Digest::of(&configuration);
        let name = format!("{}.json", id.as_str().trim_start_matches("sha256:"));
        let list = json!([{"Config": name, "RepoTags": [tag.to_string()], "Layers": paths}]);
        self.file(&name, configuration).await?;
        self.file("manifest.json", list.to_string().into_bytes()).await?;
        self.send(Bytes::from_static(&[0; 2 * BLOCK as usize])).await?;
        Some(Written::Whole(id))
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
        static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
        let missing = bytes.next_multiple_of(BLOCK) - bytes;
        let missing = usize::try_from(missing).unwrap_or_default();
        if missing == 0 {
            return Some(());
        }
        self.send(Bytes::from_static(&ZEROS[..missing])).await
    }

    async fn send(&mut self, piece: Bytes) -> Option<()> {
        self.0.send(Ok(piece)).await.ok()
    }
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
        let new = [
            (digests[1].clone(), "b".to_owned()),
            (digests[2].clone(), "c".to_owned()),
        ];
        let written = Beginning::read(&inspected, &history).with(new.to_vec());
        let written = serde_json::from_slice::<Value>(&written).unwrap();
        assert_eq!(written["rootfs"]["diff_ids"], json!(digests));
        assert_eq!(written["config"], inspected["Config"]);
        assert_eq!(written["history"].as_array().unwrap().len(), 3);
        assert_eq!(written["history"][2]["created_by"], "c");
    }
}
