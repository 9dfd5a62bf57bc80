//! Signed statements, in the envelope that cosign and in-toto's tools sign and verify
//! (<https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>), by keys of ECDSA on P-256, which cosign makes.
//!
//! A signature here has no random part (RFC 6979): who signs the same statement again gets the same envelope.

mod key;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, Signature};
use serde::{Deserialize, Serialize};

pub use self::key::{KeyError, PublicKey, SigningKey};

/// The media type of an envelope.
pub const ENVELOPE_MEDIA_TYPE: &str = "application/vnd.dsse.envelope.v1+json";

/// A text of some type, and signatures of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signed {
    #[serde(default)]
    keyid: String,
    sig: String,
}

impl Envelope {
    /// `payload`, which is of this media type, signed by `key`.
    #[must_use]
    pub fn sign(payload_type: &str, payload: &[u8], key: &SigningKey) -> Self {
        let signature: Signature = key.0.sign(&authenticated(payload_type, payload));
        Self {
            payload_type: payload_type.to_owned(),
            payload: STANDARD.encode(payload),
            signatures: vec![Signed {
                keyid: String::new(),
                sig: STANDARD.encode(signature.to_der().as_bytes()),
            }],
        }
    }

    /// What is signed, if it is of this media type and can be read; not whether it is signed by anybody.
    #[must_use]
    pub fn payload(&self, payload_type: &str) -> Option<Vec<u8>> {
        let payload = decoded(&self.payload);
        payload.filter(|_| self.payload_type == payload_type)
    }

    /// Whether one of the signatures is valid, and made by the holder of `key`.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let Some(payload) = decoded(&self.payload) else {
            return false;
        };
        let message = authenticated(&self.payload_type, &payload);
        self.signatures
            .iter()
            .filter_map(|signed| decoded(&signed.sig))
            .any(|bytes| {
                let signature = DerSignature::from_bytes(&bytes);
                signature.is_ok_and(|signature| key.0.verify(&message, &signature).is_ok())
            })
    }

    /// How many signatures there are, valid or not.
    #[must_use]
    pub fn signatures(&self) -> usize {
        self.signatures.len()
    }
}

/// What is signed of a text: its type and its bytes, with the lengths of both.
fn authenticated(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// The specification lets either alphabet be written.
fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests;
