//! What the words of engines, registries and networks tell. Those of Docker 20.10 and 26.1, and of Podman 4.3 and
//! 5.4, were seen, each against a server that answers so.

use super::*;

/// Docker, which pushes to or pulls from a registry.
const REGISTRIES: &[(&str, Trouble)] = &[
    ("received unexpected HTTP status: 200 OK", Trouble::Foreign),
    (
        "error unmarshalling content: invalid character '<' looking for beginning of value",
        Trouble::Foreign,
    ),
    (
        "error parsing HTTP 403 response body: invalid character '<' looking for beginning of value: \
             \"<html><body>Blocked by proxy</body></html>\"",
        Trouble::Foreign,
    ),
    ("received unexpected HTTP status: 502 Bad Gateway", Trouble::Broken),
    ("received unexpected HTTP status: 521", Trouble::Broken),
    ("toomanyrequests: You have reached your pull rate limit.", Trouble::Busy),
    (
        "error parsing HTTP 429 response body: invalid character '<' looking for beginning of value: \
             \"<html>slow down</html>\"",
        Trouble::Busy,
    ),
    ("no basic auth credentials", Trouble::Unauthorized),
    ("unauthorized: authentication required", Trouble::Unauthorized),
    ("denied: requested access to the resource is denied", Trouble::Denied),
    ("name unknown", Trouble::Missing),
    (
        "manifest for a/b:c not found: manifest unknown: manifest unknown",
        Trouble::Missing,
    ),
    ("unexpected EOF", Trouble::Lost),
    ("Get \"http://localhost:7111/v2/\": EOF", Trouble::Lost),
    (
        "Get \"https://172.17.0.1:7113/v2/\": x509: certificate signed by unknown authority",
        Trouble::UnknownAuthority,
    ),
    (
        "failed to do request: Head \"https://r.example/v2/m/manifests/1\": tls: failed to verify certificate: x509: \
             certificate signed by unknown authority",
        Trouble::UnknownAuthority,
    ),
    (
        "x509: cannot validate certificate for 172.17.0.1 because it doesn't contain any IP SANs",
        Trouble::WrongName,
    ),
    (
        "tls: failed to verify certificate: x509: certificate is valid for other.example, not r.example",
        Trouble::WrongName,
    ),
    (
        "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time \
             2026-11-28T17:00:00Z is after 2025-01-01T00:00:00Z",
        Trouble::Expired,
    ),
    ("tls: first record does not look like a TLS handshake", Trouble::Plain),
    ("http: server gave HTTP response to HTTPS client", Trouble::Plain),
    (
        "dial tcp: lookup denied.example on 10.255.255.53:53: no such host",
        Trouble::Unresolved,
    ),
    (
        "Get \"https://unauthorized.example/v2/\": dial tcp 192.0.2.1:443: connect: connection refused",
        Trouble::Unheard,
    ),
    ("dial tcp 192.0.2.1:443: i/o timeout", Trouble::Silent),
    ("dial tcp 192.0.2.1:443: connect: no route to host", Trouble::NoRoute),
];

/// Docker or Podman, which start a container or build.
const CONTAINERS: &[(&str, Trouble)] = &[
    (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: \
             exec: \"nosuch\": executable file not found in $PATH: unknown",
        Trouble::NoProgram,
    ),
    (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: \
             unable to apply cgroup configuration: mkdir /sys/fs/cgroup/pids/docker: permission denied: unknown",
        Trouble::Runtime,
    ),
    (
        "failed to create shim task: exec: \"runc\": executable file not found in $PATH: unknown",
        Trouble::Runtime,
    ),
    (
        "runc: runc create failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH: \
             OCI runtime attempted to invoke a command that was not found",
        Trouble::NoProgram,
    ),
    (
        "crun: executable file `nosuch` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a \
             command that was not found",
        Trouble::NoProgram,
    ),
    (
        "crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied",
        Trouble::Runtime,
    ),
    (
        "mkdir /var/lib/docker/overlay2/1-init: no space left on device",
        Trouble::NoSpace,
    ),
    (
        "Conflict. The container name \"/x\" is already in use by container \"1\".",
        Trouble::Conflict,
    ),
    ("no active sessions", Trouble::Abandoned),
];

