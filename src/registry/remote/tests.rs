//! What a registry's answers, and those of what stands in its place, come to.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::fault::{Explained as _, Kind};

#[test]
fn a_bundle_is_split_into_its_certificates_and_comments_are_dropped() {
    let one = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----";
    let bundle = format!("# first\n{one}\n# second\n{one}\n-----BEGIN CERTIFICATE-----\ncut off");
    let found = certificates(bundle.as_bytes());
    assert_eq!(found.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>(), [[0, 1, 2]; 2]);
}

/// Starts a server that answers every request with `head` (its status and headers) and `body`, of which it claims a length.
async fn answering(head: &str, body: &str, claimed: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {claimed}\r\n\r\n{body}");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address.to_string()
}

/// What `host` says of an image.
async fn asked(host: &str) -> Result<Option<Manifest>, RegistryError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let remote = Remote::new(&host.parse().unwrap(), None, None)?.pausing(&[]);
    remote.manifest(&format!("{host}/hub/m:1").parse().unwrap()).await
}

#[tokio::test]
async fn what_is_no_registrys_answer_is_temporary_and_what_is_one_refuses() {
    let json = "Content-Type: application/json";
    let html = "Content-Type: text/html";
    let manifest = "Content-Type: application/vnd.oci.image.manifest.v1+json";
    let code = |code: &str| format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"no\"}}]}}");
    let page = "<html><body>Log in to this network</body></html>".to_owned();
    for (head, body, missing, trouble) in [
        (
            format!("429 Too Many Requests\r\n{json}"),
            code("TOOMANYREQUESTS"),
            0,
            Trouble::Busy,
        ),
        (
            format!("429 Too Many Requests\r\n{html}"),
            page.clone(),
            0,
            Trouble::Busy,
        ),
        (
            format!("503 Service Unavailable\r\n{html}"),
            page.clone(),
            0,
            Trouble::Broken,
        ),
        (
            format!("500 Internal Server Error\r\n{json}"),
            code("UNKNOWN"),
            0,
            Trouble::Broken,
        ),
        (
            format!("504 Gateway Timeout\r\n{html}"),
            page.clone(),
            0,
            Trouble::Silent,
        ),
        (format!("200 OK\r\n{html}"), page.clone(), 0, Trouble::Foreign),
        (format!("403 Forbidden\r\n{html}"), page.clone(), 0, Trouble::Foreign),
        (format!("404 Not Found\r\n{html}"), page.clone(), 0, Trouble::Foreign),
        (
            format!("407 Proxy Authentication Required\r\n{html}"),
            page,
            0,
            Trouble::Foreign,
        ),
        (
            format!("200 OK\r\n{manifest}"),
            "{\"schemaVersion\": 2, ".to_owned(),
            5000,
            Trouble::Lost,
        ),
        (
            format!("200 OK\r\n{manifest}"),
            "{\"schemaVersion\": 2, ".to_owned(),
            0,
            Trouble::Lost,
        ),
        (format!("200 OK\r\n{manifest}"), "[]".to_owned(), 0, Trouble::Foreign),
        (
            format!("401 Unauthorized\r\n{json}"),
            code("UNAUTHORIZED"),
            0,
            Trouble::Unauthorized,
        ),
        (format!("403 Forbidden\r\n{json}"), code("DENIED"), 0, Trouble::Denied),
        (
            format!("400 Bad Request\r\n{json}"),
            code("UNSUPPORTED"),
            0,
            Trouble::Refusal,
        ),
    ] {
        let host = answering(&head, &body, body.len() + missing).await;
        let error = asked(&host).await.unwrap_err();
        assert_eq!(error.trouble, trouble, "{head} {body}: {error}");
        let refuses = [Trouble::Unauthorized, Trouble::Denied, Trouble::Refusal].contains(&trouble);
        let kind = if refuses { Kind::Refused } else { Kind::Temporary };
        assert_eq!(error.kind(), kind, "{error}");
        let login = error.hint().is_some_and(|hint| hint.contains("docker login"));
        assert_eq!(login, trouble == Trouble::Unauthorized, "{error}");
    }
    let unknown = code("MANIFEST_UNKNOWN");
    let missing = answering(&format!("404 Not Found\r\n{json}"), &unknown, unknown.len()).await;
    assert_eq!(asked(&missing).await.unwrap(), None);
}

#[tokio::test]
async fn names_ports_and_certificates_that_fail_are_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (host, trouble, words) in [
        (closed.to_string(), Trouble::Unheard, "Connection refused"),
        ("nosuch.invalid".to_owned(), Trouble::Unresolved, "lookup"),
    ] {
        let error = asked(&host).await.unwrap_err();
        assert_eq!(error.trouble, trouble, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.hint().unwrap().contains("REGISTRY"));
    }
}
