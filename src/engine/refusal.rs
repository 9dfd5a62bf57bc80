//! What bollard reports of a request that the engine refused or that broke, as an error of the engine's edge.

use bollard::errors::Error;

use super::fault::{is_temporary, is_temporary_status};
use super::{EngineError, PATIENCE};

/// The error of a request that the engine refused or that broke.
pub(super) fn failed(action: String, error: &Error) -> EngineError {
    let reason = words(error);
    let temporary = match error {
        Error::RequestTimeoutError | Error::IOError { .. } | Error::HyperLegacyError { .. } => true,
        // 500 is also the engine's word for what will never work; its text tells more.
        Error::DockerResponseServerError { status_code, .. } if *status_code != 500 => {
            is_temporary_status(*status_code)
        }
        _ => is_temporary(&reason),
    };
    EngineError::Request {
        action,
        reason,
        temporary,
    }
}

/// The engine's own words, without bollard's around them.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        Error::RequestTimeoutError => format!("no answer within {} seconds", PATIENCE.as_secs()),
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
