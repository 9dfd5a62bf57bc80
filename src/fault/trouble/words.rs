//! The words by which engines, registries, networks and the programs of a build step tell what went wrong.

use super::Trouble;

/// One trouble and what tells it, in small letters.
pub(super) struct Row {
    pub(super) trouble: Trouble,
    /// What tells it wherever it stands: in the output of a build step, too, which may hold any words.
    pub(super) anywhere: &'static [&'static str],
    /// What tells it only in the words of an engine, a registry or a network, which speak of nothing else.
    pub(super) in_answers: &'static [&'static str],
}

impl Row {
    const fn new(trouble: Trouble, anywhere: &'static [&'static str], in_answers: &'static [&'static str]) -> Self {
        Self {
            trouble,
            anywhere,
            in_answers,
        }
    }

    /// Whether one of its words stands in what an engine, a registry or a network said, given in small letters.
    pub(super) fn is_told_by(&self, answer: &str) -> bool {
        self.is_told_in(answer) || self.in_answers.iter().any(|word| answer.contains(word))
    }

    /// Whether one of its words stands in what anybody printed, given in small letters.
    pub(super) fn is_told_in(&self, output: &str) -> bool {
        self.anywhere.iter().any(|word| output.contains(word))
    }
}

/// The first row that fits counts: what lies deeper comes first, and the words of networks come before those of registries,
/// since names of servers and images hold any word.
pub(super) const WORDS: &[Row] = &[
    // Programs of the engine's own, not of an image.
    Row::new(
        Trouble::Runtime,
        &[],
        &["exec: \"runc\"", "exec: \"containerd-shim", "exec: \"docker-init\""],
    ),
    Row::new(
        Trouble::NoProgram,
        &[],
        &[
            "executable file not found",
            "executable file `",
            "exec format error",
            "exec: \"",
            "attempted to invoke a command that was not found",
        ],
    ),
    Row::new(
        Trouble::NoSpace,
        &["no space left on device", "disk quota exceeded"],
        &[],
    ),
    Row::new(
        Trouble::Runtime,
        &[],
        &[
            "oci runtime",
            "runc ",
            "crun: ",
            "cgroup",
            "failed to create shim",
            "failed to start shim",
            "failed to create task",
            "cannot allocate memory",
            "too many open files",
            "resource temporarily unavailable",
        ],
    ),
    Row::new(
        Trouble::Abandoned,
        &[],
        &["no active session", "no such session", "session healthcheck failed"],
    ),
    Row::new(
        Trouble::Conflict,
        &[],
        &[
            "is already in use by container",
            "is already in progress",
            "is marked for removal",
            "is being removed",
            "dead and marked",
        ],
    ),
    Row::new(
        Trouble::ClientUnknown,
        &[],
        &[
            "tls: bad certificate",
            "tls: certificate required",
            "tls: unknown certificate authority",
            "received fatal alert: badcertificate",
            "received fatal alert: certificaterequired",
            "received fatal alert: unknownca",
            "received fatal alert: certificateunknown",
            "received fatal alert: decrypterror",
        ],
    ),
    Row::new(
        Trouble::Expired,
        &[],
        &[
            "certificate has expired",
            "certificate expired",
            "not yet valid",
            "not valid yet",
        ],
    ),
    Row::new(
        Trouble::WrongName,
        &[],
        &[
            "certificate is valid for",
            "certificate is not valid for",
            "certificate not valid for name",
            "doesn't contain any ip sans",
            "cannot validate certificate for",
            "relies on legacy common name",
        ],
    ),
    Row::new(
        Trouble::UnknownAuthority,
        &["certificate verify failed", "certificate_verify_failed"],
        &[
            "unknown authority",
            "unknownissuer",
            "unknown issuer",
            "self-signed certificate",
            "self signed certificate",
            "unable to get local issuer",
            "causedasendentity",
            "failed to verify certificate",
            "invalid peer certificate",
        ],
    ),
    Row::new(
        Trouble::Plain,
        &[],
        &[
            "gave http response to https client",
            "sent an http request to an https server",
            "does not look like a tls handshake",
            "received corrupt message of type invalidcontenttype",
            "wrong version number",
        ],
    ),
    Row::new(
        Trouble::Unresolved,
        &[
            "no such host",
            "server misbehaving",
            "failed to lookup address",
            "name or service not known",
            "name resolution",
            "name does not resolve",
            "could not resolve host",
            "could not resolve '",
            "couldn't resolve host",
            "unable to resolve host",
            "temporary failure resolving",
            "no address associated with hostname",
            "unknownhostexception",
            "eai_again",
            // Not a part of Python's ModuleNotFoundError.
            " enotfound",
            "dns error",
            "dns lookup error",
            "bad address '",
        ],
        &["could not resolve"],
    ),
    Row::new(
        Trouble::Unheard,
        &[
            "connection refused",
            "econnrefused",
            "couldn't connect to server",
            "could not connect to server",
        ],
        &["actively refused"],
    ),
    Row::new(
        Trouble::NoRoute,
        &[
            "no route to host",
            "network is unreachable",
            "host is unreachable",
            "ehostunreach",
            "enetunreach",
        ],
        &[],
    ),
    Row::new(
        Trouble::Busy,
        &["toomanyrequests", "too many requests"],
        &["rate limit", "http 429"],
    ),
    Row::new(
        Trouble::Broken,
        &[
            "internal server error",
            "bad gateway",
            "service unavailable",
            "gateway timeout",
            "temporarily unavailable",
            "temporary failure",
            "proxy error",
            "mirror sync in progress",
        ],
        &[],
    ),
    Row::new(
        Trouble::Foreign,
        &["does the network require authentication"],
        &[
            "invalid character '<'",
            "error parsing http",
            "<html",
            "<!doctype",
            "malformed http response",
            "invalid http version",
            "invalid http header",
            "invalid http status",
        ],
    ),
    Row::new(
        Trouble::Silent,
        &[
            "timed out",
            "time-out",
            "timeout was reached",
            "i/o timeout",
            "handshake timeout",
            "network timeout",
            "aborted due to timeout",
            "operation too slow",
            "client.timeout exceeded",
            "connecttimeout",
            "readtimeout",
            "etimedout",
            "esockettimedout",
            "und_err_connect_timeout",
            "und_err_headers_timeout",
            "und_err_body_timeout",
            "deadline exceeded",
        ],
        &[
            "timeout",
            "deadline has elapsed",
            "awaiting headers",
            "no answer within",
        ],
    ),
    Row::new(
        Trouble::Lost,
        &[
            "connection reset",
            "econnreset",
            "connection aborted",
            "connection broken",
            "connection closed before",
            "connection failed [ip: ",
            "http 000 connection failed",
            "remote end closed connection",
            "remote end hung up unexpectedly",
            "socket hang up",
            "und_err_socket",
            "empty reply from server",
            "transfer closed with",
            "no data received",
            "ssl_error_syscall",
            "connection was non-properly terminated",
            "broken pipe",
            "unexpected eof",
            "early eof",
            "incomplete read",
            "incompleteread",
            "hash sum mismatch",
            "transport is closing",
        ],
        &[
            "connection closed",
            "connection error",
            ": eof",
            "end of file before",
            "before message completed",
            "transport error",
            "error reading a body",
            "error decoding response body",
            "short read",
            "closed network connection",
            "goaway",
            "eof while parsing",
            "unexpected end of",
            "close_notify",
        ],
    ),
    Row::new(
        Trouble::Unauthorized,
        &["unauthorized"],
        &[
            "not authorized",
            "authentication required",
            "authentication failure",
            "no basic auth credentials",
            "incorrect username or password",
        ],
    ),
    Row::new(
        Trouble::Denied,
        &["pull access denied"],
        &["denied", "insufficient_scope", "forbidden"],
    ),
    Row::new(
        Trouble::Missing,
        &["manifest unknown", "manifest for ", "repository does not exist"],
        &[
            "name unknown",
            "not known to registry",
            "not found",
            "no such image",
            "does not exist",
        ],
    ),
];
