//! Faults that may pass by themselves, and those that will not: by the status of an answer, and by the kind of an error.

use std::error::Error;
use std::io::ErrorKind;

/// Whether the same HTTP request may succeed later, given the status that answered it.
#[must_use]
pub fn is_temporary_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=504 | 507..=599)
}

/// Whether a network or a server failed, by the kind of the error itself. What is behind it is not looked at.
#[must_use]
pub fn is_temporary_error(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return match error.status() {
            Some(status) => is_temporary_status(status.as_u16()),
            None => {
                error.is_timeout() || error.is_connect() || error.is_body() || error.is_decode() || error.is_request()
            }
        };
    }
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(
        kind,
        Some(
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionRefused
                | ErrorKind::BrokenPipe
                | ErrorKind::TimedOut
                | ErrorKind::UnexpectedEof
        )
    )
}
