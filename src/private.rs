//! A directory that lies in memory alone, is closed to other users, and ends with this process, however that ends.
//!
//! What is decrypted goes to a child that wants files through one of these. It lies in `XDG_RUNTIME_DIR` or `/dev/shm`, if
//! that is a tmpfs. A keeper removes it at this process's end: a shell that waits for the end of its standard input, which the
//! kernel brings about. Should both be killed, the next call removes it, which knows by a lock on the directory that its
//! process is gone, whatever namespace of processes that was in.
//!
//! A tmpfs in a mount namespace of its own would need no removal. But a path to it leads through `/proc/<pid>/root`, and
//! programs that resolve paths by themselves, as vim does, take that for `/`: vim wrote the text to the disk.

mod error;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{FsWord, statfs};

pub use self::error::PrivateError;
use crate::scratch;

/// A directory in memory. Dropping it removes it with all that is in it.
#[derive(Debug)]
#[must_use]
pub struct PrivateDirectory {
    path: PathBuf,
    keeper: Child,
    /// The lock that says that this process lives.
    _lock: File,
}

impl PrivateDirectory {
    /// An empty directory, mode 0700. `runtime` is what `XDG_RUNTIME_DIR` names.
    ///
    /// An error if nothing here lies in memory alone.
    pub fn create(runtime: Option<&Path>) -> Result<Self, PrivateError> {
        let places = runtime.into_iter().chain([Path::new(SHARED_MEMORY)]);
        // No link leads out of memory later.
        let places = places.map(|place| place.canonicalize().unwrap_or_else(|_| place.to_owned()));
        let places = places.collect::<Vec<_>>();
        let mut refused = None;
        let in_memory = places.iter().filter(|place| is_in_memory(place)).collect::<Vec<_>>();
        for place in &in_memory {
            scratch::sweep(place, PREFIX);
        }
        for place in in_memory {
            match Self::within(place) {
                Ok(directory) => return Ok(directory),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or(PrivateError::NoMemory { tried: places }))
    }

    /// A directory in `place`, which is a tmpfs.
    fn within(place: &Path) -> Result<Self, PrivateError> {
        let (path, lock) = loop {
            let path = place.join(format!("{PREFIX}{}", uuid::Uuid::new_v4().simple()));
            let made = DirBuilder::new().mode(0o700).create(&path);
            made.map_err(PrivateError::of(&path))?;
            // Until it is locked, another call may take it for one that a dead process has left.
            if let Some(lock) = scratch::locked(&path).map_err(PrivateError::of(&path))? {
                break (path, lock);
            }
        };
        let mut command = Command::new("sh");
        command.args(["-c", REMOVED, "sh"]).arg(&path);
        match keep(command) {
            Ok(keeper) => Ok(Self {
                path,
                keeper,
                _lock: lock,
            }),
            Err(source) => {
                let _ = fs::remove_dir_all(&path);
                Err(PrivateError::of(&path)(source))
            }
        }
    }

    /// Its path, which any process of this user can follow while this value lives.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of this name, mode 0600, and returns its path. What was there is replaced.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, PrivateError> {
        let path = self.path.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&path).and_then(|mut file| file.write_all(bytes));
        written.map_err(PrivateError::of(&path))?;
        Ok(path)
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        // The end of its input ends it.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Where every process may write to memory.
const SHARED_MEMORY: &str = "/dev/shm";

/// How the names of directories begin.
const PREFIX: &str = "floe-private-";

/// Waits for the end of the input, and removes the directory: again, if a process that lives on wrote there meanwhile.
const REMOVED: &str = "trap '' INT HUP TERM QUIT
echo ready
read -r _
for _ in 1 2 3 4 5 6 7 8; do rm -rf -- \"$1\"; [ -e \"$1\" ] || break; sleep 1; done";

/// Starts a keeper and waits until it is ready. It hears of no Ctrl-C, since it leads a process group of its own.
fn keep(mut command: Command) -> io::Result<Child> {
    let mut keeper = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let mut line = String::new();
    if let Some(stdout) = keeper.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    if line == "ready\n" {
        return Ok(keeper);
    }
    drop(keeper.stdin.take());
    let status = keeper.wait()?;
    Err(io::Error::other(format!(
        "the keeper of a private directory ended with {status}"
    )))
}

/// Whether what lies there is kept in memory alone.
fn is_in_memory(path: &Path) -> bool {
    /// Of linux/magic.h.
    const TMPFS: FsWord = 0x0102_1994;
    const RAMFS: FsWord = 0x8584_58f6;
    statfs(path).is_ok_and(|system| matches!(system.f_type, TMPFS | RAMFS))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn pid_is_gone(pid: u32) -> bool {
        !Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn a_directory_lies_in_memory_is_closed_to_others_and_is_gone_when_dropped() {
        let directory = PrivateDirectory::create(None).unwrap();
        let file = directory.write("a.yaml", b"text").unwrap();
        assert!(is_in_memory(&file));
        assert_eq!(file.canonicalize().unwrap(), file, "no program takes it for another");
        assert_eq!(fs::metadata(directory.path()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let shown = Command::new("cat").arg(&file).output().unwrap();
        assert_eq!(shown.stdout, b"text", "another program reads it by its path");
        let keeper = directory.keeper.id();
        drop(directory);
        assert!(!file.exists() && pid_is_gone(keeper));
    }

    #[test]
    fn what_a_dead_process_left_is_removed_and_what_a_living_one_has_is_not() {
        let place = Path::new(SHARED_MEMORY);
        let living = PrivateDirectory::within(place).unwrap();
        let file = living.write("a", b"text").unwrap();
        let left = place.join(format!("{PREFIX}{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&left).unwrap();
        fs::write(left.join("a"), "text").unwrap();
        scratch::sweep(place, PREFIX);
        assert!(file.exists() && !left.exists());
    }

    #[test]
    fn a_keeper_removes_the_directory_of_a_process_that_is_gone() {
        let mut directory = PrivateDirectory::within(SHARED_MEMORY.as_ref()).unwrap();
        directory.write("a", b"text").unwrap();
        // What the kernel does at the end of this process.
        drop(directory.keeper.stdin.take());
        directory.keeper.wait().unwrap();
        assert!(!directory.path().exists());
    }

    #[test]
    fn what_lies_on_a_disk_is_no_place() {
        assert!(!is_in_memory(Path::new(env!("CARGO_MANIFEST_DIR"))));
        assert!(!is_in_memory(Path::new("/nonexistent")));
    }
}
