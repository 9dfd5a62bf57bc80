//! Faults that may pass by themselves, and those that will not: by the words of those who report them, by the status of
//! an answer, and by the kind of an error.

use std::error::Error;
use std::io::ErrorKind;

/// Whether the fault that `text` describes may be gone at the next attempt.
///
/// The text is an error message, or the last lines that a failed step printed. What names a lasting cause (an
/// unsatisfiable specification, a missing package, a full disk) decides against what names a passing one, since tools
/// also report the attempts that they mended themselves. A text that names neither is a lasting fault.
#[must_use]
pub fn is_temporary(text: &str) -> bool {
    let text = text.to_lowercase();
    let names = |words: &[&str]| words.iter().any(|word| text.contains(word));
    !names(LASTING) && !lacks_a_known_version(&text) && (names(PASSING) || passing_status(&text).is_some())
}

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

/// Words of faults that another attempt meets again.
const LASTING: &[&str] = &[
    "no space left on device",
    "disk quota exceeded",
    "dockerfile parse error",
    "unknown instruction",
    "unsatisfiable",
    "nothing provides",
    "packagesnotfounderror",
    "no solution found when resolving",
    "cannot solve the request",
    "resolutionimpossible",
    "unable to locate package",
    "404 not found",
    "404  not found",
    "http error 404",
    "error: 404",
    "manifest unknown",
    "manifest for ",
    "pull access denied",
    "repository does not exist",
    "unauthorized",
    "certificate verify failed",
    "certificate_verify_failed",
    "x509:",
    "error: command 'gcc' failed",
    "error: command 'g++' failed",
];

/// Words of faults of networks and of busy servers.
const PASSING: &[&str] = &[
    "temporary failure",
    "name resolution",
    "could not resolve host",
    "couldn't resolve host",
    "could not resolve '",
    "unable to resolve host",
    "name or service not known",
    "no address associated with hostname",
    "eai_again",
    "no such host",
    "server misbehaving",
    "dns error",
    "failed to lookup address",
    "i/o timeout",
    "timed out",
    "time-out",
    "handshake timeout",
    "gateway timeout",
    "connecttimeout",
    "readtimeout",
    "client.timeout exceeded",
    "deadline exceeded",
    "connection reset",
    "connection refused",
    "connection aborted",
    "connection broken",
    "couldn't connect to server",
    "could not connect to server",
    "http 000 connection failed",
    "econnrefused",
    "econnreset",
    "etimedout",
    "connection closed before",
    "broken pipe",
    "remote end closed connection",
    "network is unreachable",
    "no route to host",
    "unexpected eof",
    "incomplete read",
    "incompleteread",
    "too many requests",
    "toomanyrequests",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "temporarily unavailable",
    "hash sum mismatch",
    "transport is closing",
];

/// pip names the versions that it found. Where it found some, the index was reached and the request is at fault; where
/// it found none, the lines before say why.
fn lacks_a_known_version(text: &str) -> bool {
    text.split("(from versions: ")
        .skip(1)
        .any(|found| !found.starts_with("none"))
}

/// A status that may be gone at the next attempt. A number is one only right after a word that makes it one: `HTTP/1.1 503`,
/// `returned error: 429`.
pub(super) fn passing_status(text: &str) -> Option<u16> {
    let words = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>();
    words.iter().enumerate().find_map(|(at, word)| {
        // The digits of HTTP's own version stand between.
        let before = words[..at].iter().rev().find(|word| word.parse::<u8>().is_err())?;
        let makes_one = matches!(*before, "http" | "status" | "error" | "code" | "response");
        let status = word.parse().ok().filter(|_| word.len() == 3 && makes_one)?;
        is_temporary_status(status).then_some(status)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_networks_and_busy_servers_are_temporary() {
        for text in [
            "dial tcp: lookup registry.example.org: no such host",
            "Get \"https://registry.example.org/v2/\": net/http: TLS handshake timeout",
            "dial tcp 192.0.2.1:443: i/o timeout",
            "dial tcp 127.0.0.1:1: connect: connection refused",
            "read tcp 10.0.0.2:41234->10.0.0.1:443: read: connection reset by peer",
            "toomanyrequests: You have reached your pull rate limit",
            "received unexpected HTTP status: 503 Service Unavailable",
            "unexpected status code 502",
            "curl: (22) The requested URL returned error: 429",
            "curl: (6) Could not resolve host: example.org",
            "HTTP/1.1 504",
            "Temporary failure resolving 'deb.example.org'",
            "E: Failed to fetch http://deb.example.org/x.deb  Hash Sum mismatch",
            "error: Failed to fetch: `https://pypi.example.org/simple/numpy/`\n  Caused by: dns error",
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError: [Errno -3] Temporary \
             failure in name resolution'\nERROR: Could not find a version that satisfies the requirement numpy (from \
             versions: none)\nERROR: No matching distribution found for numpy",
        ] {
            assert!(is_temporary(text), "{text:?} was called lasting");
        }
    }

    #[test]
    fn faults_of_the_definition_and_of_the_disk_are_lasting() {
        for text in [
            "",
            "executor failed running [/bin/sh -c make]: exit code: 2",
            "dockerfile parse error line 3: unknown instruction: FRO",
            "write /var/lib/x: no space left on device",
            "ERROR: Could not find a version that satisfies the requirement numpy==99 (from versions: 1.0, 2.0)",
            "ERROR: Could not find a version that satisfies the requirement nosuch (from versions: none)",
            "WARNING: Retrying after connection broken by 'ReadTimeoutError'\nERROR: Could not find a version that \
             satisfies the requirement numpy==99 (from versions: 1.0, 2.0)",
            "E: Failed to fetch http://deb.example.org/x.deb  404  Not Found",
            "E: Unable to locate package nosuch",
            "LibMambaUnsatisfiableError: Encountered problems while solving",
            "No solution found when resolving dependencies",
            "x.c:503:12: error: 'timeout' undeclared",
            "x.c:12:503: error: expected ';'",
            "make: *** [Makefile:500: all] Error 1",
            "manifest for example.org/a:b not found: manifest unknown",
            "unauthorized: authentication required",
            "collected 503 items",
            "src/http.c:503: undeclared",
        ] {
            assert!(!is_temporary(text), "{text:?} was called temporary");
        }
    }
}
