//! JupyterLab, as a browser finds it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use super::mission;
use crate::workshop::{Workshop, containers};

/// The head of the answer to a request for `path`.
fn asked(port: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn jupyterlab_answers_at_the_url_that_is_printed_and_goes_when_it_is_interrupted() {
    let repository = mission("lab");
    // Somebody else has the first port.
    let _taken = std::net::TcpListener::bind("127.0.0.1:8888");
    let mut call = repository.command(&["lab"]);
    let mut child = call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    let rest = url.trim().strip_prefix("http://127.0.0.1:").unwrap();
    let (port, path) = rest.split_once('/').unwrap();
    assert_ne!(port, "8888");
    let page = asked(port, &format!("/{path}"));
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains("jupyter-config-data"),
        "{page}"
    );
    let without = asked(port, "/api/contents");
    assert!(without.starts_with("HTTP/1.1 403"), "{without}");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    assert_eq!(containers("lab"), "");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let repository = Workshop::new();
    let dockerfile = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCMD [\"sh\", \"-c\", \"echo broken >&2; exit 9\"]\n";
    repository.write("missions/nolab/Dockerfile", dockerfile);
    let ended = repository.floe(&["lab", "nolab"]).expect(3);
    ended.says(&["the server ended with exit code 9; it said last:\nbroken"]);
    assert_eq!(containers("nolab"), "");
}
