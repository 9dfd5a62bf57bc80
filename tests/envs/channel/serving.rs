//! The server answers as a channel does, and its faults are what they are called.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use world::channel::server::{Fault, Server};

const TEXT: &[u8] = b"twelve bytes";

/// An answer as it came, or how the connection ended before one.
struct Answer {
    head: String,
    body: Vec<u8>,
}

#[test]
fn files_are_answered_and_requests_are_kept() {
    let (_directory, server) = served();
    let answer = ask(&server, "GET", "/noarch/file?query", "").unwrap();
    assert_eq!((answer.status(), answer.body.as_slice()), (200, TEXT));
    let head = ask(&server, "HEAD", "/noarch/file", "").unwrap();
    assert_eq!((head.status(), head.length(), head.body.len()), (200, Some(12), 0));
    assert_eq!(ask(&server, "GET", "/noarch/absent", "").unwrap().status(), 404);
    assert_eq!(
        ask(&server, "GET", "/noarch/../../etc/passwd", "").unwrap().status(),
        404
    );
    let tag = answer.header("ETag").unwrap();
    let again = ask(&server, "GET", "/noarch/file", &format!("If-None-Match: {tag}\r\n")).unwrap();
    assert_eq!((again.status(), again.body.len()), (304, 0));

    let seen = server.requests();
    let seen = seen
        .iter()
        .map(|seen| (seen.method.as_str(), seen.path.as_str(), seen.status));
    let expected = [
        ("GET", "/noarch/file", 200),
        ("HEAD", "/noarch/file", 200),
        ("GET", "/noarch/absent", 404),
        ("GET", "/noarch/../../etc/passwd", 404),
        ("GET", "/noarch/file", 304),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    server.forget_requests();
    assert_eq!(server.requests(), []);
}

#[test]
fn a_mount_serves_another_directory_below_its_name() {
    let (directory, server) = served();
    server.mount("conda-forge", directory.path());
    assert_eq!(ask(&server, "GET", "/conda-forge/noarch/file", "").unwrap().body, TEXT);
    assert_eq!(
        ask(&server, "GET", "/conda-forge-more/noarch/file", "")
            .unwrap()
            .status(),
        404
    );
    assert_eq!(ask(&server, "GET", "/noarch/file", "").unwrap().body, TEXT);
}

#[test]
fn a_server_on_every_interface_answers_on_loopback_too() {
    let directory = directory();
    let server = Server::start_everywhere(directory.path());
    assert_eq!(ask(&server, "GET", "/noarch/file", "").unwrap().body, TEXT);
}

#[test]
fn a_fault_befalls_the_paths_it_is_for_as_often_as_it_is_to() {
    let (_directory, server) = served();
    server.fail_first(2, "noarch/fi", Fault::Status(503));
    let status = |path| ask(&server, "GET", path, "").unwrap().status();
    assert_eq!([status("/noarch/file"), status("/noarch/other")], [503, 200]);
    assert_eq!([status("/noarch/file"), status("/noarch/file")], [503, 200]);
    server.fail("file", Fault::Status(429));
    assert_eq!([status("/noarch/file"), status("/noarch/file")], [429, 429]);
    server.heal();
    assert_eq!(status("/noarch/file"), 200);
}

#[test]
fn bodies_are_cut_or_changed() {
    let (_directory, server) = served();
    server.fail_first(1, "file", Fault::Truncate(5));
    let answer = ask(&server, "GET", "/noarch/file", "").unwrap();
    assert_eq!((answer.length(), answer.body.as_slice()), (Some(12), &TEXT[..5]));
    server.fail_first(1, "file", Fault::Corrupt);
    let answer = ask(&server, "GET", "/noarch/file", "").unwrap();
    let differing = answer.body.iter().zip(TEXT).filter(|(one, other)| one != other).count();
    assert_eq!((answer.status(), answer.body.len(), differing), (200, 12, 1));
}

#[test]
fn answers_come_late_or_never() {
    let (_directory, server) = served();
    server.fail_first(1, "file", Fault::Delay(Duration::from_millis(300)));
    let asked = Instant::now();
    assert_eq!(ask(&server, "GET", "/noarch/file", "").unwrap().body, TEXT);
    assert!(asked.elapsed() >= Duration::from_millis(300));
    server.fail_first(1, "file", Fault::Reset);
    assert_eq!(
        ask(&server, "GET", "/noarch/file", "").err(),
        Some(ErrorKind::ConnectionReset)
    );
    server.fail("file", Fault::Hang);
    let asked = Instant::now();
    assert_eq!(
        ask(&server, "GET", "/noarch/file", "").err(),
        Some(ErrorKind::WouldBlock)
    );
    assert!(asked.elapsed() >= PATIENCE);
    let silent = server.requests().iter().filter(|request| request.status == 0).count();
    assert_eq!(silent, 2);
}

#[test]
fn credentials_and_tokens_open_what_they_guard() {
    let (_directory, server) = served();
    server.require_credentials("user:secret");
    let refused = ask(&server, "GET", "/noarch/file", "").unwrap();
    assert_eq!(refused.status(), 401);
    assert!(refused.header("WWW-Authenticate").is_some());
    // dXNlcjpzZWNyZXQ= is user:secret.
    let authorization = "authorization: Basic dXNlcjpzZWNyZXQ=\r\n";
    assert_eq!(ask(&server, "GET", "/noarch/file", authorization).unwrap().body, TEXT);
    assert_eq!(server.requests()[1].credentials.as_deref(), Some("user:secret"));
    let port = server.port();
    assert_eq!(
        server.url_with("user:secret"),
        format!("http://user:secret@127.0.0.1:{port}")
    );

    let (_directory, server) = served();
    server.require_token("to-ken");
    let status = |path| ask(&server, "GET", path, "").unwrap().status();
    assert_eq!([status("/noarch/file"), status("/t/other/noarch/file")], [403, 403]);
    assert_eq!(
        [status("/t/to-ken/noarch/file"), status("/t/to-ken/absent")],
        [200, 404]
    );
}

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("noarch")).unwrap();
    fs::write(directory.path().join("noarch/file"), TEXT).unwrap();
    fs::write(directory.path().join("noarch/other"), TEXT).unwrap();
    directory
}

fn served() -> (tempfile::TempDir, Server) {
    let directory = directory();
    let server = Server::start(directory.path());
    (directory, server)
}

/// Sends one request with these further header lines.
fn ask(server: &Server, method: &str, path: &str, headers: &str) -> Result<Answer, ErrorKind> {
    let address = server.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(|error| error.kind())?;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let body = bytes[end + 4..].to_vec();
    Ok(Answer { head, body })
}

impl Answer {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn length(&self) -> Option<usize> {
        self.header("Content-Length")?.parse().ok()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}
