//! The words by which engines, registries and networks tell what went wrong.

use super::Trouble;

/// The words that tell a trouble, in small letters. The first row that fits counts: what lies deeper comes first, and the
/// words of networks come before those of registries, since names of servers and images hold any word.
pub(super) const WORDS: &[(Trouble, &[&str])] = &[
    // Programs of the engine's own, not of an image.
    (
        Trouble::Runtime,
        &["exec: \"runc\"", "exec: \"containerd-shim", "exec: \"docker-init\""],
    ),
    (
        Trouble::NoProgram,
        &[
            "executable file not found",
            "executable file `",
            "exec format error",
            "exec: \"",
            "attempted to invoke a command that was not found",
        ],
    ),
    (Trouble::NoSpace, &["no space left on device", "disk quota exceeded"]),
    (
        Trouble::Runtime,
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
    (
        Trouble::Abandoned,
        &["no active session", "no such session", "session healthcheck failed"],
    ),
    (
        Trouble::Conflict,
        &[
            "is already in use by container",
            "is already in progress",
            "is marked for removal",
            "is being removed",
            "dead and marked",
        ],
    ),
    (
        Trouble::ClientUnknown,
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
    (
        Trouble::Expired,
        &[
            "certificate has expired",
            "certificate expired",
            "not yet valid",
            "not valid yet",
        ],
    ),
    (
        Trouble::WrongName,
        &[
            "certificate is valid for",
            "certificate is not valid for",
            "certificate not valid for name",
            "doesn't contain any ip sans",
            "cannot validate certificate for",
            "relies on legacy common name",
        ],
    ),
    (
        Trouble::UnknownAuthority,
        &[
            "unknown authority",
            "unknownissuer",
            "unknown issuer",
            "self-signed certificate",
            "self signed certificate",
            "unable to get local issuer",
            "certificate verify failed",
            "causedasendentity",
            "failed to verify certificate",
            "invalid peer certificate",
        ],
    ),
    (
        Trouble::Plain,
        &[
            "gave http response to https client",
            "sent an http request to an https server",
            "does not look like a tls handshake",
            "received corrupt message of type invalidcontenttype",
            "wrong version number",
        ],
    ),
    (
        Trouble::Unresolved,
        &[
            "no such host",
            "server misbehaving",
            "failed to lookup address",
            "name or service not known",
            "name resolution",
            "could not resolve",
            "couldn't resolve host",
            "temporary failure resolving",
            "dns error",
        ],
    ),
    (Trouble::Unheard, &["connection refused", "actively refused"]),
    (
        Trouble::NoRoute,
        &["no route to host", "network is unreachable", "host is unreachable"],
    ),
    (
        Trouble::Busy,
        &["toomanyrequests", "too many requests", "rate limit", "http 429"],
    ),
    (
        Trouble::Broken,
        &[
            "internal server error",
            "bad gateway",
            "service unavailable",
            "gateway timeout",
            "temporarily unavailable",
        ],
    ),
    (
        Trouble::Foreign,
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
    (
        Trouble::Silent,
        &[
            "timed out",
            "timeout",
            "time-out",
            "deadline exceeded",
            "deadline has elapsed",
            "awaiting headers",
            "no answer within",
        ],
    ),
    (
        Trouble::Lost,
        &[
            "connection reset",
            "connection aborted",
            "connection closed",
            "connection error",
            "broken pipe",
            "unexpected eof",
            ": eof",
            "end of file before",
            "before message completed",
            "transport is closing",
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
    (
        Trouble::Unauthorized,
        &[
            "unauthorized",
            "not authorized",
            "authentication required",
            "authentication failure",
            "no basic auth credentials",
            "incorrect username or password",
        ],
    ),
    (Trouble::Denied, &["denied", "insufficient_scope", "forbidden"]),
    (
        Trouble::Missing,
        &[
            "manifest unknown",
            "name unknown",
            "not known to registry",
            "not found",
            "no such image",
            "does not exist",
        ],
    ),
];
