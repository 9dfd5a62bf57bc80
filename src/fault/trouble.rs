//! What goes wrong between floe, an engine and a registry: told by the words of those who report it, with what it means and
//! what to do about it.
//!
//! Engines are written in Go and pass on what their registries, their runtime and Go's network say; floe's own connections
//! report errors of the system and of rustls; the steps of a build print what their programs say. One table knows the words of
//! all, so that one trouble reads the same wherever it is met. Whatever stands between floe and a proper answer is temporary; a refusal is only what a registry, asked
//! properly, says no to.

mod steps;
mod words;

use std::error::Error;

use self::words::WORDS;
use super::{Kind, is_temporary_status};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// No name server knows the name of the server.
    Unresolved,
    /// Nothing listens there.
    Unheard,
    /// No way leads there.
    NoRoute,
    /// The server did not answer in time.
    Silent,
    /// The connection broke, or an answer was cut off.
    Lost,
    /// The server asks for fewer requests.
    Busy,
    /// The server failed (5xx).
    Broken,
    /// Something answered that is no such server: a proxy, a captive portal.
    Foreign,
    /// Nobody vouches for the server's certificate.
    UnknownAuthority,
    /// The server's certificate is for another name.
    WrongName,
    /// The server's certificate is no longer valid, or not yet.
    Expired,
    /// The server wants another certificate of its client, or any at all.
    ClientUnknown,
    /// One side speaks TLS and the other does not.
    Plain,
    /// The server wants credentials, or others.
    Unauthorized,
    /// The credentials do not suffice.
    Denied,
    /// There is nothing of that name.
    Missing,
    /// The build was joined to another client's, which ended.
    Abandoned,
    /// The engine's disk is full.
    NoSpace,
    /// Another request is changing the same thing.
    Conflict,
    /// The engine no longer has what it had.
    Vanished,
    /// The engine cannot start a container: its runtime or its control groups fail.
    Runtime,
    /// The image does not hold the program that it is to run, or not for this machine.
    NoProgram,
    /// The engine failed for a reason that this table does not know.
    Engine,
    /// The engine is Podman, and cannot start containers, or failed for a reason that this table does not know.
    Podman,
    /// A registry refused for a reason that this table does not know.
    Refusal,
    /// The cluster has no room for it, or not yet.
    Pending,
    /// The engine does not accept what was asked: a setting holds what it cannot follow.
    Request,
}

impl Trouble {
    /// What the words of an engine, of a registry or of a network tell; `None` where they tell nothing.
    #[must_use]
    pub fn of(words: &str) -> Option<Self> {
        let words = words.to_lowercase();
        let told = WORDS.iter().find(|row| row.is_told_by(&words));
        told.map(|row| row.trouble).or_else(|| {
            // `received unexpected HTTP status: 521`
            let status = ["http status: ", "status code "]
                .iter()
                .find_map(|before| words.split_once(before))?;
            match status.1.get(..3)?.parse().ok()? {
                // Not even its success is a registry's.
                200..=299 => Some(Self::Foreign),
                status => Self::of_status(status),
            }
        })
    }

    /// What the status of an answer tells by itself, where it is no success.
    #[must_use]
    pub fn of_status(status: u16) -> Option<Self> {
        Some(match status {
            200..=299 => return None,
            401 => Self::Unauthorized,
            403 => Self::Denied,
            404 => Self::Missing,
            // A captive portal asks for a login of its own.
            407 | 511 => Self::Foreign,
            408 | 504 => Self::Silent,
            409 => Self::Conflict,
            429 => Self::Busy,
            500.. => Self::Broken,
            _ if is_temporary_status(status) => Self::Busy,
            300..=399 => Self::Foreign,
            _ => return None,
        })
    }

