//! What is read where the engine keeps it does not pass through the engine, where floe and the engine see the same files.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use world::{Ended, LocalRegistry, mounted, run};

use super::{BY_FLOE, printed, tested};

/// A way to the engine that counts the bytes of its answers.
struct Counter {
    socket: PathBuf,
    answered: Arc<AtomicU64>,
}

impl Counter {
    /// One whose socket lies in `directory`.
    fn start(directory: &Path) -> Self {
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

    /// How many bytes there were since the last question.
    fn answered(&self) -> u64 {
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

#[test]
fn what_is_read_where_the_engine_keeps_it_leads_past_the_engine_where_it_sees_the_same_files() {
    let site = tested();
    let counter = Counter::start(site.repository.path());
    let told = site.command(&["image", "tiny"]).expect(0).stdout;
    let image = told.split_whitespace().next().unwrap();
    let holds = run(site.docker().args(["image", "inspect", "--format", "{{.Size}}", image]));
    let holds = holds.trim().parse::<u64>().unwrap();
    let temporary = site.repository.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let pushed = [true, false].map(|seen| {
        // What has been compressed once is kept.
        let _ = fs::remove_dir_all(site.repository.path().join(".floe/cache/layers"));
        let registry = LocalRegistry::start();
        let mut call = site.prepared(&["push", "tiny", "--registry", &registry.address("hub")]);
        call.envs(BY_FLOE)
            .env("TMPDIR", &temporary)
            .env("DOCKER_HOST", format!("unix://{}", counter.socket.display()));
        if !seen {
            call = mounted("mount -t tmpfs tmpfs \"$TMPDIR\"", &call);
        }
        counter.answered();
        let ended = Ended::of(call.output().unwrap()).expect(0);
        assert!(!ended.stderr.contains("the engine saves"), "{}", ended.stderr);
        let answered = counter.answered();
        assert_eq!(answered < holds / 2, seen, "{answered} of {holds}");
        printed(&ended).digest().unwrap()
    });
    assert_eq!(pushed[0], pushed[1]);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "nothing is left");
}
