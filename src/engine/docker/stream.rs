//! Images on their way into and out of the engine: pushed, pulled, imported, each with a stream of progress.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{CreateImageOptions, CreateImageOptionsBuilder};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use super::error::{failed, status, transfer, words};
use super::transport::{Transport, message};
use crate::engine::{Credentials, EngineError};
use crate::event::{Event, Sink};
use crate::fault::Trouble;
use crate::reference::{Digest, ImageReference, ImageTag};

/// Bytes of an archive that are read at once.
const PIECE: usize = 256 * 1024;

/// Bytes of one line of progress; the engine's own are a few hundred.
const LINE_LIMIT: usize = 1 << 20;

/// Pushes what `tag` names, without TLS if the registry speaks none and the engine is to be `lenient`; returns the digest of
/// its manifest.
///
/// bollard keeps neither the layer's name nor the digest from the engine's answer, so the request is our own.
pub(super) async fn push(
    transport: &Transport,
    (tag, lenient): (&ImageTag, bool),
    credentials: Option<Credentials>,
    events: &dyn Sink,
) -> Result<Digest, EngineError> {
    let refused = |reason: String, status| transfer(format!("push {tag}"), reason, status);
    let lenient = if lenient { "&tlsVerify=false" } else { "" };
    let path = format!("/images/{}/push?tag={}{lenient}", tag.repository, tag.tag);
    let credentials = registry_auth(credentials);
    let mut response = transport
        .post(&path, &[("X-Registry-Auth", &credentials)])
        .await
        .map_err(|error| transport.failed(format!("push {tag}"), &error))?;
    if !response.status().is_success() {
        let status = response.status().as_u16();
        return Err(refused(message(response).await, Some(status)));
    }
    let mut lines = Lines::default();
    let mut digest = None;
    while let Some(line) = lines
        .next(&mut response)
        .await
        .map_err(|reason| lost(format!("push {tag}"), reason))?
    {
        let Ok(line) = serde_json::from_slice::<PushLine>(&line) else {
            continue;
        };
        if let Some(reason) = line.error {
            return Err(refused(reason, None));
        }
        digest = line.digest().or(digest);
        if let (Some(layer), Some(status)) = (line.id, line.status) {
            events.emit(Event::PushProgress {
                layer,
                status,
                sent: line.progress.current,
                total: line.progress.total,
            });
        }
    }
    // The engine names it last of all.
    digest.ok_or_else(|| {
        lost(
            format!("push {tag}"),
            "the engine names no digest at the end of the push".to_owned(),
        )
    })
}

/// The error of an answer that was cut off.
fn lost(action: String, reason: String) -> EngineError {
    EngineError::Request {
        action,
        reason,
        trouble: Trouble::Lost,
    }
}

/// Pulls the image `reference`; each layer is a step.
pub(super) async fn pull(
    docker: &bollard::Docker,
    reference: &ImageReference,
    credentials: Option<Credentials>,
    events: &dyn Sink,
) -> Result<(), EngineError> {
    let action = || format!("pull {reference}");
    let pulled = reference.pulled();
    let options = CreateImageOptionsBuilder::default().from_image(&pulled).build();
    let credentials = credentials.map(|credentials| match credentials {
        Credentials::Password { username, password } => DockerCredentials {
            username: Some(username),
            password: Some(password),
            ..DockerCredentials::default()
        },
        Credentials::IdentityToken(token) => DockerCredentials {
            identitytoken: Some(token),
            ..DockerCredentials::default()
        },
    });
    let mut progress = pin!(docker.create_image(Some(options), None, credentials));
    let mut layers: HashMap<String, Instant> = HashMap::new();
    while let Some(line) = progress.next().await {
        let line = line.map_err(|error| transfer(action(), words(&error), status(&error)))?;
        let (Some(layer), Some(status)) = (line.id, line.status) else {
            continue;
        };
        // The line about the image as a whole carries its tag in the place of a layer.
        if status.starts_with("Pulling from") {
            continue;
        }
        let (image, step, name) = (reference.to_string(), layer.clone(), format!("pull {layer}"));
        if !layers.contains_key(&layer) {
            layers.insert(layer.clone(), Instant::now());
            let (image, step, name) = (image.clone(), step.clone(), name.clone());
            events.emit(Event::StepStarted { image, step, name });
        }
        let cached = status == "Already exists";
        if cached || status == "Pull complete" {
            events.emit(Event::StepFinished {
                image,
                step,
                name,
                seconds: layers.get(&layer).map_or(0.0, |began| began.elapsed().as_secs_f64()),
                cached,
                error: None,
            });
        }
    }
    Ok(())
}

/// Makes an image of one layer from `archive`; returns its ID.
pub(super) async fn import(
    docker: &bollard::Docker,
    archive: PathBuf,
    tag: &ImageTag,
    labels: &BTreeMap<String, String>,
) -> Result<Digest, EngineError> {
    let action = || format!("import {} as {tag}", archive.display());
    let options = import_options(tag, labels).map_err(|reason| EngineError::Request {
        action: action(),
        reason,
        trouble: Trouble::Request,
    })?;
    let body = bollard::body_try_stream(pieces(&archive).await?);
    let mut progress = pin!(docker.create_image(Some(options), Some(body), None));
    let mut last = CreateImageInfo::default();
    while let Some(line) = progress.next().await {
        last = line.map_err(|error| failed(action(), &error))?;
    }
    let id = last.status.unwrap_or_default();
    id.parse().map_err(|_| EngineError::Request {
        action: action(),
        reason: format!("the engine names no image at the end of the import: {id:?}"),
        trouble: Trouble::Lost,
    })
}

