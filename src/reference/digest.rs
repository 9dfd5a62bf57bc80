//! Digests: of bytes, and of named parts.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{ReferenceError, text_type};

text_type!(
    /// A SHA-256 digest in the form `sha256:<64 hex digits>`.
    Digest
);

impl FromStr for Digest {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError {
                kind: "digest",
                text: text.to_owned(),
                rule: "expected sha256: and 64 lower-case hexadecimal digits",
            })
        }
    }
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.raw(bytes);
        hasher.finish()
    }

    /// The digest of all that there is to read.
    pub fn of_all(mut from: impl Read) -> io::Result<Self> {
        let mut hasher = Hasher::default();
        let mut piece = vec![0; 1 << 20];
        loop {
            match from.read(&mut piece)? {
                0 => return Ok(hasher.finish()),
                read => hasher.raw(&piece[..read]),
            }
        }
    }

    /// How many digits the short form has.
    pub const SHORT: usize = 12;

    /// The first 12 hexadecimal digits: enough for people and tags.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.hex()[..Self::SHORT]
    }

    /// Its 64 hexadecimal digits, without the name of the algorithm.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }
}

/// Builds a [`Digest`] from named parts, so that no two different sequences of parts collide.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds one named part; the lengths are part of what is hashed.
    pub fn part(&mut self, name: &str, bytes: &[u8]) {
        for field in [name.as_bytes(), bytes] {
            self.0.update((field.len() as u64).to_le_bytes());
            self.0.update(field);
        }
    }

    /// Adds bytes as they are, for hashing a file piece by piece.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything added.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut text = String::with_capacity("sha256:".len() + 64);
        text.push_str("sha256:");
        for byte in self.0.finalize() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        Digest(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_concatenate_alike_differ_in_digest() {
        let digest = |parts: &[(&str, &str)]| {
            let mut hasher = Hasher::default();
            for (name, text) in parts {
                hasher.part(name, text.as_bytes());
            }
            hasher.finish()
        };
        assert_ne!(digest(&[("a", "bc")]), digest(&[("ab", "c")]));
        assert_ne!(digest(&[("a", "b"), ("", "")]), digest(&[("a", "b")]));
    }

    #[test]
    fn a_digest_is_the_sha256_of_the_bytes() {
        // `printf abc | sha256sum`
        assert_eq!(
            Digest::of(b"abc").as_str(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Digest::of(b"abc").short(), "ba7816bf8f01");
    }
}
