//! floe's own program as a layer on top of environments, so that a new program changes no layer of theirs.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream, DuplexStream};

use super::passing::{Buffered, Offering, Untaken, line, say};
use crate::image;
use crate::image::assembly::{Offered, Sent, Wanted};
use crate::reference::Digest;
use crate::state::FileError;

/// A tar archive consists of blocks of so many bytes, and ends with two empty ones.
const BLOCK: u64 = 512;

/// Bytes of the layer that wait to be taken.
const WAITING: usize = 1 << 20;

/// The archive of the layer: the same for the same program, whenever and wherever it is made.
struct Archive {
    program: PathBuf,
    header: tar::Header,
    /// The bytes of the program.
    size: u64,
    /// What fills its last block, and ends the archive.
    end: Vec<u8>,
}

/// Offers a layer that holds the program at this path.
pub(super) async fn offering(program: &Path) -> Result<Offering, Untaken> {
    let failed = FileError::of(program);
    let path = program.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let archive = Archive::of(path)?;
        let digest = archive.digest()?;
        Ok((archive, digest))
    });
    let read: io::Result<_> = read.await.map_err(io::Error::other).flatten();
    let (archive, digest) = read.map_err(failed)?;
    let layer = Offered {
        digest: Some(digest.clone()),
        bytes: archive.bytes(),
    };
    let (ours, theirs) = tokio::io::duplex(WAITING);
    // Who takes the layer sees it end early where this fails.
    tokio::spawn(archive.hand_over(theirs, digest));
    Ok(Offering {
        environment: None,
        connection: BufStream::new(Box::new(ours)),
        layers: vec![layer],
        door: None,
        first: None,
    })
}

impl Archive {
    fn of(program: PathBuf) -> io::Result<Self> {
        let size = program.metadata()?.len();
        let mut header = tar::Header::new_gnu();
        header.set_path(image::program("floe").trim_start_matches('/'))?;
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        let fills = size.next_multiple_of(BLOCK) - size + 2 * BLOCK;
        Ok(Self {
            program,
            header,
            size,
            end: vec![0; usize::try_from(fills).map_err(io::Error::other)?],
        })
    }

    fn bytes(&self) -> u64 {
        BLOCK + self.size + self.end.len() as u64
    }

    fn digest(&self) -> io::Result<Digest> {
        let program = io::Read::take(File::open(&self.program)?, self.size);
        let archive = io::Read::chain(self.header.as_bytes().as_slice(), program);
        Digest::of_all(io::Read::chain(archive, self.end.as_slice()))
    }

    /// Answers as a step of a build does that hands a layer over.
    async fn hand_over(self, connection: DuplexStream, digest: Digest) -> io::Result<()> {
        let mut connection: Buffered = BufStream::new(Box::new(connection));
        let Wanted { layers, .. } = line(&mut connection).await?;
        if layers.is_empty() {
            return Ok(());
        }
        let mut program = tokio::fs::File::open(&self.program).await?.take(self.size);
        connection.write_all(self.header.as_bytes()).await?;
        tokio::io::copy(&mut program, &mut connection).await?;
        connection.write_all(&self.end).await?;
        say(&mut connection, &Sent { digest }).await
    }
}