    /// What it means for the call that it ends.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Unauthorized | Self::Denied | Self::Missing | Self::Refusal => Kind::Refused,
            Self::NoProgram => Kind::Build,
            Self::Request => Kind::Invalid,
            _ => Kind::Temporary,
        }
    }

    /// The same of an engine that is Podman, whose own faults are mended elsewhere.
    #[must_use]
    pub fn of_podman(self) -> Self {
        match self {
            Self::Runtime | Self::Engine => Self::Podman,
            other => other,
        }
    }

    /// Whether a builder that says so speaks of its engine, its machine, or the way to a registry, and not of what it builds.
    #[must_use]
    pub fn is_of_surroundings(self) -> bool {
        matches!(
            self,
            Self::Abandoned
                | Self::Runtime
                | Self::Podman
                | Self::UnknownAuthority
                | Self::WrongName
                | Self::Expired
                | Self::ClientUnknown
                | Self::Plain
                | Self::Foreign
        )
    }

    /// Whether another attempt may succeed although nobody has done anything.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Unresolved
                | Self::Unheard
                | Self::NoRoute
                | Self::Silent
                | Self::Lost
                | Self::Busy
                | Self::Broken
                | Self::Foreign
                | Self::Abandoned
                | Self::Conflict
                | Self::Vanished
        )
    }

    /// What to do about it, whoever met it.
    #[must_use]
    pub fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Unresolved => {
                "no name server knows that name: is it spelt right, and does this network resolve names?"
            }
            Self::Unheard => "nothing listens there: is the address right, and does the server run?",
            Self::NoRoute => "no way leads there: is this machine on the right network, or a VPN missing?",
            Self::Silent => {
                "it did not answer in time: try again; if it stays so, look for a firewall or a proxy between"
            }
            Self::Lost => "the connection broke: try again",
            Self::Busy => "the server asks for fewer requests: wait a while, or log in, which often raises the limit",
            Self::Broken => "the server failed: try again later",
            Self::Foreign => {
                "what answered is no such server, but a proxy or the login page of a network: look at the address, and at \
                 HTTPS_PROXY and NO_PROXY"
            }
            Self::UnknownAuthority => {
                "nobody that is trusted vouches for the server's certificate: name the site's authorities by SITE_CA"
            }
            Self::WrongName => "the server's certificate is for another name: use one of those that it holds",
            Self::Expired => "the server's certificate is not valid today: renew it, or set the clock that is wrong",
            Self::ClientUnknown => "the server wants a certificate that it knows: look at cert.pem and key.pem",
            Self::Plain => "one side speaks TLS and the other does not: look at the port and at what it expects",
            Self::Unauthorized => {
                "log in with `docker login` or `podman login`: the registry wants credentials, or others than those stored"
            }
            Self::Denied => "the credentials in use do not allow it: ask for the right to, or log in as somebody else",
            Self::Missing => "look at the name: there is nothing of it, or these credentials do not show it",
            Self::Abandoned => "another build of the same steps was ended while this one waited for it: try again",
            Self::NoSpace => {
                "make room on the engine's disk: `docker system df`, or `podman system df`, says what takes it"
            }
            Self::Conflict => "another request was changing the same thing: try again",
            Self::Vanished => "somebody removed it at the engine: try again, which makes again what is missing",
            Self::Runtime => "the engine cannot start containers: its own log says more (`journalctl -u docker`)",
            Self::Pending => "wait until there is room, or ask for less",
            Self::NoProgram => "does the image hold that program, and for this machine's architecture?",
            Self::Engine => "the engine itself failed: its own log says more (`journalctl -u docker`)",
            Self::Podman => {
                "Podman itself failed: `podman run IMAGE true` must work here. Where its runtime fails, \
                 `runtime = \"runc\"` below `[engine]` in /etc/containers/containers.conf names another; a service of \
                 the system's has a log, `journalctl -u podman`"
            }
            Self::Refusal | Self::Request => return None,
        })
    }
}

/// The words of an error and of what lies behind it, each once: the outer ones say what was tried, the inner ones why it
/// failed.
#[must_use]
pub fn words_of(error: &(dyn Error + 'static)) -> String {
    chain(error)
        .map(ToString::to_string)
        .fold(String::new(), |words, text| {
            if words.is_empty() {
                text
            } else if words.contains(&text) {
                words
            } else {
                format!("{words}: {text}")
            }
        })
}

/// An error and what lies behind it, the outermost first. An error of the system that wraps another passes over it by
/// itself.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests;
