//! What the engine answers, counted on its way.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use world::mounted;

/// A way to the engine that counts the bytes of its answers.
pub struct Counter {
    socket: PathBuf,
    answered: Arc<AtomicU64>,
}

impl Counter {
    /// One whose socket lies in `directory`.
    pub fn start(directory: &Path) -> Self {
        let counter = Self {
            socket: directory.join("engine.sock"),
            answered: Arc::default(),
        };
        let (listener, answered) = (UnixListener::bind(&counter.socket).unwrap(), counter.answered.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let engine = UnixStream::connect("/var/run/docker.sock").unwrap();
                let (from, to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
                thread::spawn(move || pass(&from, &to, &AtomicU64::new(0)));
                let answered = answered.clone();
                thread::spawn(move || pass(&engine, &client, &answered));
            }
        });
        counter
    }

    /// The same call, to the engine by this way, with `temporary` for what is temporary: which the engine sees, or does not.
    pub fn through(&self, call: &mut Command, temporary: &Path, seen: bool) -> Command {
        call.env("TMPDIR", temporary)
            .env("DOCKER_HOST", format!("unix://{}", self.socket.display()));
        let script = if seen { ":" } else { "mount -t tmpfs tmpfs \"$TMPDIR\"" };
        mounted(script, call)
    }

    /// How many bytes there were since the last question.
    pub fn answered(&self) -> u64 {
        self.answered.swap(0, Ordering::Relaxed)
    }
}

fn pass(mut from: &UnixStream, mut to: &UnixStream, count: &AtomicU64) {
    let mut bytes = vec![0; 65536];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        count.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
