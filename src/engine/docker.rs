//! The real engines: Docker, by its API, at a socket of this machine, at a port of another, or through `ssh`; and Podman, which
//! speaks that API, too, but for the builds.

mod address;
mod archive;
mod buildah;
mod buildkit;
mod consoles;
mod containers;
mod context;
mod creation;
mod disk;
mod error;
mod export;
mod extend;
mod history;
mod images;
mod outlet;
mod pack;
mod passage;
mod ssh;
mod stored;
mod stream;
mod tail;
mod tls;
mod transport;
mod volume;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error;
use bollard::models::ResourcesUlimits;
use hyper::Method;
use tokio::net::UnixStream;
use tokio::time::timeout;

use self::address::{Address, DEFAULT_SOCKET};
use self::error::failed;
use self::transport::Transport;
use super::podman::Service;
use super::{Absence, BuildRequest, Builds, Connections, Directions, EngineError};
use crate::event::{Event, Sink};
use crate::fault::Trouble;
use crate::reference::{Digest, ImageTag};

/// How long the engine may take to answer a request that should be quick.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

/// What people who know Docker wonder about at Podman.
const LACKS: &str =
    "Podman builds one stage after the other, and is sent all files each time (docs/reference/engines.md)";

/// An engine that speaks Docker's API.
#[derive(Debug, Clone)]
pub(super) struct Docker {
    transport: Transport,
    api: bollard::Docker,
    make: Make,
    /// What is said once of what the engine lacks.
    told: Arc<Once>,
    /// Where floe started it for itself.
    _service: Option<Arc<Service>>,
}

/// Whose engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    Docker,
    Podman,
}

impl Make {
    /// A tag as floe gave it. Podman puts the name of a registry before what has none: for its own client that of none, for
    /// Docker's API that of Docker's.
    fn own_name(self, tag: &str) -> &str {
        let registries = ["localhost/", "docker.io/library/", "docker.io/"];
        let registry = registries.iter().find_map(|registry| tag.strip_prefix(registry));
        registry.filter(|_| self == Self::Podman).unwrap_or(tag)
    }

    /// Whether a push must be told that the registry may speak without TLS: Docker lets those of its own machine do so by
    /// itself.
    fn is_to_be_lenient(self, tag: &ImageTag) -> bool {
        let host = tag.repository.split('/').next().unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        self == Self::Podman && (name == "localhost" || name == "[::1]" || name.starts_with("127."))
    }
}

impl Docker {
    /// Connects to the engine that `directions` lead to. Returns an engine that has answered.
    pub async fn connect(directions: &Directions) -> Result<Self, EngineError> {
        let (transport, service) = match way(directions)? {
            Some(transport) => (transport, None),
            None => private(directions).await?,
        };
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
            // Its version takes Podman 4.3 half a second, and seconds on a busy machine.
            let answer = transport.send(Method::GET, "/_ping", &[]).await;
            let answer = answer.map_err(|error| transport.absent(&error))?;
            if answer.headers().contains_key("libpod-api-version") {
                return Ok((api, Make::Podman));
            }
            let api = api.negotiate_version().await.map_err(absent)?;
            Ok::<_, EngineError>((api, Make::Docker))
        };
        let patience = transport.patience();
        let (api, make) = timeout(patience, first).await.map_err(|_| EngineError::Unreachable {
            address: transport.address(),
            reason: format!("no answer within {} seconds", patience.as_secs()),
            cause: Absence::Network(Trouble::Silent),
        })??;
        Ok(Self {
            transport,
            api,
            make,
            told: Arc::new(Once::new()),
            _service: service,
        })
    }

    /// The error of a request, as [`failed`] gives it, unless the engine itself is gone.
    fn failed(&self, action: String, error: Error) -> EngineError {
        match error {
            Error::HyperLegacyError { err } if err.is_connect() => self.transport.absent(&err),
            other => self.own(failed(action, &other)),
        }
    }

    /// The limits that processes of containers are to have, where they are not to be the engine's own.
    fn limits(&self) -> Option<Vec<ResourcesUlimits>> {
        match self.make {
            Make::Podman if self.transport.is_local() => creation::own_limits(),
            _ => None,
        }
    }

    /// An error with what is to be done about it at an engine of this make.
    fn own(&self, error: EngineError) -> EngineError {
        match self.make {
            Make::Docker => error,
            Make::Podman => error.of_podman(),
        }
    }
}

/// What is wrong with the address of an engine, if anything is.
pub(super) fn check(host: &str) -> Result<(), String> {
    Address::parse(host, false).map(drop)
}

/// The way to the engine: that of an address, of a context, or of the first socket that there is.
fn way(directions: &Directions) -> Result<Option<Transport>, EngineError> {
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
        return Ok(Some(Transport::new(address, &host, tls)));
    }
    if let Some(endpoint) = endpoint {
        let secured = endpoint.certificates.is_some() || endpoint.unverified;
        let address = Address::parse(&endpoint.host, secured).map_err(wrong(&endpoint.place))?;
        let tls = match address {
            Address::Tcp { .. } if secured => Some(tls::config(endpoint.certificates.as_deref(), endpoint.unverified)?),
            _ => None,
        };
        return Ok(Some(Transport::new(address, &endpoint.host, tls)));
    }
    Ok(socket(directions.runtime.as_deref(), Path::exists).map(at))
}

/// The way to a socket.
fn at(socket: PathBuf) -> Transport {
    let text = socket.display().to_string();
    Transport::new(Address::Unix(socket), &text, None)
}

/// The way to where nothing listens: to a Podman that floe starts for itself, or to Docker's socket, which is told to be
/// missing.
async fn private(directions: &Directions) -> Result<(Transport, Option<Arc<Service>>), EngineError> {
    let Some(program) = &directions.podman else {
        return Ok((at(DEFAULT_SOCKET.into()), None));
    };
    let service = Service::start(program, directions.runtime.as_deref()).await?;
    Ok((at(service.socket().to_owned()), Some(Arc::new(service))))
}

/// The first socket that there is: Docker's, that of Docker without root, and Podman's.
fn socket(runtime: Option<&Path>, exists: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let own = ["docker.sock", "podman/podman.sock"].map(|name| runtime.map(|runtime| runtime.join(name)));
    let [rootless, podman] = own;
    let sockets = [
        Some(PathBuf::from(DEFAULT_SOCKET)),
        rootless,
        podman,
        Some(PathBuf::from("/run/podman/podman.sock")),
    ];
    sockets.into_iter().flatten().find(|socket| exists(socket))
}

#[async_trait]
impl Builds for Docker {
    async fn build(&self, request: BuildRequest, events: &dyn Sink) -> Result<Digest, EngineError> {
        let built = match self.make {
            Make::Docker => buildkit::build(&self.transport, request, events).await,
            Make::Podman => {
                self.told
                    .call_once(|| events.emit(Event::Note { text: LACKS.to_owned() }));
                buildah::build(&self.transport, request, self.limits(), events).await
            }
        };
        built.map_err(|error| self.own(error))
    }

    async fn perform(
        &self,
        request: BuildRequest,
        connections: Connections,
        events: &dyn Sink,
    ) -> Result<(), EngineError> {
        let performed = buildkit::perform(&self.transport, request, connections, events).await;
        performed.map_err(|error| self.own(error))
    }

    async fn passage(&self, image: &Digest, door: &Path) -> Result<Option<UnixStream>, EngineError> {
        passage::passage(self, image, door).await
    }
}

#[cfg(test)]
mod tests;
