//! A repository whose images are a shell and little else, so that a test run takes a second.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use floe::plan::Inputs;
use world::{Ended, run};

use crate::rootfs;
use crate::workshop::Workshop;

/// A repository with the mission `tiny`, whose one test is a script.
pub struct Site {
    pub repository: Workshop,
    base: String,
    id: String,
    engine: Reach,
}

/// The variables by which an engine is reached, for floe as for Docker's own client; none where it is this machine's.
pub type Reach = Vec<(String, String)>;

impl Site {
    /// A repository in which the test of the mission runs `script`, by `sh`.
    pub fn new(script: &str) -> Self {
        Self::on(Reach::new(), script)
    }

    /// The same on another engine.
    pub fn on(engine: Reach, script: &str) -> Self {
        let repository = Workshop::new();
        let base = format!("floe-test-report:{}", std::process::id());
        let archive = repository.path().join("base.tar");
        rootfs::write(&archive, &base);
        let imported = docker(&engine).arg("import").arg(&archive).arg(&base).output().unwrap();
        assert!(imported.status.success(), "{imported:?}");
        // Of Podman the client says the ID twice.
        let id = String::from_utf8(imported.stdout).unwrap();
        let id = id.trim().split(": ").next().unwrap().to_owned();
        // Podman passes over the tag of an import.
        run(docker(&engine).args(["tag", &id, &base]));
        fs::remove_file(archive).unwrap();
        repository.write(
            "common/Dockerfile",
            "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY common-scripts/ /opt/common-scripts/\n",
        );
        let dockerfile = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY environments/ /opt/environments/\n";
        repository.write("missions/tiny/Dockerfile", dockerfile);
        repository.write("missions/tiny/environments/test", &format!("#! /bin/sh\n{script}\n"));
        let site = Self {
            repository,
            base,
            id,
            engine,
        };
        site.command(&["build", "tiny"]).expect(0);
        site
    }

    /// A call of floe with this base image.
    pub fn command(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.prepared(arguments).output().unwrap())
    }

    /// The same, not yet started.
    pub fn prepared(&self, arguments: &[&str]) -> Command {
        let mut command = self.repository.command(arguments);
        command
            .env("BASE_IMAGE", &self.base)
            .env("USE_FROZEN", "1")
            .env("TEST_SERVER", "0");
        command.envs(self.engine.iter().cloned());
        command
    }

    /// What the engine has told since a time of images that it saved.
    pub fn saved(&self, since: SystemTime) -> String {
        // Docker's client has whole seconds for a time that is given in any other way.
        let [since, until] = [since, SystemTime::now()].map(|time| {
            let time = time.duration_since(UNIX_EPOCH).unwrap();
            format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
        });
        let words = ["events", "--since", &since, "--until", &until, "--filter", "event=save"];
        run(self.docker().args(words))
    }

    /// A call of Docker's own client at the engine.
    pub fn docker(&self) -> Command {
        docker(&self.engine)
    }

    /// The directory of the last run.
    pub fn run(&self) -> PathBuf {
        let runs = fs::read_dir(self.repository.path().join(".floe/runs")).unwrap();
        runs.map(|entry| entry.unwrap().path()).max().unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Other tests share a common image; this one is of no use to them.
        let shared = ["common", "foundation"].iter().filter_map(|image| {
            let inputs = self.repository.path().join(format!(".floe/inputs/floe-{image}.json"));
            let inputs = serde_json::from_slice::<Inputs>(&fs::read(inputs).ok()?).ok()?;
            Some(format!("floe/{image}:{}", inputs.digest().short()))
        });
        for image in shared.chain([self.id.clone()]) {
            let _ = self.docker().args(["rmi", "--force", &image]).output();
        }
    }
}

/// A call of Docker's own client at an engine.
pub fn docker(engine: &Reach) -> Command {
    let mut command = Command::new("docker");
    command.envs(engine.iter().cloned());
    command
}
