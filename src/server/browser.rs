//! What a person's browser asks a server for.

use std::fmt;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// More than this of an answer is not read; the largest script of JupyterLab has some megabytes.
const MOST: usize = 64 << 20;

/// More redirections than this go round in a circle.
const REDIRECTIONS: usize = 5;

/// Why a server did not do what it was asked for.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody answers.
    NoAnswer,
    /// The connection broke, or what came is no HTTP.
    Broken(String),
    /// The answer is a refusal or a failure.
    Refused {
        /// The path that was asked for.
        path: String,
        /// The status, which is not 2xx.
        status: u16,
        /// What it says.
        words: String,
    },
    /// The answer is not what it should be.
    Strange {
        /// The path that was asked for.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A person who has a token.
#[derive(Debug)]
pub struct Browser {
    port: u16,
    prefix: String,
    token: String,
}

impl Browser {
    /// One for the server on a port of this machine whose paths begin with `prefix`.
    pub fn new(port: u16, prefix: String, token: &str) -> Self {
        Self {
            port,
            prefix,
            token: token.to_owned(),
        }
    }

    /// The body of what is at `path`, below the prefix.
    pub async fn get(&self, path: &str) -> Result<Bytes, Trouble> {
        let mut path = format!("{}{path}", self.prefix);
        for _ in 0..REDIRECTIONS {
            match self.send(Method::GET, &path, Bytes::new()).await? {
                Answer::Body(body) => return Ok(body),
                Answer::Elsewhere(place) => path = place,
            }
        }
        let reason = format!("it redirects more than {REDIRECTIONS} times");
        Err(Trouble::Strange { path, reason })
    }

    /// The JSON at `path`.
    pub async fn json(&self, path: &str) -> Result<Value, Trouble> {
        let body = self.get(path).await?;
        serde_json::from_slice(&body).map_err(|error| Trouble::Strange {
            path: format!("{}{path}", self.prefix),
            reason: format!("it is no JSON: {error}"),
        })
    }

    /// Loads a page of JupyterLab with all its scripts and styles.
    pub async fn page(&self, path: &str) -> Result<(), Trouble> {
        let body = self.get(path).await?;
        let html = String::from_utf8_lossy(&body);
        let strange = |reason: &str| Trouble::Strange {
            path: format!("{}{path}", self.prefix),
            reason: reason.to_owned(),
        };
        if !html.contains("jupyter-config-data") {
            return Err(strange(
                "it is no page of JupyterLab, which would hold its configuration",
            ));
        }
        let scripts = sources(&html);
        if scripts.is_empty() {
            return Err(strange("it names no script, so nothing would appear"));
        }
        for script in scripts {
            let below = script.strip_prefix(&self.prefix);
            let below =
                below.ok_or_else(|| strange(&format!("its script {script} lies outside of {}", self.prefix)))?;
            self.get(below).await?;
        }
        Ok(())
    }

    /// Starts the kernel `name`, asks it what it is, and shuts it down.
    pub async fn kernel(&self, name: &str) -> Result<(), Trouble> {
        let path = format!("{}api/kernels", self.prefix);
        let strange = |reason: String| Trouble::Strange {
            path: path.clone(),
            reason,
        };
        let request = Bytes::from(json!({"name": name}).to_string());
        let Answer::Body(body) = self.send(Method::POST, &path, request).await? else {
            return Err(strange("it redirects".to_owned()));
        };
        let started: Value = serde_json::from_slice(&body).unwrap_or_default();
        let id = started["id"]
            .as_str()
            .ok_or_else(|| strange("the answer names no kernel".to_owned()))?;
        let answered = self.ask_kernel(id).await;
        let shut = self.send(Method::DELETE, &format!("{path}/{id}"), Bytes::new()).await;
        answered?;
        shut.map(drop)
    }

    /// Asks a kernel what it is, on the connection that a notebook has to it.
    async fn ask_kernel(&self, id: &str) -> Result<(), Trouble> {
        let path = format!("{}api/kernels/{id}/channels", self.prefix);
        let broken = |error: &dyn fmt::Display| Trouble::Broken(format!("{path}: {error}"));
        let mut socket = self.open(&path).await?;
        let id = uuid::Uuid::new_v4().to_string();
        let question = json!({
            "channel": "shell",
            "header": {
                "msg_id": id,
                "msg_type": "kernel_info_request",
                "session": uuid::Uuid::new_v4().to_string(),
                "username": "floe",
                "date": jiff::Timestamp::now().to_string(),
                "version": "5.3",
            },
            "parent_header": {},
            "metadata": {},
            "content": {},
            "buffers": [],
        });
        socket
            .send(Message::text(question.to_string()))
            .await
            .map_err(|error| broken(&error))?;
        while let Some(message) = socket.next().await {
            let message = message.map_err(|error| broken(&error))?;
            let Ok(text) = message.to_text() else { continue };
            let Ok(message) = serde_json::from_str::<Value>(text) else {
                continue;
            };
            if message["parent_header"]["msg_id"] == id.as_str() && message["msg_type"] == "kernel_info_reply" {
                let _ = socket.close(None).await;
                return Ok(());
            }
        }
        Err(broken(&"the server closed the connection before the kernel answered"))
    }

    /// A connection on which both sides send when they like.
    pub(super) async fn open(&self, path: &str) -> Result<Socket, Trouble> {
        let broken = |error: &dyn fmt::Display| Trouble::Broken(format!("{path}: {error}"));
        let url = format!("ws://127.0.0.1:{}{path}", self.port);
        let mut request = url.into_client_request().map_err(|error| broken(&error))?;
        let authorization = format!("token {}", self.token).parse();
        let authorization = authorization.map_err(|error| broken(&error))?;
        request.headers_mut().insert(AUTHORIZATION, authorization);
        let connected = tokio_tungstenite::connect_async(request).await;
        connected.map(|(socket, _)| socket).map_err(|error| broken(&error))
    }

    /// The path below the server's prefix.
    pub(super) fn below(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    pub(super) async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, Trouble> {
        let broken = |error: hyper::Error| Trouble::Broken(format!("{path}: {error}"));
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await;
        let stream = stream.map_err(|_| Trouble::NoAnswer)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, format!("127.0.0.1:{}", self.port))
            .header(AUTHORIZATION, format!("token {}", self.token))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Trouble::Broken(format!("{path}: {error}")))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let place = response.headers().get(LOCATION).and_then(|place| place.to_str().ok());
        if let (true, Some(place)) = (status.is_redirection(), place) {
            return Ok(Answer::Elsewhere(place.to_owned()));
        }
        let body = Limited::new(response.into_body(), MOST).collect().await;
        let body = body
            .map_err(|error| Trouble::Broken(format!("{path}: {error}")))?
            .to_bytes();
        connection.abort();
        if status.is_success() {
            return Ok(Answer::Body(body));
        }
        Err(Trouble::Refused {
            path: path.to_owned(),
            status: status.as_u16(),
            words: words(&body),
        })
    }
}

