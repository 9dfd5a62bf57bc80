//! What arrives piece by piece, read as one.

use std::io::{self, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Reads the pieces that arrive on a channel. An error in it ends the reading.
pub struct Pieces {
    arriving: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Pieces {
    /// Reads what arrives on `arriving`. Blocks: for threads of their own.
    #[must_use]
    pub fn new(arriving: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self {
            arriving,
            piece: Bytes::new(),
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.arriving.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let read = self.piece.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.piece.split_to(read));
        Ok(read)
    }
}
