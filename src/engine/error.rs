//! What can go wrong at the engine: what each fault means, and what to do about it.

use std::path::PathBuf;

use crate::fault::{Explained, Kind, Trouble};

/// What can go wrong at the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// What says where the engine is makes no sense, or a file that it needs cannot be used.
    #[error("{place}: {reason}")]
    Directions {
        /// The variable, context or file.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No engine answers.
    #[error("no container engine answers at {address}: {reason}")]
    Unreachable {
        /// The socket or address that was tried.
        address: String,
        /// The words of the operating system, of the engine or of `ssh`.
        reason: String,
        /// What that means.
        cause: Absence,
    },
    /// A request was refused or broke.
    #[error("{action}: {reason}")]
    Request {
        /// What was asked, e.g. `start a container of floe/roman:0123`.
        action: String,
        /// The engine's words.
        reason: String,
        /// What they tell.
        trouble: Trouble,
    },
    /// The engine cannot do what is asked of it.
    #[error("{action}: {reason}")]
    Unsupported {
        /// What was asked.
        action: String,
        /// What it lacks.
        reason: String,
    },
    /// The engine could not fetch an image from a registry, or send one there.
    #[error("{action}: {reason}")]
    Transfer {
        /// What was asked, e.g. `push registry.example/roman:0123`.
        action: String,
        /// The engine's words.
        reason: String,
        /// What they tell.
        trouble: Trouble,
    },
    /// A container was removed by somebody else while it was needed.
    #[error("the container {container} was removed while it ran, and not by floe")]
    Gone {
        /// The container, by the beginning of its ID.
        container: String,
    },
    /// A cluster refused or broke, or could not do what was asked of it.
    #[error("{action}: {reason}")]
    Cluster {
        /// What was asked, e.g. `start the pod of floe-roman-0123abcd`.
        action: String,
        /// The cluster's words.
        reason: String,
        /// What they tell.
        trouble: Trouble,
    },
    /// A container was taken away before what ran in it had ended, by its cluster or with its machine.
    #[error("{container} was lost: {reason}")]
    Lost {
        /// The container.
        container: String,
        /// The words of the pod, of the engine or of the network.
        reason: String,
    },
    /// One of several engines is gone, or starts nothing any more.
    #[error("{engine} starts no more containers: {reason}")]
    Away {
        /// The engine, as it was named.
        engine: String,
        /// Its own words, or those of the network.
        reason: String,
    },
    /// None of several engines is left.
    #[error("no engine is left that could run it: {last}")]
    NoneLeft {
        /// What was said of the last one.
        last: String,
    },
    /// A build failed.
    #[error("building {image} failed: {reason}")]
    Build {
        /// What was built.
        image: String,
        /// The builder's words.
        reason: String,
        /// The line of the composed Dockerfile, counted from 1, where the builder names it or the step can be found.
        line: Option<usize>,
        /// The step that failed, as the builder names it.
        step: Option<String>,
        /// The last lines that the step printed.
        output: String,
        /// What went wrong, where it is not the definition.
        trouble: Option<Trouble>,
    },
    /// The files of the context could not be read.
    #[error(transparent)]
    Context(#[from] crate::context::ContextError),
    /// A local file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Why no engine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// There is no socket.
    NoSocket,
    /// The user may not open the socket.
    Forbidden,
    /// There is no socket, and Podman's service, which floe would use in its place, does not start.
    Service,
    /// `ssh` could not reach the other machine, or `docker` is not there.
    Ssh,
    /// What is wrong with the network, or with the certificates.
    Network(Trouble),
    /// Something else, which the reason says.
    Other,
}

impl Explained for EngineError {
    fn kind(&self) -> Kind {
        match self {
            Self::Directions { .. } | Self::Unsupported { .. } => Kind::Invalid,
            Self::Unreachable { .. }
            | Self::Gone { .. }
            | Self::Lost { .. }
            | Self::Away { .. }
            | Self::NoneLeft { .. }
            | Self::Build { trouble: Some(_), .. } => Kind::Temporary,
            Self::Request { trouble, .. } | Self::Transfer { trouble, .. } | Self::Cluster { trouble, .. } => {
                trouble.kind()
            }
            Self::Build { trouble: None, .. } => Kind::Build,
            Self::File { .. } => Kind::Internal,
            Self::Context(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Directions { .. } => {
                "DOCKER_HOST takes unix:///PATH, tcp://HOST:PORT and ssh://USER@HOST; `docker context ls` lists contexts"
            }
            Self::Unsupported { .. } => "floe builds by Docker Engine 20.10 or newer: name one by DOCKER_HOST",
            Self::Unreachable { cause, .. } => return cause.hint().map(str::to_owned),
            Self::Gone { .. } | Self::Lost { .. } | Self::Away { .. } | Self::NoneLeft { .. } => {
                "this may pass: try again"
            }
            Self::Cluster { trouble, .. } => return of_cluster(*trouble).map(str::to_owned),
            // It is the engine that speaks to the registry: what floe trusts is not asked.
            Self::Transfer {
                trouble: Trouble::UnknownAuthority,
                ..
            } => {
                "the engine itself does not know who vouches for the registry's certificate: put the authority's into \
                 /etc/docker/certs.d/REGISTRY/ca.crt on the engine's machine"
            }
            Self::Transfer {
                trouble: Trouble::Plain,
                ..
            } => {
                "the registry speaks no TLS: list it as one of \"insecure-registries\" in /etc/docker/daemon.json on the \
                 engine's machine, or for Podman as `insecure = true` in /etc/containers/registries.conf"
            }
            Self::Request { trouble, .. }
            | Self::Transfer { trouble, .. }
            | Self::Build {
                trouble: Some(trouble), ..
            } => return trouble.hint().map(str::to_owned),
            Self::Build { trouble: None, .. } | Self::Context(_) | Self::File { .. } => return None,
        };
        Some(hint.to_owned())
    }

    fn is_temporary(&self) -> bool {
        match self {
            Self::Request { trouble, .. }
            | Self::Transfer { trouble, .. }
            | Self::Cluster { trouble, .. }
            | Self::Build {
                trouble: Some(trouble), ..
            }
            | Self::Unreachable {
                cause: Absence::Network(trouble),
                ..
            } => trouble.may_pass(),
            other => other.kind() == Kind::Temporary,
        }
    }
}

impl EngineError {
    /// The same error of an engine that is Podman: its own faults are mended elsewhere.
    pub(super) fn of_podman(mut self) -> Self {
        let told = match &mut self {
            Self::Request { trouble, .. } | Self::Transfer { trouble, .. } => Some(trouble),
            Self::Build { trouble, .. } => trouble.as_mut(),
            _ => None,
        };
        if let Some(trouble) = told {
            *trouble = trouble.of_podman();
        }
        self
    }

    /// Whether a container was taken away, or never came to be, since its machine is gone: another machine may do its work.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Away { .. })
    }
}

impl Absence {
    /// What to do about it.
    fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::NoSocket => {
                "install Docker Engine (Debian: `apt-get install docker.io`) and start it (`systemctl start docker`, \
                 or `dockerd &` without systemd), or install Podman (`apt-get install podman`), which needs no \
                 start; DOCKER_HOST names another socket"
            }
            Self::Service => "`podman info` must work here, or DOCKER_HOST name an engine",
            Self::Forbidden => {
                "let the user into the socket's group (`sudo usermod -aG docker $USER`, then log in again), or use Docker \
                 without root: DOCKER_HOST=unix://$XDG_RUNTIME_DIR/docker.sock"
            }
            Self::Ssh => {
                "`ssh HOST docker version` must work without a question: a key that needs no password, a known host, and \
                 Docker on that machine"
            }
            Self::Network(Trouble::Unheard) => "start the engine there (`systemctl start docker`), or mend DOCKER_HOST",
            Self::Network(Trouble::UnknownAuthority) => {
                "ca.pem in DOCKER_CERT_PATH (or in the context) must be the authority of the engine's certificate"
            }
            Self::Network(Trouble::WrongName) => {
                "the engine's certificate is for other names: use one of them in DOCKER_HOST, or make it for this one"
            }
            Self::Network(trouble) => return trouble.hint(),
            Self::Other => return None,
        })
    }
}

/// What to do about the trouble of a cluster.
fn of_cluster(trouble: Trouble) -> Option<&'static str> {
    Some(match trouble {
        Trouble::Request => return None,
        Trouble::Unauthorized => {
            "the cluster or the registry wants credentials: look at the kubeconfig, and at imagePullSecrets in kubernetes.yml"
        }
        Trouble::Denied => {
            "`kubectl auth can-i create jobs` says what you may do; docs/how-to/kubernetes.md lists the rights that floe needs"
        }
        Trouble::Missing => "look at the namespace, and whether its nodes reach the registry that REGISTRY names",
        Trouble::Pending => {
            "`kubectl describe pod` says more; pendingTimeoutSeconds in kubernetes.yml says how long floe waits"
        }
        Trouble::UnknownAuthority | Trouble::WrongName | Trouble::Expired => {
            "the kubeconfig must name the authority of the cluster's certificate (certificate-authority-data)"
        }
        Trouble::Runtime | Trouble::Engine | Trouble::Podman => "`kubectl describe pod` says more",
        other => return other.hint(),
    })
}
