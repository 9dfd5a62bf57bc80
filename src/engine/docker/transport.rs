//! The way to the engine: one kind of connection for what bollard covers and for what it does not, which are connections
//! that become gRPC, and pushes.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::error::{absent, deepest};
use super::ssh;
use crate::engine::EngineError;
use crate::fault::Trouble;

/// Headers by name.
pub(super) type Headers<'a> = &'a [(&'a str, &'a str)];

/// How long a connection may be silent before the other side is asked whether it still is there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long the first answer may take: nobody waits for an engine that is not there, but `ssh` has more to do.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_SSH_ANSWER_TIMEOUT: Duration = Duration::from_secs(45);

/// Where the engine listens, and how a connection to it is opened.
#[derive(Clone)]
pub(super) struct Transport(Arc<Way>);

enum Way {
    Unix(PathBuf),
    Tcp {
        host: String,
        port: u16,
    },
    Tls {
        host: String,
        port: u16,
        connector: TlsConnector,
    },
    Ssh {
        address: Address,
        text: String,
    },
}

/// A connection that was not opened, or broke before the head of an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// It was not opened.
    #[error("{0}")]
    Open(#[source] io::Error),
    /// It broke.
    #[error("{0}")]
    Http(#[source] hyper::Error),
    /// The engine does not make it what it was to become.
    #[error("{reason}")]
    Refused { status: StatusCode, reason: String },
}

impl Transport {
    /// The way to an address. `tls` says how to speak to a TCP port, if by TLS.
    pub fn new(address: Address, text: &str, tls: Option<ClientConfig>) -> Self {
        Self(Arc::new(match (address, tls) {
            (Address::Unix(socket), _) => Way::Unix(socket),
            (Address::Tcp { host, port }, None) => Way::Tcp { host, port },
            (Address::Tcp { host, port }, Some(config)) => Way::Tls {
                host,
                port,
                connector: TlsConnector::from(Arc::new(config)),
            },
            (address @ Address::Ssh { .. }, _) => Way::Ssh {
                address,
                text: text.to_owned(),
            },
        }))
    }

    /// Where the engine listens, in the words of messages.
    pub fn address(&self) -> String {
        match &*self.0 {
            Way::Unix(socket) => socket.display().to_string(),
            Way::Tcp { host, port } | Way::Tls { host, port, .. } if host.contains(':') => {
                format!("tcp://[{host}]:{port}")
            }
            Way::Tcp { host, port } | Way::Tls { host, port, .. } => format!("tcp://{host}:{port}"),
            Way::Ssh { text, .. } => text.clone(),
        }
    }

    /// Whether it is a socket of this machine.
    pub fn is_local(&self) -> bool {
        matches!(*self.0, Way::Unix(_))
    }

    /// How long the first answer may take.
    pub fn patience(&self) -> Duration {
        match *self.0 {
            Way::Ssh { .. } => FIRST_SSH_ANSWER_TIMEOUT,
            _ => FIRST_ANSWER_TIMEOUT,
        }
    }

    /// Opens a connection.
    pub async fn open(&self) -> io::Result<Stream> {
        Ok(match &*self.0 {
            Way::Unix(socket) => Stream::new(UnixStream::connect(socket).await?),
            Way::Tcp { host, port } => Stream::new(dial(host, *port).await?),
            Way::Tls { host, port, connector } => {
                let stream = dial(host, *port).await?;
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                Stream::new(connector.connect(name, stream).await?)
            }
            Way::Ssh { address, .. } => Stream::new(ssh::open(address)?),
        })
    }

    /// bollard's requests, by this way.
    pub fn api(&self, timeout: Duration) -> Result<bollard::Docker, bollard::errors::Error> {
        let transport = self.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let transport = transport.clone();
            Box::pin(async move { transport.open().await.map(TokioIo::new) })
        });
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        // A call of `ssh` and a handshake are worth keeping for the next request; a socket is opened at once.
        let kept = match *self.0 {
            Way::Unix(_) | Way::Tcp { .. } => 0,
            Way::Tls { .. } | Way::Ssh { .. } => 4,
        };
        let client = builder.pool_max_idle_per_host(kept).build(connector);
        bollard::Docker::connect_with_custom_transport(
            move |request: bollard::BollardRequest| {
                let answer = client.request(request);
                async move { answer.await.map_err(Into::into) }
            },
            // The address is never resolved: the connector knows where the engine is.
            Some("http://engine"),
            timeout.as_secs(),
            bollard::API_DEFAULT_VERSION,
        )
    }

    /// The error of a request that broke: an engine that is gone is not one that failed.
    pub fn failed(&self, action: String, error: &Broken) -> EngineError {
        match error {
            Broken::Open(_) => self.absent(error),
            Broken::Http(error) => EngineError::Request {
                action,
                reason: deepest(error),
                trouble: Trouble::of(&deepest(error)).unwrap_or(Trouble::Lost),
            },
            Broken::Refused { status, reason } if *status == StatusCode::NOT_FOUND => EngineError::Unsupported {
                action,
                reason: reason.clone(),
            },
            Broken::Refused { status, reason } => EngineError::Request {
                action,
                reason: reason.clone(),
                trouble: Trouble::of(reason)
                    .or_else(|| Trouble::of_status(status.as_u16()))
                    .unwrap_or(Trouble::Engine),
            },
        }
    }

    /// The error of an engine that is not there.
    pub fn absent(&self, error: &(dyn Error + 'static)) -> EngineError {
        let (reason, cause) = absent(error);
        EngineError::Unreachable {
            address: self.address(),
            reason,
            cause,
        }
    }

    /// Asks the engine to make the connection one of HTTP/2 without TLS; returns the bare connection.
    pub async fn upgrade(&self, path: &str, headers: Headers<'_>) -> Result<Upgraded, Broken> {
        let response = self
            .post(
                path,
                &[headers, &[(CONNECTION.as_str(), "Upgrade"), (UPGRADE.as_str(), "h2c")]].concat(),
            )
            .await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return hyper::upgrade::on(response).await.map_err(Broken::Http);
        }
        let status = response.status();
        Err(Broken::Refused {
            status,
            reason: format!(
                "the engine offers no BuildKit at {path} ({status}): {}",
                message(response).await
            ),
        })
    }

    /// Asks the engine to make the connection the bare streams of what `path` names; returns the connection.
    pub async fn hijack(&self, path: &str) -> Result<Upgraded, Broken> {
        let headers = [(CONNECTION.as_str(), "Upgrade"), (UPGRADE.as_str(), "tcp")];
        let response = self.post(path, &headers).await?;
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return hyper::upgrade::on(response).await.map_err(Broken::Http);
        }
        let reason = message(response).await;
        Err(Broken::Refused { status, reason })
    }

    /// Sends a request without a body; returns the head of the response.
    pub async fn post(&self, path: &str, headers: Headers<'_>) -> Result<Response<Incoming>, Broken> {
        self.send(Method::POST, path, headers).await
    }

    /// Sends a request with a body of a media type; returns the head of the response.
    pub async fn upload<B>(&self, path: &str, media_type: &str, body: B) -> Result<Response<Incoming>, Broken>
    where
        B: Body<Data = Bytes, Error = io::Error> + Send + 'static,
    {
        let headers = [(CONTENT_TYPE.as_str(), media_type)];
        self.request(Method::POST, path, &headers, body).await
    }

    /// Sends a request without a body by any method; returns the head of the response.
    pub async fn send(&self, method: Method, path: &str, headers: Headers<'_>) -> Result<Response<Incoming>, Broken> {
        self.request(method, path, headers, Empty::<Bytes>::new()).await
    }

    async fn request<B>(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: B,
    ) -> Result<Response<Incoming>, Broken>
    where
        B: Body<Data = Bytes, Error: Error + Send + Sync> + Send + 'static,
    {
        let stream = self.open().await.map_err(Broken::Open)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Broken::Http)?;
        // The task ends with the connection, which ends when the response or what it was upgraded to is dropped.
        tokio::spawn(connection.with_upgrades());
        let mut request = Request::builder().method(method).uri(path).header(HOST, "engine");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(body)
            .map_err(|error| Broken::Open(io::Error::other(error)))?;
        sender.send_request(request).await.map_err(Broken::Http)
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Transport").field(&self.address()).finish()
    }
}

/// Connects to a port. A network that is lost without a word is noticed.
async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepintvl(&stream, KEEPALIVE_INTERVAL)?;
    Ok(stream)
}

/// An open connection of any kind.
pub(super) struct Stream(Pin<Box<dyn Duplex>>);

trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

impl Stream {
    fn new(stream: impl Duplex + 'static) -> Self {
        Self(Box::pin(stream))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().0.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.as_mut().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.as_mut().poll_shutdown(context)
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
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
