//! A base environment with uv, a channel and caches that outlive a run, and environments that do not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use floe::spec::frozen::Frozen;
use world::channel::{Channel, once};

use super::specs;
use world::run;

/// Where the measured programs work.
pub struct Workplace {
    root: PathBuf,
    channel: Channel,
    files: tempfile::TempDir,
}

/// An environment to measure with, and its frozen spec.
pub struct Sample {
    pub name: &'static str,
    pub prefix: PathBuf,
    pub yml: PathBuf,
    pub frozen: Frozen,
}

impl Workplace {
    /// Makes what is missing of it.
    pub fn open() -> Self {
        let root = world::scratch().join("benchmark");
        let channel = Channel::shared();
        let files = tempfile::tempdir().unwrap();
        fs::write(
            files.path().join("condarc"),
            format!("channels:\n- {}\n", channel.file_url()),
        )
        .unwrap();
        let workplace = Self { root, channel, files };
        let conda_dir = workplace.conda_dir();
        // A venv knows where it is, so it cannot be made elsewhere and moved.
        once(&workplace.root.join("ready"), |_| {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&conda_dir));
            let mut install = workplace.command(&conda_dir.join("bin/pip"));
            run(install.args(["install", "--quiet", "--upgrade", "pip", "uv"]));
        });
        workplace.sweep();
        workplace
    }

    /// The base environment.
    pub fn conda_dir(&self) -> PathBuf {
        self.root.join("conda")
    }

    /// The program.
    pub fn uv(&self) -> PathBuf {
        self.conda_dir().join("bin/uv")
    }

    /// The measured programs with their versions.
    pub fn versions(&self) -> Vec<String> {
        let uv = run(Command::new(self.uv()).arg("--version"));
        let pip = run(Command::new(self.conda_dir().join("bin/pip")).arg("--version"));
        let rattler = locked("rattler").map(|version| format!("rattler {version}"));
        let uv = uv.split(" (").next().map(|version| version.trim().to_owned());
        let pip = pip.split(" from").next().map(str::to_owned);
        [rattler, uv, pip].into_iter().flatten().collect()
    }

    /// Where fetched conda packages are kept, as floe lays it out.
    pub fn packages(&self) -> PathBuf {
        self.root.join("conda-packages/pkgs")
    }

    /// A file in a directory that goes with the run.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Where an environment is.
    pub fn prefix(&self, name: &str) -> PathBuf {
        self.conda_dir().join("envs").join(name)
    }

    /// A program that uses the caches, and copies out of them, as it has to where a cache is mounted.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("CONDA_DIR", self.conda_dir())
            .env("CONDARC", self.files.path().join("condarc"))
            .env("CONDA_PKGS_DIRS", self.root.join("conda-packages"))
            .env("FLOE_CACHE_DIR", self.root.join("floe"))
            .env("UV_CACHE_DIR", self.root.join("uv"))
            .env("UV_LINK_MODE", "copy")
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("PIP_CACHE_DIR", self.root.join("pip"))
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .env_remove("PIP_FIND_LINKS")
            .env_remove("VIRTUAL_ENV");
        command
    }

    /// One of floe's programs for the inside of an image.
    pub fn floe(&self, words: &[&str]) -> Command {
        let mut command = self.command(&world::program());
        command.arg("applet").args(words).current_dir(self.files.path());
        command
    }

    /// An environment of the channel's and PyPI's packages, made by floe from a floating spec, and frozen. It is made
    /// once.
    pub fn sample(&self, name: &'static str, conda: &[&str], pip: &[&str]) -> Sample {
        let yml = Frozen::yml_path(self.files.path(), name);
        if !yml.exists() {
            let floating = format!("{name}.yml");
            self.file(&floating, &specs::yml(&self.channel.file_url(), conda, pip));
            run(&mut self.floe(&["env-create", name, &floating]));
            run(&mut self.floe(&["env-export", name, "--to", "."]));
        }
        Sample {
            name,
            prefix: self.prefix(name),
            frozen: Frozen::load(&yml).unwrap(),
            yml,
        }
    }

    /// The environment that is made again and again.
    pub fn small(&self) -> Sample {
        self.sample("small", specs::CONDA, specs::PIP)
    }

    /// The environment with more packages and files.
    pub fn large(&self) -> Sample {
        let conda = [specs::CONDA, specs::MORE_CONDA].concat();
        let pip = [specs::PIP, specs::MORE_PIP].concat();
        self.sample("large", &conda, &pip)
    }

    /// Removes the environments of this run and of one that was killed.
    fn sweep(&self) {
        remove(&self.conda_dir().join("envs"));
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        self.sweep();
    }
}

/// Removes a tree that may be there.
pub fn remove(tree: &Path) {
    if tree.exists() {
        fs::remove_dir_all(tree).unwrap();
    }
}

/// Makes `to` a copy of the tree `from`.
pub fn copy(from: &Path, to: &Path) -> Command {
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(from).arg(to);
    copy
}

/// The version of a crate that floe is built with.
fn locked(name: &str) -> Option<&'static str> {
    let (_, rest) = include_str!("../../Cargo.lock").split_once(&format!("name = \"{name}\"\nversion = \""))?;
    rest.split('"').next()
}