/// floe's own connections.
const CONNECTIONS: &[(&str, Trouble)] = &[
    ("Connection refused (os error 111)", Trouble::Unheard),
    (
        "failed to lookup address information: Name or service not known",
        Trouble::Unresolved,
    ),
    ("invalid peer certificate: UnknownIssuer", Trouble::UnknownAuthority),
    (
        "invalid peer certificate: certificate not valid for name \"localhost\"; certificate is only valid for \
             DnsName(\"x\")",
        Trouble::WrongName,
    ),
    (
        "invalid peer certificate: certificate expired: verification time 2 (UNIX), but certificate is not valid after 1",
        Trouble::Expired,
    ),
    ("received fatal alert: CertificateRequired", Trouble::ClientUnknown),
    ("received corrupt message of type InvalidContentType", Trouble::Plain),
    ("connection closed before message completed", Trouble::Lost),
    ("invalid HTTP version parsed", Trouble::Foreign),
];

#[test]
fn the_words_of_engines_and_networks_tell_what_went_wrong() {
    for (words, trouble) in [REGISTRIES, CONTAINERS, CONNECTIONS].concat() {
        assert_eq!(Trouble::of(words), Some(trouble), "{words}");
    }
    assert_eq!(Trouble::of("manifest invalid: blob upload invalid"), None);
}

#[test]
fn what_stands_before_a_proper_answer_is_temporary_and_only_an_answer_refuses() {
    let all = WORDS.iter().map(|row| row.trouble);
    let mut refusals = all
        .filter(|trouble| trouble.kind() != Kind::Temporary)
        .collect::<Vec<_>>();
    refusals.sort_unstable();
    refusals.dedup();
    assert_eq!(
        refusals,
        [
            Trouble::Unauthorized,
            Trouble::Denied,
            Trouble::Missing,
            Trouble::NoProgram
        ]
    );
    // What nobody has mended is there at the next attempt, too.
    for lasting in [
        Trouble::UnknownAuthority,
        Trouble::Expired,
        Trouble::NoSpace,
        Trouble::Runtime,
    ] {
        assert!(!lasting.may_pass(), "{lasting:?}");
    }
}

#[test]
fn each_trouble_has_a_hint_of_its_own() {
    let mut hints = WORDS
        .iter()
        .map(|row| (row.trouble, row.trouble.hint().unwrap()))
        .collect::<Vec<_>>();
    hints.sort_unstable();
    hints.dedup();
    let troubles = hints.len();
    hints.sort_unstable_by_key(|(_, hint)| *hint);
    hints.dedup_by_key(|(_, hint)| *hint);
    assert_eq!(hints.len(), troubles);
}

#[test]
fn what_podman_does_wrong_leads_to_no_log_of_dockers() {
    for trouble in [Trouble::Runtime, Trouble::Engine] {
        let told = trouble.of_podman();
        let hint = told.hint().unwrap();
        assert!(hint.contains("`podman run") && !hint.contains("docker"), "{hint}");
        assert_eq!((told.kind(), told.may_pass()), (trouble.kind(), trouble.may_pass()));
        assert!(told.is_of_surroundings());
    }
    assert_eq!(Trouble::Silent.of_podman(), Trouble::Silent);
}

#[test]
fn an_error_is_told_with_what_lies_behind_it() {
    #[derive(Debug, thiserror::Error)]
    #[error("asking failed")]
    struct Asked(#[source] std::io::Error);
    let inner = std::io::Error::other("invalid peer certificate: UnknownIssuer");
    assert_eq!(
        words_of(&Asked(inner)),
        "asking failed: invalid peer certificate: UnknownIssuer"
    );
}
