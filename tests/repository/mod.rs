//! A repository for command-line tests: missions that a test writes, beside the project's own `common/`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use floe::plan::Inputs;

/// Tests of one process take turns, since equal files make equal images and each test removes its own.
static TURN: Mutex<()> = Mutex::new(());

/// A repository in a temporary directory, removed at the end of the test with the mission images built from it.
pub struct Repository {
    directory: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// How a call of floe ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Repository {
    /// A repository with the project's own `common/` and no missions.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("floe-test-").tempdir().unwrap();
        let common = Path::new(env!("CARGO_MANIFEST_DIR")).join("common");
        let copied = Command::new("cp")
            .arg("-a")
            .arg(common)
            .arg(directory.path())
            .status()
            .unwrap();
        assert!(copied.success());
        fs::create_dir(directory.path().join("missions")).unwrap();
        Self {
            directory,
            _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The repository's root.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file, with its directories. A file called `test` can be executed.
    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        if file.file_name().is_some_and(|name| name == "test") {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        file
    }

    /// A call of floe in this repository, with no settings but `USE_FROZEN=0`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floe"));
        command
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .env("USE_FROZEN", "0");
        for name in [
            "MISSION",
            "REGISTRY",
            "BASE_IMAGE",
            "SITE_CA",
            "NO_COLOR",
            "GITHUB_ACTIONS",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Runs floe in this repository.
    pub fn floe(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        // The base and common images serve the next test; a mission's serves nobody.
        for entry in fs::read_dir(self.path().join(".floe/inputs"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry
                .file_name()
                .to_string_lossy()
                .replace(".json", "")
                .replacen("floe-", "floe/", 1);
            if ["floe/base", "floe/common"].contains(&name.as_str()) {
                continue;
            }
            let inputs: Inputs = serde_json::from_slice(&fs::read(entry.path()).unwrap()).unwrap();
            let image = format!("{name}:{}", inputs.digest().short());
            let _ = Command::new("docker").args(["rmi", "--force", &image]).output();
        }
    }
}

impl Ended {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails the test unless floe ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "floe said:\n{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless floe said each of `parts` on standard error.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in:\n{}", self.stderr);
        }
        self
    }
}
