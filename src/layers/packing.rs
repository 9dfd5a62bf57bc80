//! A layer on its way through a compressor.

use std::io::{self, Read, Write};

use tempfile::NamedTempFile;

use super::blocks::Blocks;
use super::{Compression, Known, Packed, Shelf};
use crate::reference::{Digest, Hasher};
use crate::state::FileError;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// How often it is told how far a layer is, in bytes.
const STEP: u64 = 16 << 20;

/// A layer, compressed, which nobody keeps yet.
pub(super) struct Unkept {
    /// The digest of its content.
    pub layer: Digest,
    compression: Compression,
    packed: Packed,
    length: u64,
    file: NamedTempFile,
}

impl Unkept {
    /// Keeps it. Returns what it is known by.
    pub fn keep(self, on: &Shelf) -> Result<(Digest, Known), FileError> {
        let known = on.keep(&self.layer, self.compression, (self.packed, self.length), self.file)?;
        Ok((self.layer, known))
    }
}

/// Compresses a layer into a file of the shelf's directory. `told` hears of the bytes that have been read.
pub(super) fn packed(
    layer: &mut impl Read,
    compression: Compression,
    shelf: &Shelf,
    mut told: impl FnMut(u64),
) -> Result<Unkept, FileError> {
    let file = shelf.begin()?;
    let path = file.path().to_owned();
    let failed = FileError::of(&path);
    let out = Counted {
        file,
        hasher: Hasher::default(),
        size: 0,
    };
    let mut blocks = Blocks::new(compression, out);
    let (mut hasher, mut length, mut next) = (Hasher::default(), 0, 0);
    let mut piece = vec![0; PIECE];
    loop {
        let read = layer.read(&mut piece).map_err(&failed)?;
        if length >= next || read == 0 {
            told(length);
            next = length + STEP;
        }
        if read == 0 {
            break;
        }
        hasher.raw(&piece[..read]);
        blocks.write_all(&piece[..read]).map_err(&failed)?;
        length += read as u64;
    }
    let Counted {
        file,
        hasher: of_packed,
        size,
    } = blocks.finish().map_err(&failed)?;
    Ok(Unkept {
        layer: hasher.finish(),
        compression,
        packed: Packed {
            digest: of_packed.finish(),
            size,
        },
        length,
        file,
    })
}

/// A file with the digest and the number of what was written to it.
struct Counted {
    file: NamedTempFile,
    hasher: Hasher,
    size: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.raw(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
