//! TLS to an engine, with the certificates of Docker's own client: `ca.pem`, and `cert.pem` with `key.pem` for engines that
//! want to know who asks.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::engine::EngineError;

/// What a client says and believes: the authority of `ca.pem` alone, or of the public ones where there is no directory of
/// certificates. With `unverified`, the server's certificate is taken as it comes.
pub(super) fn config(directory: Option<&Path>, unverified: bool) -> Result<ClientConfig, EngineError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(Path::new("TLS"), error.to_string()))?;
    let builder = if unverified {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
    } else {
        builder.with_root_certificates(roots(directory)?)
    };
    let identity = directory.map(identity).transpose()?.flatten();
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
            let directory = directory.unwrap_or(Path::new("."));
            wrong(&directory.join("key.pem"), format!("does not fit cert.pem: {error}"))
        }),
    }
}

fn roots(directory: Option<&Path>) -> Result<RootCertStore, EngineError> {
    let Some(path) = directory.map(|directory| directory.join("ca.pem")) else {
        return Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect());
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&path)? {
        roots
            .add(certificate)
            .map_err(|error| wrong(&path, format!("holds no usable certificate: {error}")))?;
    }
    Ok(roots)
}

/// The client's own certificate and its key, where there are any.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(directory: &Path) -> Result<Option<Identity>, EngineError> {
    let (chain, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    if !chain.exists() && !key.exists() {
        return Ok(None);
    }
    let chain = certificates(&chain)?;
    let text = read(&key)?;
    let key =
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| wrong(&key, format!("holds no private key: {error}")))?;
    Ok(Some((chain, key)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, EngineError> {
    let text = read(path)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(wrong(path, "holds no certificate in PEM form".to_owned())),
        Err(error) => Err(wrong(path, format!("holds no certificate in PEM form: {error}"))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, EngineError> {
    std::fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => wrong(path, "there is no such file, which TLS to the engine needs".to_owned()),
        _ => wrong(path, error.to_string()),
    })
}

fn wrong(path: &Path, reason: String) -> EngineError {
    EngineError::Directions {
        place: path.display().to_string(),
        reason,
    }
}

/// Takes any certificate, as a context says that skips verification. Whoever holds it must still hold its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
