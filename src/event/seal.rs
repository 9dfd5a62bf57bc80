//! The proof that a record is the agent's: what runs in the container beside it can write to the same pipe.
//!
//! Host and agent share a key that is made for one container. The proof of a record is its HMAC (RFC 2104, with SHA-256)
//! under that key, over the record's number and its bytes, so that none can be made, changed, repeated or left out.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

/// What host and agent share, 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a key of 64 hexadecimal digits")]
pub struct KeyError;

impl Key {
    /// A key that nobody else knows.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        let (first, second) = bytes.split_at_mut(16);
        first.copy_from_slice(Uuid::new_v4().as_bytes());
        second.copy_from_slice(Uuid::new_v4().as_bytes());
        Self(bytes)
    }

    /// The proof of the record with this number, in hexadecimal digits.
    #[must_use]
    pub fn proof(&self, number: u64, record: &str) -> String {
        hexadecimal(&self.mac(number, record).finalize().into_bytes())
    }

    /// Whether `proof` is that of the record with this number.
    #[must_use]
    pub fn proves(&self, number: u64, record: &str, proof: &str) -> bool {
        bytes(proof).is_some_and(|proof| self.mac(number, record).verify_slice(&proof).is_ok())
    }

    fn mac(&self, number: u64, record: &str) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.chain_update(number.to_be_bytes()).chain_update(record)
    }
}

/// As the agent is given it.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}

/// Without the key itself.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = bytes(text).ok_or(KeyError)?;
        bytes.try_into().map(Self).map_err(|_| KeyError)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs = digits.chunks(2).map(|pair| str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_rfc_4231() {
        // Test case 1, whose data "Hi There" is eight bytes long: here they are the number.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        // HMAC pads a key with zeros to the length of a block, so 20 bytes and 32 with zeros at the end are one key.
        let number = u64::from_be_bytes(*b"Hi There");
        assert_eq!(
            Key(key).proof(number, ""),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn a_proof_holds_for_one_record_one_number_and_one_key() {
        let (key, other) = (Key::random(), Key::random());
        let proof = key.proof(1, "record");
        assert!(key.proves(1, "record", &proof));
        assert!(!key.proves(2, "record", &proof));
        assert!(!key.proves(1, "recorD", &proof));
        assert!(!other.proves(1, "record", &proof));
        let digit = if proof.starts_with('0') { '1' } else { '0' };
        for odd in ["", "00", "zz", &proof[..62], &format!("{digit}{}", &proof[1..])] {
            assert!(!key.proves(1, "record", odd), "{odd}");
        }
    }

    #[test]
    fn a_key_is_read_back_and_never_shown_by_accident() {
        let key = Key::random();
        assert_eq!(key.to_string().parse(), Ok(key.clone()));
        assert_eq!(format!("{key:?}"), "Key");
        for odd in ["", "1", "é0", &key.to_string()[1..], &format!("{key}00")] {
            assert_eq!(odd.parse::<Key>(), Err(KeyError), "{odd}");
        }
    }
}
