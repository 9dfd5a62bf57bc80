//! A way out of a container that leads past the engine: a socket that it finds mounted.
//!
//! What a container writes to its output is copied by the engine's shim, by the engine, and into the frames of an answer: for
//! 4 GB that took 22 s of processors' time. By a socket it is copied once.

use std::io;
use std::os::unix::fs::PermissionsExt as _;

use bollard::models::{Mount, MountType};
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::engine::EngineError;
use crate::image::store::OUTLET;
use crate::scratch::Scratch;

/// How many bytes are read at a time, at most.
const PIECE: usize = 256 * 1024;

/// A socket that a container is to write to.
pub(super) struct Outlet {
    /// Where nobody but this user, and root, gets to it.
    directory: Scratch,
    listener: UnixListener,
}

impl Outlet {
    pub(super) fn open() -> io::Result<Self> {
        let directory = Scratch::create()?;
        let path = directory.path().join(NAME);
        let listener = UnixListener::bind(&path)?;
        // Root of the container may be another user here, to whom it was given by the mount alone.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        Ok(Self { directory, listener })
    }

    /// What gives it to a container. The engine refuses that where it sees other files than this process.
    pub(super) fn mount(&self) -> Mount {
        Mount {
            source: Some(self.directory.path().join(NAME).display().to_string()),
            target: Some(OUTLET.to_owned()),
            typ: Some(MountType::BIND),
            ..Mount::default()
        }
    }

    /// The connection of the first who connects.
    pub(super) async fn admitted(self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }

    /// Passes on what the first writes who connects, until they end or nobody listens.
    pub(super) async fn pour(self, pieces: mpsc::Sender<Result<Bytes, EngineError>>) {
        let Ok(mut stream) = self.admitted().await else {
            return;
        };
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            match stream.read_buf(&mut piece).await {
                // Whoever is cut off says why, or the archive has no end.
                Ok(0) | Err(_) => return,
                Ok(_) if pieces.send(Ok(piece.freeze())).await.is_err() => return,
                Ok(_) => {}
            }
        }
    }
}

/// The socket's name in its directory.
const NAME: &str = "socket";
