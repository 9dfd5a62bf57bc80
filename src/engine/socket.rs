//! The engine's Unix socket, for what bollard does not cover: connections that become gRPC, and pushes.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::EngineError;
use super::fault::is_temporary;

/// Headers by name.
pub(super) type Headers<'a> = &'a [(&'a str, &'a str)];

/// Where the engine listens.
#[derive(Debug, Clone)]
pub(super) struct Socket(pub PathBuf);

/// What is wrong with a socket that does not answer, and what to look at.
pub(super) fn advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("{error}: does the user belong to the group docker?"),
        io::ErrorKind::NotFound => format!("{error}: is the engine installed and running?"),
        _ => error.to_string(),
    }
}

impl Socket {
    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The error of a request that broke: an engine that is gone is told from one that failed.
    pub fn failed(&self, action: String, error: &io::Error) -> EngineError {
        let reason = error.to_string();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => EngineError::Unreachable {
                address: self.0.display().to_string(),
                reason,
            },
            _ => EngineError::Request {
                action,
                temporary: is_temporary(&reason),
                reason,
            },
        }
    }

    /// Asks the engine to make the connection one of HTTP/2 without TLS; answers the bare connection.
    pub async fn upgrade(&self, path: &str, headers: Headers<'_>) -> io::Result<Upgraded> {
        let response = self
            .post(
                path,
                &[headers, &[(CONNECTION.as_str(), "Upgrade"), (UPGRADE.as_str(), "h2c")]].concat(),
            )
            .await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return hyper::upgrade::on(response).await.map_err(io::Error::other);
        }
        Err(io::Error::other(format!(
            "the engine offers no BuildKit at {path} ({}): {}",
            response.status(),
            message(response).await
        )))
    }

    /// Sends a request without a body; answers the head of the response.
    pub async fn post(&self, path: &str, headers: Headers<'_>) -> io::Result<Response<Incoming>> {
        let stream = UnixStream::connect(&self.0).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // The task ends with the connection, which ends when the response or what it was upgraded to is dropped.
        tokio::spawn(connection.with_upgrades());
        let mut request = Request::builder().method(Method::POST).uri(path).header(HOST, "engine");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
        sender.send_request(request).await.map_err(io::Error::other)
    }
}

/// What the engine says in the body of a response that refuses a request.
pub(super) async fn message(response: Response<Incoming>) -> String {
    let body = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return error.to_string(),
    };
    serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|value| Some(value.get("message")?.as_str()?.to_owned()))
        .unwrap_or_else(|| String::from_utf8_lossy(&body).trim().to_owned())
}
