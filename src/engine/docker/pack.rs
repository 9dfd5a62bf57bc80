//! An archive of files on its way to the engine, packed while it is sent.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use crate::context::{Entry, EntryKind};
use crate::engine::EngineError;

/// Bytes of an archive that are on their way at once.
const PIECE: usize = 256 * 1024;

/// A file of an archive that is on no disk.
pub(super) struct Written {
    /// Its path in the archive.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// What it holds.
    pub content: Vec<u8>,
}

/// An archive of `entries` below `below`, all owned by root, and of `written` behind them, in pieces.
pub(super) fn stream(
    below: PathBuf,
    entries: Vec<Entry>,
    written: Vec<Written>,
) -> (ReceiverStream<io::Result<Bytes>>, Packing) {
    let (sender, arriving) = mpsc::channel(4);
    let packing = tokio::task::spawn_blocking(move || pack(&below, &entries, &written, &sender));
    (ReceiverStream::new(arriving), Packing(packing))
}

/// The thread that packs.
pub(super) struct Packing(JoinHandle<Result<(), Failed>>);

impl Packing {
    /// Waits for its end. An error is that of a file that could not be read; that nobody took the rest is none.
    pub async fn outcome(self) -> Result<(), EngineError> {
        match self.0.await {
            Ok(Err(failed)) if failed.source.kind() != io::ErrorKind::BrokenPipe => Err(EngineError::File {
                path: failed.path,
                source: failed.source,
            }),
            _ => Ok(()),
        }
    }
}

/// A file that could not be packed.
struct Failed {
    path: PathBuf,
    source: io::Error,
}

/// Writes the archive. What breaks it ends the stream with an error, so that no engine takes
/// half of it for the whole.
fn pack(
    below: &Path,
    entries: &[Entry],
    written: &[Written],
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> Result<(), Failed> {
    let mut archive = tar::Builder::new(Pieces(sender.clone()));
    for entry in entries {
        append(&mut archive, below, entry).map_err(|(path, source)| {
            let _ = sender.blocking_send(Err(source.kind().into()));
            Failed { path, source }
        })?;
    }
    let lost = |path: &Path| {
        let path = path.to_owned();
        move |source| Failed { path, source }
    };
    for file in written {
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode);
        header.set_size(file.content.len() as u64);
        let appended = archive.append_data(&mut header, below.join(&file.path), file.content.as_slice());
        appended.map_err(lost(&file.path))?;
    }
    archive.finish().map_err(lost(below))
}

fn append(archive: &mut tar::Builder<Pieces>, below: &Path, entry: &Entry) -> Result<(), (PathBuf, io::Error)> {
    let path = below.join(&entry.path);
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_size(0);
    header.set_mtime(u64::try_from(entry.modified / 1_000_000_000).unwrap_or(0));
    let appended = match &entry.kind {
        EntryKind::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            archive.append_data(&mut header, &path, io::empty())
        }
        EntryKind::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            archive.append_link(&mut header, &path, target)
        }
        EntryKind::File { source, size } => {
            header.set_size(*size);
            // The header promises a size: a file that has changed since must not shift what follows it.
            let content = File::open(source).and_then(|file| {
                let whole = file.metadata()?.len() == *size;
                whole.then_some(file).ok_or_else(changed)
            });
            return match content {
                Ok(file) => archive.append_data(&mut header, &path, file),
                Err(error) => Err(error),
            }
            .map_err(|error| (source.clone(), error));
        }
    };
    appended.map_err(|error| (path, error))
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file changed while it was read")
}

/// Sends what is written in pieces. Blocks: for threads of their own.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(piece)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
