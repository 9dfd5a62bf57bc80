//! What says where the engine is, as Docker's own client takes it.

use std::path::PathBuf;

/// Where to look for the engine. With nothing set, it is this machine's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directions {
    /// An address, as `DOCKER_HOST` holds one: `unix://PATH` or a plain path, `tcp://HOST[:PORT]`,
    /// `ssh://[USER@]HOST[:PORT][/PATH]`.
    pub host: Option<String>,
    /// A context of Docker's client, as `DOCKER_CONTEXT` names one. An address wins over it.
    pub context: Option<String>,
    /// Whether an engine at a TCP address is spoken to by TLS (`DOCKER_TLS_VERIFY`).
    pub tls: bool,
    /// The directory of `ca.pem`, `cert.pem` and `key.pem` (`DOCKER_CERT_PATH`); that of Docker's client where `None`.
    pub certificates: Option<PathBuf>,
    /// The directory of Docker's client (`DOCKER_CONFIG`, `~/.docker`), which holds its contexts.
    pub client: Option<PathBuf>,
    /// The user's runtime directory (`XDG_RUNTIME_DIR`), where engines without root listen.
    pub runtime: Option<PathBuf>,
    /// Podman's program, which serves where nothing listens (`podman` in `PATH`).
    pub podman: Option<PathBuf>,
}
