//! A local conda channel for tests: a real Python and its libraries out of Debian's archive, real packages out of PyPI's
//! wheels, and small packages of its own that give solvers and installers something to fail at.
//!
//! Needs Debian 12 on x86-64 with `apt-get`, `dpkg-deb`, `patchelf` and `python3-venv`. It is made once in a target directory,
//! and again when the source of the generator changes.

mod archive;
mod debian;
mod interpreter;
mod package;
mod repodata;
pub mod server;
pub mod synthetic;
mod wheel;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::command::run;
use crate::program::scratch;

/// What the channel is made by. Its digest names the channel, so that none outlives the generator that made it.
const SOURCES: &[&str] = &[
    include_str!("channel.rs"),
    include_str!("channel/archive.rs"),
    include_str!("channel/debian.rs"),
    include_str!("channel/interpreter.rs"),
    include_str!("channel/package.rs"),
    include_str!("channel/repodata.rs"),
    include_str!("channel/synthetic.rs"),
    include_str!("channel/wheel.rs"),
    include_str!("channel/wheels.txt"),
];

/// A directory that holds a conda channel: `linux-64/` and `noarch/`, each with its archives and their repodata.
#[derive(Debug, Clone)]
pub struct Channel {
    directory: PathBuf,
}

impl Channel {
    /// The channel that all tests read. The first to ask makes it; tests that damage it take a copy.
    pub fn shared() -> Self {
        Self::cached(&scratch())
    }

    /// The channel in `scratch`, which is made there unless an earlier call did.
    pub fn cached(scratch: &Path) -> Self {
        let directory = scratch.join(format!("conda-channel-{}", key(SOURCES)));
        once(&directory, |part| {
            Self::generate(part, scratch);
        });
        Self { directory }
    }

    /// Makes the channel in the empty directory `directory`, of what `downloads` holds or is to hold.
    pub fn generate(directory: &Path, downloads: &Path) -> Self {
        let debs = downloads.join(format!("debs-{}", key(&[include_str!("channel/debian.rs")])));
        let wheels = downloads.join(format!(
            "wheels-{}",
            key(&[include_str!("channel/wheels.txt"), include_str!("channel/wheel.rs")])
        ));
        rayon::join(|| once(&debs, debian::download), || once(&wheels, wheel::download));
        let synthetic = || archive::write_all(directory, synthetic::packages());
        let native = || {
            let mut written = archive::write_all(directory, debian::libraries(&debs));
            written.push(archive::write(directory, &interpreter::python(&debs)));
            written.push(archive::write(directory, &wheel::certificates(&wheels)));
            written
        };
        let repacked = || archive::write_each(directory, &wheel::list(&wheels), |path| wheel::package(path));
        let (mut written, (more, most)) = rayon::join(synthetic, || rayon::join(native, repacked));
        written.extend(more);
        written.extend(most);
        repodata::write(directory, &written);
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Where the channel lies.
    pub fn dir(&self) -> &Path {
        &self.directory
    }

    /// The channel's `file://` URL, without a slash at its end.
    pub fn file_url(&self) -> String {
        let url = url::Url::from_directory_path(&self.directory).unwrap();
        url.as_str().trim_end_matches('/').to_owned()
    }

    /// A copy in `directory`, which is made, for a test that changes it.
    pub fn copy_to(&self, directory: &Path) -> Self {
        fs::create_dir_all(directory).unwrap();
        let from = self.directory.join(".");
        run(Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .arg(from)
            .arg(directory));
        Self {
            directory: directory.to_owned(),
        }
    }
}

/// Makes the directory `target` by `make` unless it is there. Processes that want the same one wait for each other, and it
/// is there complete or not at all: `make` gets a directory beside it that takes its name at the end.
pub fn once(target: &Path, make: impl FnOnce(&Path)) {
    if target.exists() {
        return;
    }
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    let turn = File::create(target.with_extension("lock")).unwrap();
    turn.lock().unwrap();
    if target.exists() {
        return;
    }
    let part = target.with_extension("part");
    if part.exists() {
        fs::remove_dir_all(&part).unwrap();
    }
    fs::create_dir(&part).unwrap();
    make(&part);
    fs::rename(&part, target).unwrap();
}

/// A short name for `texts`, which changes with them.
fn key(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    format!("{:x}", hash.finalize())[..12].to_owned()
}

/// The SHA-256 of `bytes` in hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
