//! The engines that `scripts/second-engine` makes: a newer Docker, with either image store and several ways to it, and a newer
//! Podman.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use world::{run, scratch};

use crate::site::Reach;

/// A second engine, which ends some seconds after the last test that borrowed it.
pub struct Second {
    engine: &'static str,
    _users: File,
}

impl Second {
    /// Waits until the engine called `containerd`, `classic` or `podman` answers, or `spare`, another `classic` one for who ends it.
    /// Making it takes a minute, once.
    pub fn borrow(engine: &'static str) -> Self {
        fs::create_dir_all(scratch()).unwrap();
        let users = scratch().join(format!("second-engine-{engine}.users"));
        let file = File::options().create(true).append(true).open(&users).unwrap();
        // Before the call, lest the engine end right after it. The lock goes with the process.
        file.lock_shared().unwrap();
        run(script().arg("lend").arg(users).arg(engine));
        Self { engine, _users: file }
    }

    /// Ends it at once, with all that runs there, as a machine without power does.
    pub fn kill(&self) {
        let pid = fs::read_to_string(format!("/run/floe-second-engine/{}/pid", self.engine)).unwrap();
        run(Command::new("kill").args(["-KILL", pid.trim()]));
    }

    /// What it has said since it was started.
    pub fn said(&self) -> String {
        fs::read_to_string(format!("/run/floe-second-engine/{}/log", self.engine)).unwrap()
    }

    /// How it is reached by a way: `unix`, `tls` or `ssh`.
    pub fn reach(&self, way: &str) -> Reach {
        let lines = run(script().args(["env", self.engine, way]));
        let assigned = lines.lines().map(|line| line.strip_prefix("export ").unwrap());
        let assigned = assigned.map(|line| line.split_once('=').unwrap());
        assigned
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/second-engine"))
}
