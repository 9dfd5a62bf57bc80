//! A server of the test channel, and floe as a process that installs from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use floe::envs::conda::{Config, Question, solve};
use floe::event::Memory;
use floe::spec::env::CondaSpec;
use floe::spec::frozen::{CondaPackage, Frozen, hex};
use rattler_conda_types::{GenericVirtualPackage, PrefixRecord, Subdir};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use world::channel::Channel;
use world::channel::server::Server;

/// Success.
pub const DONE: i32 = 0;
/// A definition is invalid, or there is no such environment.
pub const INVALID: i32 = 3;
/// Safe to try again.
pub const TEMPORARY: i32 = 75;
/// The installation failed for good.
pub const FAILED: i32 = 101;

/// How an environment is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By specs that are solved.
    Floating,
    /// By a frozen spec with its lock.
    Frozen,
}

/// A site with one environment to make, `x`.
pub struct Site {
    root: TempDir,
    pub server: Server,
    form: Form,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    /// What it said on both outputs.
    pub said: String,
    pub time: Duration,
}

impl Site {
    /// A site whose environment holds `packages` and what they need.
    pub fn new(form: Form, packages: &[&str]) -> Self {
        Self::serving(Channel::shared().dir(), form, packages)
    }

    /// The same with a channel of the test's own.
    pub fn serving(channel: &Path, form: Form, packages: &[&str]) -> Self {
        let site = Self {
            root: tempfile::tempdir().unwrap(),
            server: Server::start(channel),
            form,
        };
        fs::create_dir(site.conda_dir()).unwrap();
        site.write("condarc", &format!("channels:\n- {}\n", site.server.url()));
        match form {
            Form::Floating => {
                let lines = packages.iter().map(|package| format!("- {package}\n"));
                site.write("x.yml", &format!("dependencies:\n{}", lines.collect::<String>()));
            }
            Form::Frozen => site.freeze(&frozen(&site.server.url(), packages)),
        }
        site
    }

    /// A path below the directory that all of the site is in.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Makes this the frozen spec of the environment.
    pub fn freeze(&self, frozen: &Frozen) {
        frozen.save(&self.path("x-frozen.yml")).unwrap();
    }

    pub fn conda_dir(&self) -> PathBuf {
        self.path("conda")
    }

    pub fn prefix(&self) -> PathBuf {
        self.conda_dir().join("envs/x")
    }

    /// The words that make the environment.
    pub fn words(&self) -> [&'static str; 3] {
        let file = match self.form {
            Form::Floating => "x.yml",
            Form::Frozen => "x-frozen.yml",
        };
        ["env-create", "x", file]
    }

    /// A program of floe's for the inside of an image, which knows of this site alone.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(world::program());
        command
            .arg("applet")
            .args(words)
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path())
            .env("CONDA_DIR", self.conda_dir())
            .env("CONDARC", self.path("condarc"))
            .env("CONDA_PKGS_DIRS", self.path("packages"));
        command
    }

    /// Runs a program of floe's to its end.
    pub fn floe(&self, words: &[&str]) -> Ended {
        ended(&mut self.command(words))
    }

    /// Makes the environment.
    pub fn create(&self) -> Ended {
        self.floe(&self.words())
    }

    /// Fails the test unless everything takes the environment for missing or incomplete.
    #[track_caller]
    pub fn expect_none(&self) {
        for words in [
            &["kernel-setup", "x"][..],
            &["env-export", "x"],
            &["env-clone", "x", "y"],
            &["env-update", "x", "more.conda"],
        ] {
            self.write("more.conda", "fixpost\n");
            let ended = self.floe(words).expect(INVALID);
            let refused = ended.said.contains("there is no environment x") || ended.said.contains("is incomplete");
            assert!(refused, "{words:?}: {}", ended.said);
        }
        let tests = self.floe(&["test-imports", "x", "sys"]).expect_failure();
        assert!(!tests.said.contains("PASS"), "{}", tests.said);
    }

    /// Fails the test unless the environment is as its records say, and can be frozen.
    #[track_caller]
    pub fn expect_whole(&self) {
        let records = PrefixRecord::collect_from_prefix::<PrefixRecord>(&self.prefix()).unwrap();
        assert!(!records.is_empty());
        for path in records.iter().flat_map(|record| &record.paths_data.paths) {
            let file = self.prefix().join(&path.relative_path);
            let about = fs::symlink_metadata(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let known = path.sha256_in_prefix.or(path.sha256);
            if let Some(known) = known.filter(|_| about.is_file()) {
                let found = Sha256::digest(fs::read(&file).unwrap());
                assert_eq!(hex(&found), hex(&known), "{}", file.display());
            }
        }
        self.floe(&["env-export", "x"]).expect(DONE);
    }

    /// Fails the test unless making the environment now succeeds.
    #[track_caller]
    pub fn expect_repaired(&self) {
        self.create().expect(DONE);
        self.expect_whole();
    }
}

impl Ended {
    /// Fails the test unless it ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "floe said:\n{}", self.said);
        self
    }

    /// Fails the test if it succeeded.
    #[track_caller]
    pub fn expect_failure(self) -> Self {
        assert_ne!(self.code, DONE, "floe said:\n{}", self.said);
        self
    }

    /// Fails the test unless it said each of `parts`.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.said.contains(part), "{part:?} is not in:\n{}", self.said);
        }
        self
    }
}

/// Runs a program to its end.
pub fn ended(command: &mut Command) -> Ended {
    let start = Instant::now();
    let output = command.output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        said: String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned(),
        time: start.elapsed(),
    }
}

/// A frozen spec of these packages and of what they need, as the channel at `url` has them.
pub fn frozen(url: &str, packages: &[&str]) -> Frozen {
    let config = Config {
        channels: vec![url.to_owned()],
        ..Config::default()
    };
    let specs = packages.iter().map(|package| CondaSpec {
        text: (*package).to_owned(),
        file: PathBuf::from("x.yml"),
        line: None,
    });
    let specs = specs.collect::<Vec<_>>();
    let glibc = GenericVirtualPackage {
        name: "__glibc".parse().unwrap(),
        version: "2.36".parse().unwrap(),
        build_string: "0".parse().unwrap(),
    };
    let question = Question {
        config: &config,
        platform: Subdir::Linux64,
        named: &[],
        specs: &specs,
        machine: vec![glibc],
        kept: Vec::new(),
    };
    let records = solve(question, &Memory::default()).unwrap();
    let conda = records.into_iter().map(|record| CondaPackage {
        name: record.package_record.name.as_normalized().to_owned(),
        version: record.package_record.version.to_string(),
        build: record.package_record.build.as_str().to_owned(),
        sha256: record.package_record.sha256.as_ref().map(|digest| hex(digest)),
        record: Some(record),
    });
    Frozen {
        name: "x".to_owned(),
        channels: vec![url.to_owned()],
        conda: conda.collect(),
        ..Frozen::default()
    }
}
