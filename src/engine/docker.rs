//! The real engine: Docker, by its API, at a socket of this machine, at a port of another, or through `ssh`.

mod address;
mod archive;
mod buildkit;
mod consoles;
mod containers;
mod context;
mod creation;
mod disk;
mod error;
mod images;
mod ssh;
mod stream;
mod tls;
mod transport;
mod volume;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error;
use tokio::time::timeout;

use self::address::{Address, DEFAULT_SOCKET};
use self::error::failed;
use self::transport::Transport;
use super::{Absence, BuildRequest, Builds, Directions, EngineError};
use crate::event::Sink;
use crate::fault::Trouble;
use crate::reference::Digest;

/// How long the engine may take to answer a request that should be quick.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

/// A Docker engine.
#[derive(Debug, Clone)]
pub(super) struct Docker {
    transport: Transport,
    api: bollard::Docker,
}

impl Docker {
    /// Connects to the engine that `directions` lead to. Returns an engine that has answered.
    pub async fn connect(directions: &Directions) -> Result<Self, EngineError> {
        let transport = way(directions)?;
        let first = async {
            // Only the system's own error tells a missing socket from a forbidden one.
            let opened = transport.open().await;
            drop(opened.map_err(|error| transport.absent(&error))?);
            let absent = |error: Error| match error {
                Error::DockerResponseServerError { .. } | Error::JsonDataError { .. } => EngineError::Unreachable {
                    address: transport.address(),
                    cause: Absence::Network(Trouble::of(&error.to_string()).unwrap_or(Trouble::Foreign)),
                    reason: error::words(&error),
                },
                other => transport.absent(&other),
            };
            let api = transport.api(ANSWER_TIMEOUT).map_err(absent)?;
            api.ping().await.map_err(absent)?;
            api.negotiate_version().await.map_err(absent)
        };
        let patience = transport.patience();
        let api = timeout(patience, first).await.map_err(|_| EngineError::Unreachable {
            address: transport.address(),
            reason: format!("no answer within {} seconds", patience.as_secs()),
            cause: Absence::Network(Trouble::Silent),
        })??;
        Ok(Self { transport, api })
    }

    /// The error of a request, as [`failed`] gives it, unless the engine itself is gone.
    fn failed(&self, action: String, error: Error) -> EngineError {
        match error {
            Error::HyperLegacyError { err } if err.is_connect() => self.transport.absent(&err),
            other => failed(action, &other),
        }
    }
}

/// The way to the engine: that of an address, of a context, or of the first socket that there is.
fn way(directions: &Directions) -> Result<Transport, EngineError> {
    let wrong = |place: &str| {
        let place = place.to_owned();
        move |reason: String| EngineError::Directions { place, reason }
    };
    let client = directions.client.as_deref();
    let by_tls = || directions.tls.then(|| "tcp://".to_owned());
    let endpoint = match client {
        Some(client) if directions.host.is_none() => context::find(client, directions.context.as_deref())?,
        _ => None,
    };
    if let Some(host) = directions
        .host
        .clone()
        .or_else(|| by_tls().filter(|_| endpoint.is_none()))
    {
        let address = Address::parse(&host, directions.tls).map_err(wrong("DOCKER_HOST"))?;
        let tls = match address {
            Address::Tcp { .. } if directions.tls => {
                let certificates = directions.certificates.as_deref().or(client);
                Some(tls::config(certificates, false)?)
            }
            _ => None,
        };
        return Ok(Transport::new(address, &host, tls));
    }
    if let Some(endpoint) = endpoint {
        let secured = endpoint.certificates.is_some() || endpoint.unverified;
        let address = Address::parse(&endpoint.host, secured).map_err(wrong(&endpoint.place))?;
        let tls = match address {
            Address::Tcp { .. } if secured => Some(tls::config(endpoint.certificates.as_deref(), endpoint.unverified)?),
            _ => None,
        };
        return Ok(Transport::new(address, &endpoint.host, tls));
    }
    let socket = socket(directions.runtime.as_deref(), Path::exists);
    Ok(Transport::new(
        Address::Unix(socket.clone()),
        &socket.display().to_string(),
        None,
    ))
}

/// The first socket that there is: Docker's, that of Docker without root, and Podman's. Docker's, where there is none.
fn socket(runtime: Option<&Path>, exists: impl Fn(&Path) -> bool) -> PathBuf {
    let own = ["docker.sock", "podman/podman.sock"].map(|name| runtime.map(|runtime| runtime.join(name)));
    let [rootless, podman] = own;
    let sockets = [
        Some(PathBuf::from(DEFAULT_SOCKET)),
        rootless,
        podman,
        Some(PathBuf::from("/run/podman/podman.sock")),
    ];
    let found = sockets.into_iter().flatten().find(|socket| exists(socket));
    found.unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET))
}

#[async_trait]
impl Builds for Docker {
    async fn build(&self, request: BuildRequest, events: &dyn Sink) -> Result<Digest, EngineError> {
        buildkit::build(&self.transport, request, events).await
    }
}

#[cfg(test)]
mod tests;
