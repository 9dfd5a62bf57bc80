//! The ways to an engine, and what is said where there is none.

use std::fs;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::fault::{Explained as _, Kind};

#[test]
fn other_sockets_are_tried_where_dockers_own_is_missing() {
    let runtime = Path::new("/run/user/1000");
    let found = |there: &[&str]| socket(Some(runtime), |path| there.iter().any(|known| path == Path::new(known)));
    let (rootless, podman) = ("/run/user/1000/docker.sock", "/run/user/1000/podman/podman.sock");
    let rootful = "/run/podman/podman.sock";
    assert_eq!(found(&[DEFAULT_SOCKET, rootless]).unwrap(), Path::new(DEFAULT_SOCKET));
    assert_eq!(found(&[podman, rootless]).unwrap(), Path::new(rootless));
    assert_eq!(found(&[rootful, podman]).unwrap(), Path::new(podman));
    assert_eq!(found(&[rootful]).unwrap(), Path::new(rootful));
    assert_eq!(found(&[]), None);
    assert_eq!(socket(None, |_| false), None);
}

#[test]
fn an_address_wins_over_a_context_and_certificates_over_plain_ports() {
    let client = tempfile::tempdir().unwrap();
    let leads = |directions: Directions| way(&directions).map(|found| found.map(|transport| transport.address()));
    let at = |host: Option<&str>, tls| Directions {
        host: host.map(str::to_owned),
        context: Some("nosuch".to_owned()).filter(|_| host.is_some()),
        tls,
        client: Some(client.path().to_owned()),
        ..Directions::default()
    };
    assert_eq!(
        leads(at(Some("tcp://[::1]:2375"), false)).unwrap(),
        Some("tcp://[::1]:2375".to_owned())
    );
    assert_eq!(
        leads(at(Some("ssh://me@h"), true)).unwrap(),
        Some("ssh://me@h".to_owned())
    );
    let found = leads(at(None, false)).unwrap();
    assert!(found.is_none_or(|socket| Path::new(&socket).exists()));
    let missing = leads(at(Some("tcp://h"), true)).unwrap_err();
    assert!(
        missing.to_string().contains("ca.pem: there is no such file"),
        "{missing}"
    );
    assert_eq!(missing.kind(), Kind::Invalid);
    write_authority(client.path(), &Authority::new("mine"));
    assert_eq!(leads(at(Some("h"), true)).unwrap(), Some("tcp://h:2376".to_owned()));
    assert_eq!(leads(at(None, true)).unwrap(), Some("tcp://localhost:2376".to_owned()));
    fs::write(client.path().join("cert.pem"), "").unwrap();
    let cut = leads(at(Some("tcp://h"), true)).unwrap_err().to_string();
    assert!(cut.contains("cert.pem: holds no certificate"), "{cut}");
}

#[tokio::test]
async fn each_way_that_leads_to_no_engine_has_words_and_a_hint_of_its_own() {
    let nowhere = tempfile::tempdir().unwrap();
    let missing = nowhere.path().join("docker.sock");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mine = Authority::new("mine");
    let client = tempfile::tempdir().unwrap();
    write_authority(client.path(), &mine);
    let stranger = Authority::new("stranger").serves("127.0.0.1", 2100, false).await;
    let misnamed = mine.serves("other.example", 2100, false).await;
    let expired = mine.serves("127.0.0.1", 2001, false).await;
    let strict = mine.serves("127.0.0.1", 2100, true).await;
    let page = page().await;
    let mut hints = Vec::new();
    for (host, tls, cause, words) in [
        (missing.display().to_string(), false, Absence::NoSocket, "No such file"),
        (closed.to_string(), false, Absence::Network(Trouble::Unheard), "refused"),
        (
            "tcp://nosuch.invalid:2375".to_owned(),
            false,
            Absence::Network(Trouble::Unresolved),
            "lookup",
        ),
        (
            stranger,
            true,
            Absence::Network(Trouble::UnknownAuthority),
            "UnknownIssuer",
        ),
        (misnamed, true, Absence::Network(Trouble::WrongName), "other.example"),
        (expired, true, Absence::Network(Trouble::Expired), "expired"),
        (
            strict,
            true,
            Absence::Network(Trouble::ClientUnknown),
            "CertificateRequired",
        ),
        (page.clone(), true, Absence::Network(Trouble::Plain), "corrupt message"),
        (page, false, Absence::Network(Trouble::Foreign), ""),
    ] {
        let directions = Directions {
            host: Some(host.clone()),
            tls,
            client: Some(client.path().to_owned()),
            ..Directions::default()
        };
        let error = Docker::connect(&directions).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Temporary, "{error}");
        assert!(error.to_string().contains(words), "{host}: {error}");
        let hint = error.hint().unwrap();
        let EngineError::Unreachable { cause: found, .. } = error else {
            panic!("{host}: {error}");
        };
        assert_eq!(found, cause, "{host}: {error}");
        assert_eq!(hint.contains("install Docker"), cause == Absence::NoSocket, "{hint}");
        assert!(!hints.contains(&hint), "said twice: {hint}");
        hints.push(hint);
    }
}

#[test]
fn who_may_not_open_the_socket_is_not_told_to_install_docker() {
    let transport = Transport::new(Address::Unix(PathBuf::from("/run/x.sock")), "", None);
    let error = transport.absent(&std::io::Error::from_raw_os_error(13));
    assert_eq!(
        error.to_string(),
        "no container engine answers at /run/x.sock: Permission denied (os error 13)"
    );
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("usermod -aG docker") && !hint.contains("install"),
        "{hint}"
    );
}

/// An authority that makes certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// Starts a server whose certificate is for `name` until the first day of `year`; returns its address.
    async fn serves(&self, name: &str, year: i32, strict: bool) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if strict {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(self.certificate.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        format!("tcp://{address}")
    }
}

fn write_authority(directory: &Path, authority: &Authority) {
    fs::write(directory.join("ca.pem"), authority.certificate.pem()).unwrap();
}

/// Starts a server that answers everything with the same page; returns its address.
async fn page() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let body = "<html><body>Log in to this network</body></html>";
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length";
            let _ = stream
                .write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes())
                .await;
        }
    });
    format!("tcp://{address}")
}
