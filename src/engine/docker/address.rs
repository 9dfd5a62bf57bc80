//! An engine's address, parsed as Docker's own client parses it.

use std::path::PathBuf;

use url::{Host, Url};

/// Where Docker listens unless told otherwise.
pub(super) const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// The ports of engines that speak no TLS, and of those that do.
const PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// At a socket of this machine.
    Unix(PathBuf),
    /// At a port of a machine, by TLS or not.
    Tcp { host: String, port: u16 },
    /// On a machine that `ssh` reaches, at a socket there or where its own client looks.
    Ssh {
        user: Option<String>,
        host: String,
        port: Option<u16>,
        socket: Option<String>,
    },
}

impl Address {
    /// Parses an address; `tls` decides the port where it names none. The error says what is wrong.
    pub fn parse(text: &str, tls: bool) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            "unix" if rest.is_empty() => Ok(Self::Unix(PathBuf::from(DEFAULT_SOCKET))),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(PathBuf::from(rest))),
            "unix" => Err(format!("the path of a socket begins with /, unlike {rest:?}")),
            "tcp" | "http" => tcp(rest, if tls { TLS_PORT } else { PORT }),
            "ssh" => ssh(rest),
            "https" => {
                Err("write tcp:// and set DOCKER_TLS_VERIFY=1: that is how Docker's client speaks TLS".to_owned())
            }
            other => Err(format!(
                "nothing is known of addresses of {other}://: expected unix://, tcp:// or ssh://"
            )),
        }
    }
}

fn tcp(rest: &str, default: u16) -> Result<Address, String> {
    let rest = if rest.is_empty() { "localhost" } else { rest };
    let rest = if rest.starts_with(':') {
        format!("localhost{rest}")
    } else {
        rest.to_owned()
    };
    let url = parsed(&rest)?;
    if !url.path().is_empty() && url.path() != "/" {
        return Err(format!("a path ({}) after the port leads to no engine", url.path()));
    }
    if !url.username().is_empty() {
        return Err("a user's name belongs to ssh:// only".to_owned());
    }
    Ok(Address::Tcp {
        host: host(&url)?,
        port: url.port().unwrap_or(default),
    })
}

fn ssh(rest: &str) -> Result<Address, String> {
    let url = parsed(rest)?;
    if url.password().is_some() {
        return Err("ssh takes no password from an address: use a key".to_owned());
    }
    let host = host(&url)?;
    // Neither may look like an option of ssh.
    if host.starts_with('-') || url.username().starts_with('-') {
        return Err("neither user nor host begins with a hyphen".to_owned());
    }
    Ok(Address::Ssh {
        user: Some(url.username().to_owned()).filter(|user| !user.is_empty()),
        host,
        port: url.port(),
        socket: Some(url.path().to_owned()).filter(|path| !path.is_empty() && path != "/"),
    })
}

fn parsed(rest: &str) -> Result<Url, String> {
    let url = Url::parse(&format!("engine://{rest}")).map_err(|error| error.to_string())?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("an engine's address has neither ? nor #".to_owned());
    }
    Ok(url)
}

/// The host, without the brackets of an IPv6 address.
fn host(url: &Url) -> Result<String, String> {
    match url.host() {
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        Some(host) => Ok(host.to_string()),
        None => Err("the address names no host".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_dockers_own_client_is_understood() {
        let unix = |path: &str| Address::Unix(PathBuf::from(path));
        let tcp = |host: &str, port| Address::Tcp {
            host: host.to_owned(),
            port,
        };
        let ssh = |user: Option<&str>, port, socket: Option<&str>| Address::Ssh {
            user: user.map(str::to_owned),
            host: "build.example".to_owned(),
            port,
            socket: socket.map(str::to_owned),
        };
        for (text, tls, expected) in [
            ("unix:///run/docker.sock", false, unix("/run/docker.sock")),
            ("unix://", false, unix(DEFAULT_SOCKET)),
            ("/run/user/1000/docker.sock", false, unix("/run/user/1000/docker.sock")),
            ("tcp://10.0.0.1:2375", false, tcp("10.0.0.1", 2375)),
            ("tcp://build.example", false, tcp("build.example", 2375)),
            ("tcp://build.example/", true, tcp("build.example", 2376)),
            ("tcp://", true, tcp("localhost", 2376)),
            ("tcp://:1234", false, tcp("localhost", 1234)),
            ("tcp://[::1]:2376", true, tcp("::1", 2376)),
            ("build.example:4000", false, tcp("build.example", 4000)),
            ("http://10.0.0.1:80", false, tcp("10.0.0.1", 80)),
            ("ssh://build.example", false, ssh(None, None, None)),
            ("ssh://me@build.example:22", false, ssh(Some("me"), Some(22), None)),
            (
                "ssh://me@build.example/run/user/1000/docker.sock",
                false,
                ssh(Some("me"), None, Some("/run/user/1000/docker.sock")),
            ),
        ] {
            assert_eq!(Address::parse(text, tls), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_address_that_leads_nowhere_says_why() {
        for (text, words) in [
            ("foo://x", "foo://: expected unix://, tcp:// or ssh://"),
            ("npipe:////./pipe/docker_engine", "npipe://"),
            ("fd://", "fd://"),
            ("https://x:2376", "DOCKER_TLS_VERIFY=1"),
            ("unix://run/docker.sock", "begins with /"),
            ("tcp://x:99999", "port"),
            ("tcp://x:2375/prefix", "/prefix"),
            ("tcp://me@x", "ssh:// only"),
            ("ssh://me:secret@x", "password"),
            ("ssh://-oProxyCommand=x", "hyphen"),
            ("ssh://x?y=1", "neither ? nor #"),
            ("ssh://", "host"),
        ] {
            let reason = Address::parse(text, false).unwrap_err();
            assert!(reason.contains(words), "{text}: {reason}");
            assert!(!reason.contains("secret"), "{reason}");
        }
    }
}