/// A connection on which both sides send when they like.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) enum Answer {
    Body(Bytes),
    Elsewhere(String),
}

/// The addresses of a page's scripts, as it writes them.
fn sources(html: &str) -> Vec<&str> {
    let tags = html.split("<script").skip(1);
    let tags = tags.filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag));
    tags.filter_map(|tag| tag.split_once("src=\"")?.1.split('"').next())
        .collect()
}

/// What a refusal says, in one line: the message of Jupyter's JSON, or its beginning.
fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let message = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|value| Some(value["message"].as_str()?.to_owned()));
    let text = message.unwrap_or_else(|| text.into_owned());
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim().chars().take(200).collect()
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => write!(f, "nothing answers"),
            Self::Broken(reason) => write!(f, "{reason}"),
            Self::Refused { path, status, words } if words.is_empty() => write!(f, "{path} answers {status}"),
            Self::Refused { path, status, words } => write!(f, "{path} answers {status}: {words}"),
            Self::Strange { path, reason } => write!(f, "{path}: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_with_an_address_are_loaded() {
        let html = r#"<script id="jupyter-config-data">{}</script><script defer src="/a/main.js?v=1"></script>"#;
        assert_eq!(sources(html), ["/a/main.js?v=1"]);
    }

    #[test]
    fn a_refusal_is_told_in_one_line() {
        assert_eq!(words(br#"{"message": "no such kernel"}"#), "no such kernel");
        assert_eq!(words(b"\n<html>\n<body>"), "<html>");
    }
}
