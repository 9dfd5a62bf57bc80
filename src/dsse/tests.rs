//! Keys that cosign made, what it signed, and what nobody may read or believe.

use std::fs;

use super::*;
use crate::fault::{Explained as _, Kind};

/// Made by cosign 2.5.0 with the password `secret`.
const COSIGN_KEY: &str = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n\
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6\n\
OCwicCI6MX0sInNhbHQiOiJobDFCaXoxY3pjSFRacEczb3NiTDZkMVBIdzhTV1NH\n\
blhZUXBHamYxdUJzPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94\n\
Iiwibm9uY2UiOiJ0WFBXcmdiMXpoV0JVY2NreGhBYWZMTkQrZlNHUnpqdyJ9LCJj\n\
aXBoZXJ0ZXh0IjoiVW90cHVpSUJ1YXk1WlZWMFhSbkUvTjJlNnN1S1I3UGpxMVVJ\n\
enE2NkhObjhBclNrY2FVNEhpN0hHMFlHRGszV2VYMnduUTBtTWliSGFoRSt5THpD\n\
bW41OEF5blVsRzN1bE9RYUV2YXJUTjE4R1JpTmx0cUk4bHVNb2NYMFNLWDlSZ0RP\n\
dG5lMFN5UnZReVFPR0ZYVlFOSTZhY0xNU3JiWDVpbWRtTlEzUVZ6dTBPam5idFNM\n\
SFYzTGlCc1l5aTR5cHN2R09aQVZUbFpMaXc9PSJ9\n\
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n\
";

const COSIGN_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEpzzRriJFaVfZSoZMTd3YkLVtuuRo\n\
2yiFpArLlMoXDUos7r/7zn1ymFxcKhknURXfOYt83N6Hqhs/dq3ZILTgPg==\n\
-----END PUBLIC KEY-----\n\
";

/// What cosign 2.5.0 attached to an image, signed by that key.
const COSIGN_ENVELOPE: &str = r#"{"payloadType":"application/vnd.in-toto+json","payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjAuMSIsInByZWRpY2F0ZVR5cGUiOiJodHRwczovL2luLXRvdG8uaW8vYXR0ZXN0YXRpb24vdGVzdC1yZXN1bHQvdjAuMSIsInN1YmplY3QiOlt7Im5hbWUiOiJsb2NhbGhvc3Q6NTk4Ny9hL20iLCJkaWdlc3QiOnsic2hhMjU2IjoiYmJkODM0ZTk1Y2NhNGU5ZmExNDJhZmVkZGJkNjhhYTA1MWZlNGI5ODY3M2M2MjEzOGQ2ODhhMWVjYzM3NDBmYiJ9fV0sInByZWRpY2F0ZSI6eyJjb25maWd1cmF0aW9uIjpbXSwiZmFpbGVkVGVzdHMiOltdLCJwYXNzZWRUZXN0cyI6WyJtOjppbXBvcnRzOjp4Il0sInJlc3VsdCI6IlBBU1NFRCIsInVybCI6InJ1bnMveCIsIndhcm5lZFRlc3RzIjpbXX19","signatures":[{"keyid":"","sig":"MEUCIFmpnbiLNA+yb+Bri57Uq95CWhQ/E8JNl8zos+qAoT5eAiEAnrtLlLWlvc7Zec+9ZFSF8wZ8Mw8vpqK6LYeZh9gR9xk="}]}"#;

const TYPE: &str = "application/vnd.in-toto+json";

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn key(&self, text: &str, password: &str) -> Result<SigningKey, KeyError> {
        let path = self.0.path().join("key");
        fs::write(&path, text).unwrap();
        SigningKey::read(&path, password)
    }

    fn public(&self, text: &str) -> Result<PublicKey, KeyError> {
        let path = self.0.path().join("pub");
        fs::write(&path, text).unwrap();
        PublicKey::read(&path)
    }
}

/// Another pair: a private key as PKCS#8 in PEM.
fn another() -> SigningKey {
    use p256::pkcs8::EncodePrivateKey as _;
    let key = p256::SecretKey::from_slice(&[7; 32]).unwrap();
    let pem = key.to_pkcs8_pem(p256::pkcs8::LineEnding::LF).unwrap();
    Files::new().key(&pem, "").unwrap()
}

#[test]
fn a_key_of_cosigns_opens_with_its_password_alone_and_signs_what_its_public_key_verifies() {
    let files = Files::new();
    let key = files.key(COSIGN_KEY, "secret").unwrap();
    assert_eq!(key.public(), files.public(COSIGN_PUBLIC).unwrap());
    let envelope = Envelope::sign(TYPE, b"{}", &key);
    assert!(envelope.is_signed_by(&key.public()));
    assert!(!envelope.is_signed_by(&another().public()));
    let error = files.key(COSIGN_KEY, "wrong").err().unwrap();
    assert!(matches!(error, KeyError::Locked { .. }), "{error}");
    assert_eq!(error.kind(), Kind::Invalid);
}

#[test]
fn what_cosign_signed_is_verified_and_what_was_altered_is_not() {
    let key = Files::new().public(COSIGN_PUBLIC).unwrap();
    let envelope: Envelope = serde_json::from_str(COSIGN_ENVELOPE).unwrap();
    assert!(envelope.is_signed_by(&key));
    assert!(!envelope.is_signed_by(&another().public()));
    assert!(envelope.payload("text/plain").is_none());
    let mut altered = envelope.clone();
    altered.payload = STANDARD.encode(b"{\"other\": 1}");
    let mut retyped = envelope.clone();
    "text/plain".clone_into(&mut retyped.payload_type);
    let mut unsigned = envelope;
    unsigned.signatures.clear();
    for envelope in [altered, retyped, unsigned] {
        assert!(!envelope.is_signed_by(&key), "{envelope:?}");
    }
}

#[test]
fn the_same_statement_gets_the_same_envelope() {
    let key = another();
    assert_eq!(Envelope::sign(TYPE, b"x", &key), Envelope::sign(TYPE, b"x", &key));
    assert_ne!(Envelope::sign(TYPE, b"x", &key), Envelope::sign(TYPE, b"y", &key));
}

#[test]
fn what_is_no_key_is_refused_with_its_file() {
    let files = Files::new();
    for text in [
        "",
        "x",
        COSIGN_PUBLIC,
        "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nx\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
    ] {
        let error = files.key(text, "").err().unwrap();
        assert!(error.hint().unwrap().contains("cosign generate-key-pair"), "{error}");
        assert!(error.place().is_some());
    }
    let greedy = COSIGN_KEY
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect::<String>();
    let greedy = String::from_utf8(STANDARD.decode(greedy).unwrap()).unwrap();
    let greedy = STANDARD.encode(greedy.replace("65536", "1073741824"));
    let head = "ENCRYPTED SIGSTORE PRIVATE KEY";
    let greedy = format!("-----BEGIN {head}-----\n{greedy}\n-----END {head}-----\n");
    let error = files.key(&greedy, "secret").err().unwrap();
    assert!(error.to_string().contains("more work"), "{error}");
    assert!(files.public("x").is_err());
}
