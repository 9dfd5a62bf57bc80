//! What bollard and connections report of a request that the engine refused or that broke, as an error of the engine's edge.

use std::error::Error as StdError;
use std::io;

use bollard::errors::Error;

use super::ANSWER_TIMEOUT;
use super::ssh::SshError;
use crate::engine::{Absence, EngineError};
use crate::fault::{Trouble, chain};

/// The error of a request that the engine refused or that broke.
pub(super) fn failed(action: String, error: &Error) -> EngineError {
    let reason = words(error);
    let trouble = Trouble::of(&reason)
        .or_else(|| by_kind(error))
        .unwrap_or(Trouble::Engine);
    // A request names nothing at a registry: what is missing was there, and credentials are the engine's own affair.
    let trouble = match trouble {
        Trouble::Missing => Trouble::Vanished,
        other => other,
    };
    EngineError::Request {
        action,
        reason,
        trouble,
    }
}

/// The error of an image that the engine could not fetch or send.
pub(super) fn transfer(action: String, reason: String, status: Option<u16>) -> EngineError {
    let trouble = Trouble::of(&reason)
        // 500 is the engine's word for whatever its registry said.
        .or_else(|| Trouble::of_status(status.filter(|status| *status != 500)?))
        .unwrap_or(Trouble::Refusal);
    EngineError::Transfer {
        action,
        reason,
        trouble,
    }
}

/// What the kind of an error tells, where its words tell nothing.
fn by_kind(error: &Error) -> Option<Trouble> {
    match error {
        Error::RequestTimeoutError => Some(Trouble::Silent),
        Error::IOError { .. } | Error::HyperLegacyError { .. } | Error::HyperResponseError { .. } => {
            Some(Trouble::Lost)
        }
        // Something before the engine answered in its place.
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => Some(Trouble::Foreign),
        // The engine's own words told nothing; it did not understand what floe asked.
        Error::DockerResponseServerError { status_code: 400, .. } => Some(Trouble::Request),
        Error::DockerResponseServerError { status_code, .. } if *status_code >= 500 => Some(Trouble::Engine),
        Error::DockerResponseServerError { status_code, .. } => Trouble::of_status(*status_code),
        _ => None,
    }
}

/// Why there is no engine: the innermost words, and what they mean.
pub(super) fn absent(error: &(dyn StdError + 'static)) -> (String, Absence) {
    let reason = deepest(error);
    for behind in chain(error) {
        if behind.is::<SshError>() {
            return (reason, Absence::Ssh);
        }
        match behind.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::NotFound) => return (reason, Absence::NoSocket),
            Some(io::ErrorKind::PermissionDenied) => return (reason, Absence::Forbidden),
            _ => {}
        }
    }
    let cause = Trouble::of(&reason).map_or(Absence::Other, Absence::Network);
    (reason, cause)
}

/// The engine's own words, without bollard's around them.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        Error::RequestTimeoutError => format!("no answer within {} seconds", ANSWER_TIMEOUT.as_secs()),
        Error::HyperLegacyError { err } => deepest(err),
        Error::HyperResponseError { err } => deepest(err),
        other => other.to_string(),
    }
}

/// The HTTP status of the engine's answer, where it answered.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// The words at the bottom of an error, which are those of whoever met it.
pub(super) fn deepest(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
