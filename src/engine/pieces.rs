//! What arrives piece by piece, read as one.

use std::io::{self, Read};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::{EngineError, Export};

/// How many pieces of an archive wait to be read.
const WAITING: usize = 64;

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

    /// Has `read` read an archive on a thread of its own, until either has enough. Returns what `read` returns.
    pub async fn of<T: Send + 'static>(
        mut archive: Export,
        read: impl FnOnce(Self) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let (sender, arriving) = mpsc::channel(WAITING);
        let reading = tokio::task::spawn_blocking(move || read(Self::new(arriving)));
        while let Some(piece) = archive.next().await {
            match piece {
                Ok(piece) => {
                    // A reader that is gone has stopped for a reason, which it returns.
                    if sender.send(Ok(piece)).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    // A cut archive must not look like a whole one to the reader.
                    let _ = sender.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
                    return Err(error);
                }
            }
        }
        drop((archive, sender));
        match reading.await {
            Ok(read) => Ok(read),
            // What is not cancelled ends by itself.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
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
