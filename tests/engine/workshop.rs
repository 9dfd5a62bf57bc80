//! A repository whose missions are built, and of which nothing stays with the engine.

use std::fs;
use std::ops::Deref;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use floe::plan::Inputs;
use world::{Repository, run};

/// Tests of one process take turns: equal files make equal images and each test removes its own, and a run of floe's
/// removes containers that a killed one left.
static TURN: Mutex<()> = Mutex::new(());

/// A repository that goes with the test, and with it the mission images that were built from it.
pub struct Workshop {
    repository: Repository,
    _turn: MutexGuard<'static, ()>,
}

impl Workshop {
    /// A repository with the project's own `common/` and no missions.
    pub fn new() -> Self {
        Self {
            repository: Repository::with_engine(),
            _turn: turn(),
        }
    }
}

/// Waits for the tests whose turn it is, and keeps others waiting. A workshop has done this already.
pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deref for Workshop {
    type Target = Repository;

    fn deref(&self) -> &Repository {
        &self.repository
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // The images that missions share serve the next test; a mission's serves nobody.
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
            if ["floe/base", "floe/foundation", "floe/common"].contains(&name.as_str()) {
                continue;
            }
            let inputs: Inputs = serde_json::from_slice(&fs::read(entry.path()).unwrap()).unwrap();
            let image = format!("{name}:{}", inputs.digest().short());
            let _ = Command::new("docker").args(["rmi", "--force", &image]).output();
        }
    }
}

/// What Docker's own command line says.
pub fn docker(arguments: &[&str]) -> String {
    run(Command::new("docker").args(arguments)).trim().to_owned()
}

/// The containers of floe's test runs of `mission`.
pub fn containers(mission: &str) -> String {
    let mission = format!("label=org.floe.mission={mission}");
    docker(&["ps", "-aq", "--filter", "label=org.floe.run", "--filter", &mission])
}
