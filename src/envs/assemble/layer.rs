//! A layer that is put together from pieces.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::piece::{self, Piece};
use crate::envs::error::{EnvsError, io_error};
use crate::image;
use crate::reference::{Digest, Hasher};

/// The two empty blocks that a tar archive ends with.
const END: [u8; 1024] = [0; 1024];

/// A layer: the directories that its pieces lie in, and the pieces.
pub(super) struct Layer {
    directories: Vec<u8>,
    pieces: Vec<Piece>,
}

impl Layer {
    /// The layer of these pieces, in their order; `None` where they hold nothing.
    pub(super) fn of(pieces: Vec<Piece>) -> Result<Option<Self>, EnvsError> {
        let mut directories = BTreeMap::new();
        for piece in &pieces {
            for (path, directory) in &piece.index.directories {
                directories.entry(path.clone()).or_insert(*directory);
            }
        }
        if directories.is_empty() {
            return Ok(None);
        }
        let directories = piece::directories(&directories).map_err(io_error(Path::new("a layer")))?;
        Ok(Some(Self { directories, pieces }))
    }

    /// The bytes of its archive.
    pub(super) fn bytes(&self) -> u64 {
        let pieces = self.pieces.iter().map(|piece| piece.index.bytes).sum::<u64>();
        self.directories.len() as u64 + pieces + END.len() as u64
    }

    /// Another layer has another key.
    pub(super) fn key(&self) -> Digest {
        let mut hasher = Hasher::default();
        hasher.part("floe", image::INSTALLER.as_bytes());
        hasher.part("directories", &self.directories);
        for piece in &self.pieces {
            hasher.part("piece", piece.index.digest.as_str().as_bytes());
        }
        hasher.finish()
    }

    /// Writes its archive; returns the digest of that. Where it is `known`, it tells at the end whether all pieces are what they
    /// were, and each of them is looked at only if one is not.
    pub(super) fn write(&self, known: Option<&Digest>, out: impl Write) -> Result<Digest, EnvsError> {
        let mut out = Hashed(out, Hasher::default());
        let failed = io_error(Path::new("the host"));
        out.write_all(&self.directories).map_err(failed)?;
        for piece in &self.pieces {
            match known {
                Some(_) => piece.copy_unseen(&mut out)?,
                None => piece.copy(&mut out)?,
            }
        }
        out.write_all(&END).map_err(failed)?;
        let digest = out.1.finish();
        if known.is_some_and(|known| *known != digest) {
            self.pieces.iter().try_for_each(|piece| piece.copy(io::sink()))?;
        }
        Ok(digest)
    }
}

/// What is written, hashed on the way.
struct Hashed<W>(W, Hasher);

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1.raw(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
