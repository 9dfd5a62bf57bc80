//! A way from a step of a build to the host that leads past the builder.
//!
//! A builder copies what a step says to the host by its own process, message by message: of 1.5 GB, that takes longer than to
//! read and to hash them. But a step sees a directory of the engine's own, where the builder keeps its cache. So it listens there, at
//! a *door*; another container, which sees that directory and a socket of the host's, connects to that and hands the connection in
//! at the door.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use crate::image::store::{DOOR, MERGED, OUTLET};
use crate::process::mounts::{self, Place};

/// What is sent with a connection, since nothing cannot be sent.
const ALONG: [u8; 1] = [b'\n'];

/// Where a step of a build listens.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    file: PathBuf,
    /// Its directory, as the engine may call it.
    place: PathBuf,
}

impl Door {
    /// A door in a directory that only its owner, and root, gets into.
    ///
    /// # Errors
    ///
    /// If nothing can listen there, or the kernel does not say what the directory is a part of.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let place = engines_own(mounts::place(directory)?);
        let file = directory.join(NAME);
        let listener = UnixListener::bind(&file)?;
        Ok(Self { listener, file, place })
    }

    /// Its directory, by the path that it has among those of the engine, wherever those are.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The connection to the host that is handed in, which is on its way.
    ///
    /// # Errors
    ///
    /// If none is.
    pub fn admitted(&self) -> io::Result<UnixStream> {
        let (mut bearer, _) = self.listener.accept()?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut along = ALONG;
        let flags = RecvFlags::CMSG_CLOEXEC;
        recvmsg(&bearer, &mut [IoSliceMut::new(&mut along)], &mut ancillary, flags)?;
        let handed = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        let handed = handed.ok_or(io::ErrorKind::UnexpectedEof)?;
        // The bearer goes when it is known to have arrived.
        bearer.write_all(&ALONG)?;
        Ok(handed.into())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// A directory as an engine may call it: what is written to an overlay, engines mount beside where it is kept. Who listens there is
/// found nowhere else.
fn engines_own(Place { path, upper }: Place) -> PathBuf {
    let merged = upper.as_deref().and_then(Path::parent).map(|layer| layer.join(MERGED));
    match merged {
        Some(merged) => merged.join(path.strip_prefix("/").unwrap_or(&path)),
        None => path,
    }
}

/// Connects to the host, and hands that in at the door.
///
/// # Errors
///
/// If either of them is not there, or nobody takes it.
pub fn lead() -> io::Result<()> {
    let host = UnixStream::connect(OUTLET)?;
    let mut door = UnixStream::connect(Path::new(DOOR).join(NAME))?;
    hand_in(&host, &mut door)
}

/// Hands a connection to the host in at the door.
fn hand_in(mut host: &UnixStream, door: &mut UnixStream) -> io::Result<()> {
    let files = [host.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(&*door, &[IoSlice::new(&ALONG)], &mut ancillary, SendFlags::NOSIGNAL)?;
    // The host hears of it once it is on its way.
    host.write_all(&ALONG)?;
    door.read_exact(&mut [0])
}

/// The name of a door in its directory.
const NAME: &str = "door";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_a_door_is_named_as_the_engine_names_it() {
        let place = |path: &str, upper: Option<&str>| Place {
            path: path.into(),
            upper: upper.map(PathBuf::from),
        };
        let layer = "/var/lib/docker/overlay2/abc/diff";
        assert_eq!(
            engines_own(place("/cache/floe", Some(layer))),
            Path::new("/var/lib/docker/overlay2/abc/merged/cache/floe")
        );
        let files = "/overlay2/abc/diff/floe";
        assert_eq!(engines_own(place(files, None)), Path::new(files));
    }

    #[test]
    fn a_connection_is_handed_in_at_a_door_and_the_door_is_gone_with_who_listened() {
        let directory = tempfile::tempdir().unwrap();
        let door = Door::open(directory.path()).unwrap();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let at = directory.path().join(NAME);
        let leading = {
            let at = at.clone();
            std::thread::spawn(move || hand_in(&theirs, &mut UnixStream::connect(at).unwrap()))
        };
        // Only who hears of it lets the step go on.
        ours.read_exact(&mut [0]).unwrap();
        door.admitted().unwrap().write_all(b"layers").unwrap();
        leading.join().unwrap().unwrap();
        let mut said = String::new();
        ours.read_to_string(&mut said).unwrap();
        assert_eq!(said, "layers");
        drop(door);
        assert!(!at.exists());
    }

    #[test]
    fn who_hands_in_nothing_is_not_taken_for_the_host() {
        let directory = tempfile::tempdir().unwrap();
        let door = Door::open(directory.path()).unwrap();
        let mut stranger = UnixStream::connect(directory.path().join(NAME)).unwrap();
        stranger.write_all(&ALONG).unwrap();
        let error = door.admitted().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
