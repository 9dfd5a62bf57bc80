//! A base environment for each test, with uv and ipykernel from PyPI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use floe::envs::conda::Config;
use floe::envs::{EnvsError, Installer, Layout, Tools, env_clone, env_create, env_update};
use floe::event::Memory;
use floe::reference::EnvironmentName;

/// A base environment for one test, with uv and ipykernel.
pub struct Base {
    pub layout: Layout,
    pub tools: Tools,
    pub sink: Memory,
}

impl Base {
    /// A clone of the base environment that all tests share, at a place of its own.
    pub fn new(test: &str) -> Self {
        let tmp = world::scratch().join("environments");
        let shared = shared_base(&tmp);
        let clone = name(&format!("{test}.conda"));
        let prefix = shared.prefix(&clone);
        let files = tmp.join("files").join(test);
        for old in [&prefix, &files] {
            if old.exists() {
                fs::remove_dir_all(old).unwrap();
            }
        }
        let sink = Memory::default();
        env_clone(&shared, &name("base"), &clone, &sink).unwrap();
        fs::create_dir_all(files.join("environments")).unwrap();
        Self {
            tools: Tools {
                pip: Installer::of(&prefix),
                conda: Config::default(),
            },
            layout: Layout {
                conda_dir: prefix,
                common_env: files.join("common-env"),
                environments: files.join("environments"),
            },
            sink,
        }
    }

    /// Writes a file of an environment and returns its path.
    pub fn file(&self, environment: &str, file: &str, text: &str) -> PathBuf {
        let dir = self.layout.environments.join(environment);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(file), text).unwrap();
        dir.join(file)
    }

    pub fn create(&self, environment: &str, yml: Option<&Path>) -> Result<(), EnvsError> {
        env_create(&self.layout, &self.tools, &name(environment), yml, &self.sink)
    }

    pub fn clone_base(&self, environment: &str) -> PathBuf {
        env_clone(&self.layout, &name("base"), &name(environment), &self.sink).unwrap();
        self.layout.prefix(&name(environment))
    }

    pub fn update(&self, environment: &str, files: &[PathBuf]) -> Result<(), EnvsError> {
        env_update(&self.layout, &self.tools, &name(environment), files, &self.sink)
    }
}

pub fn name(text: &str) -> EnvironmentName {
    text.parse().unwrap()
}

/// Made once, by whichever test comes first.
fn shared_base(tmp: &Path) -> Layout {
    fs::create_dir_all(tmp).unwrap();
    let lock = fs::File::create(tmp.join("lock")).unwrap();
    lock.lock().unwrap();
    let conda_dir = tmp.join("conda");
    let ready = conda_dir.join("ready");
    if !ready.exists() {
        let _ = fs::remove_dir_all(&conda_dir);
        succeeds(Command::new("python3").args(["-m", "venv"]).arg(&conda_dir));
        succeeds(Command::new(conda_dir.join("bin/pip")).args(["install", "--quiet", "uv", "ipykernel"]));
        fs::write(ready, "").unwrap();
    }
    Layout::of_image(conda_dir)
}

/// Runs the program and returns what it prints.
pub fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
