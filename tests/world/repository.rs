//! A repository for command-line tests: missions that a test writes, beside the project's own `common/`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Ended, floe, floe_with_engine};

/// The project's own, which every repository begins with.
const COMMON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../common");

/// A repository in a temporary directory, removed at the end of the test.
#[derive(Debug)]
pub struct Repository {
    directory: tempfile::TempDir,
    engine: bool,
}

impl Default for Repository {
    fn default() -> Self {
        Self::new()
    }
}

impl Repository {
    /// A repository with the project's own `common/` and no missions, whose calls of floe find no container engine.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("floe-test-").tempdir().unwrap();
        let copied = Command::new("cp").args(["-a", COMMON]).arg(directory.path()).status();
        assert!(copied.unwrap().success());
        fs::create_dir(directory.path().join("missions")).unwrap();
        Self {
            directory,
            engine: false,
        }
    }

    /// The same, whose calls of floe use the container engine that this process would use.
    pub fn with_engine() -> Self {
        Self {
            engine: true,
            ..Self::new()
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
        let mut command = if self.engine { floe_with_engine() } else { floe() };
        command.args(arguments).current_dir(self.path()).env("USE_FROZEN", "0");
        command
    }

    /// Runs floe in this repository.
    pub fn floe(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }
}
