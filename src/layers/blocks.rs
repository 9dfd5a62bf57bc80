//! Compresses a stream in blocks that know nothing of each other, so that all processors work on one layer.
//!
//! The same content gives the same bytes, however many processors there are and whatever they can: blocks are cut at fixed
//! places, nothing says when or by whom it was made, and neither compressor goes by the processor. Blocks of gzip are members
//! of their own, and those of zstd frames, which RFC 1952 and RFC 8878 let follow each other.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;
use std::sync::mpsc::{self, Receiver};

use libdeflater::{CompressionLvl, Compressor};

use super::Compression;

/// Bytes of a block. Four times as many are no better for gzip and hardly for zstd (30.2 % to 29.4 % of site-packages).
const BLOCK: usize = 1 << 20;

/// How many blocks there are at a time at most, which bounds the memory: to about twice as many times a block.
const AT_A_TIME: usize = 8;

/// The level of gzip. Of site-packages a processor makes 155 MB/s, to 33.5 %, where zlib-rs makes 69 MB/s, to 32.8 % (its level 3),
/// or 153 MB/s, to 41.2 % (its level 1). On level 6 it is 60 MB/s, to 30.8 %.
const GZIP_LEVEL: i32 = 1;

/// The level that zstd has by itself: 172 MB/s there, to 29.9 %.
const ZSTD_LEVEL: i32 = 3;

/// Compresses what is written to it, and writes that to `out`. It waits for rayon's threads, and is none of them.
pub(super) struct Blocks<W> {
    compression: Compression,
    out: W,
    block: Vec<u8>,
    /// Whether there has been a block: nothing at all is one, too.
    begun: bool,
    running: VecDeque<Receiver<io::Result<Vec<u8>>>>,
}

impl<W: Write> Blocks<W> {
    pub fn new(compression: Compression, out: W) -> Self {
        Self {
            compression,
            out,
            block: Vec::new(),
            begun: false,
            running: VecDeque::new(),
        }
    }

    /// Writes what is left. Returns what all was written to.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() || !self.begun {
            self.begin();
        }
        while !self.running.is_empty() {
            self.end()?;
        }
        Ok(self.out)
    }

    /// Has the block compressed, and begins another.
    fn begin(&mut self) {
        let block = mem::take(&mut self.block);
        self.begun = true;
        let (compression, (done, running)) = (self.compression, mpsc::channel());
        rayon::spawn(move || {
            // Whoever waits for it may have given up.
            let _ = done.send(compressed(compression, &block));
        });
        self.running.push_back(running);
    }

    /// Waits for the oldest block, and writes it.
    fn end(&mut self) -> io::Result<()> {
        let Some(oldest) = self.running.pop_front() else {
            return Ok(());
        };
        let piece = oldest.recv().map_err(io::Error::other)??;
        self.out.write_all(&piece)
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.capacity() == 0 {
            self.block.reserve_exact(BLOCK);
        }
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.begin();
            if self.running.len() == AT_A_TIME {
                self.end()?;
            }
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn compressed(compression: Compression, block: &[u8]) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Gzip => deflated(block),
        Compression::Zstd => zstd::bulk::compress(block, ZSTD_LEVEL),
    }
}

fn deflated(block: &[u8]) -> io::Result<Vec<u8>> {
    let level = CompressionLvl::new(GZIP_LEVEL).map_err(|error| io::Error::other(format!("{error:?}")))?;
    let mut compressor = Compressor::new(level);
    let mut bytes = vec![0; compressor.gzip_compress_bound(block.len())];
    let length = compressor.gzip_compress(block, &mut bytes).map_err(io::Error::other)?;
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;
    use crate::reference::Digest;

    /// Content of two and a half blocks, in which nothing repeats that a compressor would find at once.
    fn content() -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 & 15
        };
        (0..BLOCK * 5 / 2).map(|_| next()).collect()
    }

    fn packed(compression: Compression, content: &[u8], piece: usize) -> Vec<u8> {
        let mut blocks = Blocks::new(compression, Vec::new());
        for piece in content.chunks(piece) {
            blocks.write_all(piece).unwrap();
        }
        blocks.finish().unwrap()
    }

    #[test]
    fn what_was_compressed_is_read_back() {
        for content in [Vec::new(), vec![7], content(), vec![0; BLOCK]] {
            let mut read = Vec::new();
            MultiGzDecoder::new(packed(Compression::Gzip, &content, 1 << 16).as_slice())
                .read_to_end(&mut read)
                .unwrap();
            assert!(read == content, "gzip of {} bytes", content.len());
            let read = zstd::decode_all(packed(Compression::Zstd, &content, 1 << 16).as_slice()).unwrap();
            assert!(read == content, "zstd of {} bytes", content.len());
        }
    }

    #[test]
    fn the_same_content_gives_the_same_bytes_however_it_arrives_and_whoever_compresses_it() {
        let content = content();
        for (compression, digest) in [
            (
                Compression::Gzip,
                "sha256:649989d02ed5486da01656a1846b50d3e2f502ad4488bffce708f50798b45de0",
            ),
            (
                Compression::Zstd,
                "sha256:b6651a64ab7d568b729b826097d6b7198bfa66a716dccfbf0d7cbb9fc568c986",
            ),
        ] {
            let at_once = packed(compression, &content, content.len());
            assert!(packed(compression, &content, 4097) == at_once, "{compression}");
            // As it was on another machine.
            assert_eq!(Digest::of(&at_once).as_str(), digest, "{compression}");
        }
    }
}
