//! What says where the engine is, as Docker's own client takes it.

use std::fmt;
use std::path::PathBuf;

use super::docker;

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

/// An engine among several, as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineName {
    /// The one that is used where none is named: `docker`.
    Own,
    /// One at an address, as `DOCKER_HOST` holds it.
    Host(String),
    /// That of a context of Docker's client: `context:NAME`.
    Context(String),
}

impl EngineName {
    /// Parses a name: `docker`, `context:NAME`, or an address in any form of `DOCKER_HOST`, with `docker://HOST:PORT` as
    /// another word for `tcp://HOST:PORT`. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "docker" {
            return Ok(Self::Own);
        }
        if let Some(context) = text.strip_prefix("context:") {
            return match context {
                "" => Err("context: names no context; `docker context ls` lists them".to_owned()),
                context => Ok(Self::Context(context.to_owned())),
            };
        }
        let host = match text.strip_prefix("docker://") {
            Some(rest) => format!("tcp://{rest}"),
            // Of a bare word nobody knows whether it is a host's name or a slip.
            None if !text.starts_with('/') && !text.contains("://") => {
                return Err(format!(
                    "{text:?} names no engine: expected docker, unix://PATH, tcp://HOST:PORT, ssh://USER@HOST or context:NAME"
                ));
            }
            None => text.to_owned(),
        };
        docker::check(&host)?;
        Ok(Self::Host(host))
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("docker"),
            Self::Host(host) => f.write_str(host),
            Self::Context(context) => write!(f, "context:{context}"),
        }
    }
}

impl Directions {
    /// The directions to an engine of this name, from where these lead to the one that is used where none is named.
    #[must_use]
    pub fn to(&self, name: &EngineName) -> Self {
        let (host, context) = match name {
            EngineName::Own => return self.clone(),
            EngineName::Host(host) => (Some(host.clone()), None),
            EngineName::Context(context) => (None, Some(context.clone())),
        };
        Self {
            host,
            context,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_named_as_docker_host_names_them_and_by_context() {
        let host = |host: &str| Ok(EngineName::Host(host.to_owned()));
        for (text, expected) in [
            ("docker", Ok(EngineName::Own)),
            ("unix:///run/docker.sock", host("unix:///run/docker.sock")),
            ("/run/docker.sock", host("/run/docker.sock")),
            ("ssh://me@build.example:22", host("ssh://me@build.example:22")),
            ("tcp://build.example:2376", host("tcp://build.example:2376")),
            ("docker://build.example:2375", host("tcp://build.example:2375")),
            ("context:far", Ok(EngineName::Context("far".to_owned()))),
        ] {
            assert_eq!(EngineName::parse(text), expected, "{text}");
        }
        for (text, words) in [
            ("dokcer", "expected docker, unix://PATH"),
            ("context:", "`docker context ls`"),
            ("ssh://me:word@x", "use a key"),
            ("npipe:////./pipe/docker_engine", "npipe://"),
        ] {
            let reason = EngineName::parse(text).unwrap_err();
            assert!(reason.contains(words), "{text}: {reason}");
        }
    }

    #[test]
    fn a_named_engine_is_reached_by_its_name_alone_with_the_certificates_that_there_are() {
        let here = Directions {
            host: Some("unix:///here".to_owned()),
            context: Some("near".to_owned()),
            tls: true,
            ..Directions::default()
        };
        assert_eq!(here.to(&EngineName::Own), here);
        let far = here.to(&EngineName::Context("far".to_owned()));
        assert_eq!((far.host, far.context.as_deref(), far.tls), (None, Some("far"), true));
        let there = here.to(&EngineName::Host("tcp://there".to_owned()));
        assert_eq!((there.host.as_deref(), there.context), (Some("tcp://there"), None));
    }
}