fn import_options(tag: &ImageTag, labels: &BTreeMap<String, String>) -> Result<CreateImageOptions, String> {
    let changes = labels
        .iter()
        .map(|(name, value)| Ok(format!("LABEL {}={}", quoted(name)?, quoted(value)?)))
        .collect::<Result<Vec<_>, String>>()?;
    Ok(CreateImageOptionsBuilder::default()
        .from_src("-")
        // Podman 4.3 passes over a tag that stands for itself; Docker takes it with the name, too.
        .repo(&tag.to_string())
        .changes(changes)
        .build())
}

/// A word of a Dockerfile in double quotes, in which quotes, variables and escapes lose their meaning.
fn quoted(word: &str) -> Result<String, String> {
    if word.contains(['\n', '\r']) {
        return Err(format!(
            "the label {word:?} holds a line break, which an import cannot carry"
        ));
    }
    let mut text = String::from('"');
    for c in word.chars() {
        if matches!(c, '"' | '\\' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    Ok(text)
}

/// The content of a file in pieces.
async fn pieces(path: &Path) -> Result<impl Stream<Item = std::io::Result<Bytes>> + Send + use<>, EngineError> {
    let file = tokio::fs::File::open(path).await.map_err(|source| EngineError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(stream::try_unfold(file, |mut file| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = file.read_buf(&mut piece).await?;
        Ok((read > 0).then(|| (piece.freeze(), file)))
    }))
}

fn registry_auth(credentials: Option<Credentials>) -> String {
    // The engine wants the header even where there is nothing to say.
    let auth = match credentials {
        None => serde_json::json!({}),
        Some(Credentials::Password { username, password }) => {
            serde_json::json!({"username": username, "password": password})
        }
        Some(Credentials::IdentityToken(token)) => serde_json::json!({"identitytoken": token}),
    };
    URL_SAFE.encode(auth.to_string())
}

/// A line of the engine's report on a push.
#[derive(Deserialize)]
struct PushLine {
    id: Option<String>,
    status: Option<String>,
    error: Option<String>,
    #[serde(rename = "progressDetail", default)]
    progress: PushAmount,
    aux: Option<Pushed>,
}

impl PushLine {
    /// The digest of what was pushed, where the line says it: in a field of its own, or, with containerd's image store,
    /// only in the words `TAG: digest: sha256:… size: 401`.
    fn digest(&self) -> Option<Digest> {
        let field = self.aux.as_ref().map(|aux| aux.digest.as_str());
        let words = || self.status.as_ref()?.split_once(": digest: ")?.1.split(' ').next();
        field.or_else(words)?.parse().ok()
    }
}

#[derive(Deserialize, Default)]
struct PushAmount {
    #[serde(default)]
    current: u64,
    #[serde(default)]
    total: u64,
}

#[derive(Deserialize)]
struct Pushed {
    #[serde(rename = "Digest", default)]
    digest: String,
}

/// Cuts the body of a response into lines.
#[derive(Default)]
pub(super) struct Lines(BytesMut);

impl Lines {
    /// The next line; `None` at the end.
    pub async fn next(&mut self, response: &mut Response<Incoming>) -> Result<Option<BytesMut>, String> {
        loop {
            if let Some(end) = self.0.iter().position(|&byte| byte == b'\n') {
                return Ok(Some(self.0.split_to(end + 1)));
            }
            if self.0.len() > LINE_LIMIT {
                return Err("the engine's answer has no end of line".to_owned());
            }
            match response.body_mut().frame().await {
                Some(Ok(frame)) => self.0.extend(frame.into_data().ok()),
                Some(Err(error)) => return Err(error.to_string()),
                None => return Ok(Some(self.0.split()).filter(|rest| !rest.is_empty())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_push_is_read_from_the_lines_of_either_store() {
        let digest = Digest::of(b"manifest");
        let read = |line: serde_json::Value| serde_json::from_value::<PushLine>(line).unwrap().digest();
        let words = format!("1.0: digest: {digest} size: 401");
        assert_eq!(read(serde_json::json!({"status": words})), Some(digest.clone()));
        let field = serde_json::json!({"progressDetail": {}, "aux": {"Tag": "1.0", "Digest": digest, "Size": 401}});
        assert_eq!(read(field), Some(digest));
        assert_eq!(
            read(serde_json::json!({"status": "Pushed", "id": "5a39ff2bc11a"})),
            None
        );
    }

    #[test]
    fn a_label_keeps_quotes_variables_and_escapes() {
        assert_eq!(quoted(r#"a "b" $c \d"#).unwrap(), r#""a \"b\" \$c \\d""#);
        assert!(quoted("a\nENV b=c").is_err());
    }
}
