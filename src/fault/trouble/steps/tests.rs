//! What failed steps have printed, and what it tells.

use super::*;

#[test]
fn what_a_failed_step_has_printed_tells_what_may_pass_by_its_last_word_of_it() {
    for (words, trouble) in [
        (
            "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<pip._vendor.\
             urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection \
             refused')': /simple/uv/\nERROR: Could not find a version that satisfies the requirement uv (from versions: \
             none)\nERROR: No matching distribution found for uv",
            Some(Trouble::Unheard),
        ),
        (
            "W: connection timed out\nE: Failed to fetch x  Temporary failure resolving 'deb.example.org'\nE: Some index files \
             failed to download.",
            Some(Trouble::Unresolved),
        ),
        ("curl: (22) The requested URL returned error: 429", Some(Trouble::Busy)),
        (
            "curl: (22) The requested URL returned error: 503\nmake: *** [all] Error 1",
            Some(Trouble::Broken),
        ),
        (
            "fatal: unable to access 'https://git.example.org/x/': Failed to connect to git.example.org port 443 after 5 ms: \
             Couldn't connect to server",
            Some(Trouble::Unheard),
        ),
        (
            "urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>",
            Some(Trouble::Unresolved),
        ),
        (
            "urllib.error.URLError: <urlopen error [Errno -5] No address associated with hostname>",
            Some(Trouble::Unresolved),
        ),
        (
            "wget: unable to resolve host address 'data.example.org'",
            Some(Trouble::Unresolved),
        ),
        (
            "npm error code EAI_AGAIN\nnpm error errno EAI_AGAIN\nnpm error request to https://npm.example.org/x failed",
            Some(Trouble::Unresolved),
        ),
        (
            "npm error FetchError: request to https://npm.example.org/x failed, reason: connect ECONNREFUSED 192.0.2.1:443",
            Some(Trouble::Unheard),
        ),
        (
            "CondaHTTPError: HTTP 000 CONNECTION FAILED for url <https://conda.example.org/noarch/repodata.json>",
            Some(Trouble::Lost),
        ),
        ("E: Failed to fetch x  Hash Sum mismatch", Some(Trouble::Lost)),
        ("WARNING: connection refused\nNo solution found: unsatisfiable", None),
        ("error: command 'gcc' failed", None),
    ] {
        assert_eq!(Trouble::passing(words), trouble, "{words}");
    }
}

/// What programs print of a server that is not there, or fails them; each was seen, at a server that fails so.
const PROGRAMS: &[(&str, Trouble)] = &[
    (
        "npm error code ENOTFOUND\nnpm error syscall getaddrinfo\nnpm error network This is a problem related to network \
         connectivity.",
        Trouble::Unresolved,
    ),
    (
        "TypeError: fetch failed\n  [cause]: Error: getaddrinfo ENOTFOUND data.example.org",
        Trouble::Unresolved,
    ),
    ("curl: (52) Empty reply from server", Trouble::Lost),
    (
        "fatal: unable to access 'https://git.example.org/x/': transfer closed with 999000 bytes remaining to read",
        Trouble::Lost,
    ),
    (
        "curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to data.example.org:443",
        Trouble::Lost,
    ),
    ("No data received.\nGiving up.", Trouble::Lost),
    (
        "GnuTLS: The TLS connection was non-properly terminated.\nUnable to establish SSL connection.",
        Trouble::Lost,
    ),
    ("Error: socket hang up", Trouble::Lost),
    (
        "TypeError: fetch failed\n    code: 'UND_ERR_SOCKET',\n    socket: {\n      timeout: undefined,\n    }",
        Trouble::Lost,
    ),
    (
        "E: Failed to fetch http://deb.example.org/x.deb  Connection failed [IP: 192.0.2.1 80]",
        Trouble::Lost,
    ),
    (
        "E: Failed to fetch http://deb.example.org/x.deb  Error reading from server. Remote end closed connection [IP: \
         192.0.2.1 80]",
        Trouble::Lost,
    ),
    (
        "requests.exceptions.ChunkedEncodingError: ('Connection broken: IncompleteRead(2 bytes read, 3 more expected)')",
        Trouble::Lost,
    ),
    (
        "fatal: unable to access 'https://git.example.org/x/': Operation too slow. Less than 1 bytes/sec transferred the \
         last 3 seconds",
        Trouble::Silent,
    ),
    (
        "npm error network timeout at: https://npm.example.org/x",
        Trouble::Silent,
    ),
    (
        "DOMException [TimeoutError]: The operation was aborted due to timeout",
        Trouble::Silent,
    ),
    (
        "npm error 502 Proxy Error - GET https://npm.example.org/x",
        Trouble::Broken,
    ),
    (
        "E: Failed to fetch http://deb.example.org/x.deb  502  Proxy Error [IP: 192.0.2.1 80]",
        Trouble::Broken,
    ),
];

/// What other programs print of the same, by their own sources.
const ELSEWHERE: &[(&str, Trouble)] = &[
    (
        "ERROR: fetching https://alpine.example.org/x: DNS lookup error",
        Trouble::Unresolved,
    ),
    ("getaddrinfo: Name does not resolve", Trouble::Unresolved),
    ("wget: bad address 'data.example.org'", Trouble::Unresolved),
    ("java.net.UnknownHostException: repo.example.org", Trouble::Unresolved),
    ("connect EHOSTUNREACH 192.0.2.1:443", Trouble::NoRoute),
    ("connect ENETUNREACH 192.0.2.1:443", Trouble::NoRoute),
    ("Host is unreachable", Trouble::NoRoute),
    ("[28] Timeout was reached", Trouble::Silent),
    ("error An unexpected error occurred: ESOCKETTIMEDOUT", Trouble::Silent),
    ("code: 'UND_ERR_CONNECT_TIMEOUT'", Trouble::Silent),
    ("code: 'UND_ERR_HEADERS_TIMEOUT'", Trouble::Silent),
    ("code: 'UND_ERR_BODY_TIMEOUT'", Trouble::Silent),
    (
        "fatal: the remote end hung up unexpectedly\nfatal: early EOF\nfatal: index-pack failed",
        Trouble::Lost,
    ),
    ("fatal: the remote end hung up unexpectedly", Trouble::Lost),
    (
        "E: Failed to fetch x  File has unexpected size (9 != 8). Mirror sync in progress?",
        Trouble::Broken,
    ),
    (
        "E: Clearsigned file isn't valid, got 'NODATA' (does the network require authentication?)",
        Trouble::Foreign,
    ),
];

#[test]
fn what_programs_say_of_servers_that_fail_them_may_pass() {
    for (words, trouble) in [PROGRAMS, ELSEWHERE].concat() {
        assert_eq!(Trouble::passing(words), Some(trouble), "{words}");
    }
}

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
        assert!(Trouble::passing(text).is_some(), "{text:?} was called lasting");
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
        "ModuleNotFoundError: No module named 'numpy'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'x'",
        "npm error Could not resolve dependency:\nnpm error peer react@\"^17\" from x@1.0.0",
        "fork: cannot allocate memory",
    ] {
        assert_eq!(Trouble::passing(text), None, "{text:?}");
    }
}
