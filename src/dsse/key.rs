//! Keys in files: a private one as cosign keeps it, encrypted with a password, or as PKCS#8 in PEM; a public one in PEM.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Nonce, XSalsa20Poly1305};
use p256::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _};
use serde::Deserialize;

use crate::fault::{Explained, Kind, Place};
use crate::reference::Digest;

/// The heads of PEM files that cosign keeps private keys in, by its age.
const ENCRYPTED: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];

/// More than this is no key, in bytes.
const LARGEST: u64 = 64 << 10;

/// A key whose derivation takes more memory is refused, in bytes; cosign's takes 64 MB.
const MOST_MEMORY: u64 = 256 << 20;

/// A key that signs.
#[derive(Clone)]
pub struct SigningKey(pub(super) p256::ecdsa::SigningKey);

/// A key that tells who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(pub(super) p256::ecdsa::VerifyingKey);

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds no key that floe can use.
    #[error("{}: {reason}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The password does not open the key.
    #[error("{}: COSIGN_PASSWORD does not open this key", .path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

impl Explained for KeyError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Read { .. } => "SIGNING_KEY and VERIFY_KEY are paths of files",
            Self::Unusable { .. } => "keys of ECDSA on P-256 are read; `cosign generate-key-pair` makes a pair of them",
            Self::Locked { .. } => "set COSIGN_PASSWORD in the environment, as for cosign itself",
        };
        Some(hint.to_owned())
    }

    fn place(&self) -> Option<Place> {
        let (Self::Read { path, .. } | Self::Unusable { path, .. } | Self::Locked { path }) = self;
        Some(Place::of(path, None))
    }
}

impl SigningKey {
    /// Reads the key in the file at `path`; one that is encrypted is opened with `password`, which takes a moment.
    pub fn read(path: &Path, password: &str) -> Result<Self, KeyError> {
        let text = read(path)?;
        let unusable = |reason: &dyn fmt::Display| KeyError::Unusable {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let encrypted = ENCRYPTED.iter().find_map(|head| body(&text, head));
        let key = if let Some(encrypted) = encrypted {
            let bytes = STANDARD.decode(encrypted).map_err(|error| unusable(&error))?;
            let sealed = serde_json::from_slice::<Sealed>(&bytes).map_err(|error| unusable(&error))?;
            let opened = sealed.open(password).map_err(|reason| unusable(&reason))?;
            let der = opened.ok_or_else(|| KeyError::Locked { path: path.to_owned() })?;
            p256::SecretKey::from_pkcs8_der(&der)
        } else {
            p256::SecretKey::from_pkcs8_pem(&text)
        };
        let key = key.map_err(|error| unusable(&format!("it holds no private key of ECDSA on P-256 ({error})")))?;
        Ok(Self(key.into()))
    }

    /// A key for tests.
    #[cfg(test)]
    pub(crate) fn of_seed(seed: u8) -> Self {
        Self(p256::SecretKey::from_slice(&[seed; 32]).unwrap().into())
    }

    /// The key by which its signatures are known.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }
}

impl PublicKey {
    /// Reads the key in the PEM file at `path`.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let key = p256::ecdsa::VerifyingKey::from_public_key_pem(&read(path)?);
        let key = key.map_err(|error| KeyError::Unusable {
            path: path.to_owned(),
            reason: format!("it holds no public key of ECDSA on P-256 ({error})"),
        })?;
        Ok(Self(key))
    }

    /// What people and tools tell the key by: the digest of its DER form.
    ///
    /// # Panics
    ///
    /// Never: every key of this kind has such a form.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let der = self.0.to_public_key_der().expect("a key of P-256 has a DER form");
        Digest::of(der.as_bytes())
    }
}

fn read(path: &Path) -> Result<String, KeyError> {
    let failed = |source| KeyError::Read {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > LARGEST {
        return Err(KeyError::Unusable {
            path: path.to_owned(),
            reason: "it is too large for a key".to_owned(),
        });
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The text between the lines that begin and end a block of PEM, without its line breaks.
fn body(text: &str, head: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {head}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {head}-----"))?;
    Some(body.split_whitespace().collect())
}

/// A private key as cosign seals it (<https://github.com/secure-systems-lab/go-securesystemslib>, `encrypted`).
#[derive(Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Parameters,
    salt: String,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

impl Sealed {
    /// The key in PKCS#8; `None` where the password is another.
    fn open(&self, password: &str) -> Result<Option<Vec<u8>>, String> {
        let Parameters { n, r, p } = self.kdf.params;
        if self.kdf.name != "scrypt" || self.cipher.name != "nacl/secretbox" {
            return Err(format!("it is sealed by {} and {}", self.kdf.name, self.cipher.name));
        }
        let memory = n.saturating_mul(u64::from(r)).saturating_mul(128);
        if !n.is_power_of_two() || memory > MOST_MEMORY || p > 16 {
            return Err("it asks for more work than any key of cosign's".to_owned());
        }
        let log = u8::try_from(n.trailing_zeros()).unwrap_or_default();
        let parameters = scrypt::Params::new(log, r, p, 32).map_err(|error| error.to_string())?;
        let decoded = |text: &str| STANDARD.decode(text).map_err(|error| error.to_string());
        let mut key = [0; 32];
        scrypt::scrypt(password.as_bytes(), &decoded(&self.kdf.salt)?, &parameters, &mut key)
            .map_err(|error| error.to_string())?;
        let nonce = decoded(&self.cipher.nonce)?;
        let nonce: [u8; 24] = nonce
            .try_into()
            .map_err(|_| "its nonce has another length".to_owned())?;
        let opened = XSalsa20Poly1305::new(&key.into()).decrypt(&Nonce::from(nonce), &*decoded(&self.ciphertext)?);
        Ok(opened.ok())
    }
}
