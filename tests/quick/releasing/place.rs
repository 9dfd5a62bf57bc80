//! A repository with a remote, a registry, and `floe` on the path, for scripts that people and workflows run.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use world::{Ended, LocalRegistry, Repository};

use crate::artifacts;

/// A file of the project.
#[track_caller]
pub fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A repository of one mission, `one`, with the project's own scripts and workflows, and its `origin`.
pub struct Place {
    repository: Repository,
    pub registry: LocalRegistry,
    /// Programs that are found before others, and the home directory.
    around: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let place = Self {
            repository: Repository::new(),
            registry: LocalRegistry::start(),
            around: tempfile::tempdir().unwrap(),
        };
        let programs = place.around.path().join("bin");
        fs::create_dir(&programs).unwrap();
        symlink(world::program(), programs.join("floe")).unwrap();
        for part in ["scripts", "docs/ci"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(part);
            let to = place.path().join(part);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            world::run(Command::new("cp").arg("-a").arg(from).arg(to));
        }
        place.write("missions/one/environments/one/one.pip", "six\n");
        place.write(".gitignore", ".floe/\n");
        let remote = place.remote();
        let remote = remote.to_str().unwrap();
        let script = format!(
            "git init -q -b main && git init -q --bare '{remote}' && git remote add origin '{remote}' && git add . && git commit -qm all && git push -q -u origin main"
        );
        place.shell(&script, &[]).expect(0);
        place
    }

    pub fn path(&self) -> &Path {
        self.repository.path()
    }

    /// The directory of `origin`.
    pub fn remote(&self) -> std::path::PathBuf {
        self.around.path().join("origin.git")
    }

    pub fn write(&self, path: &str, text: &str) {
        self.repository.write(path, text);
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    pub fn commit(&self) {
        self.shell("git add . && git commit -qm state && git push -q origin main", &[])
            .expect(0);
    }

    /// A deployment whose first stage names no image yet.
    pub fn deployment(&self) {
        let stages = "mission: one\nstages:\n- name: staging\n  check: {tests: ['true']}\n- name: production\n";
        self.write("deployments/hub/deployment.yml", stages);
        let name = self.registry.address("hub/one");
        for stage in ["staging", "production"] {
            let values = format!("singleuser:\n  image:\n    name: {name}\n    tag: none\n");
            self.write(&format!("deployments/hub/config/{stage}.yaml"), &values);
        }
        self.commit();
    }

    /// Puts an image that passed its tests into the registry. Returns its digest.
    pub fn image(&self, repository: &str, tag: &str) -> String {
        let digest = self.registry.image(repository, tag);
        let image = format!("{}@{digest}", self.registry.address(repository));
        artifacts::attest(&self.registry.address(repository), &image, &image);
        digest
    }

    /// A program that appends its arguments to the file `calls` of the repository, a line each.
    pub fn records(&self, program: &str) {
        let path = self.around.path().join("bin").join(program);
        let calls = self.path().join(".floe/calls");
        fs::create_dir_all(calls.parent().unwrap()).unwrap();
        fs::write(
            &path,
            format!("#! /bin/sh\nprintf '%s\\n' \"$@\" >> '{}'\n", calls.display()),
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a script as workflows do: its first failure is its end.
    pub fn shell(&self, script: &str, variables: &[(&str, &str)]) -> Ended {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-euo", "pipefail", "-c", script])
            .current_dir(self.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", format!("{}:{path}", self.around.path().join("bin").display()))
            .env("HOME", self.around.path())
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .env("USE_FROZEN", "0")
            .envs(variables.iter().copied());
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "t");
            command.env(format!("GIT_{who}_EMAIL"), "t@example.org");
        }
        Ended::of(command.output().unwrap())
    }
}
