//! What the host and an image agree on: where things are, what the agent is called as, which variables and labels pass
//! between them.

pub mod applet;
pub mod label;
pub mod variable;

use std::path::{Path, PathBuf};

use crate::reference::EnvironmentName;

/// Where images have the base environment unless they set `CONDA_DIR`.
pub const CONDA_DIR: &str = "/opt/conda";

/// The agent's programs, one link for each of [`applet::ALL`].
pub const PROGRAMS: &str = "/opt/common-scripts";

/// The lists of what all environments share.
pub const COMMON_ENV: &str = "/opt/common-env";

/// The directories of the environments' own files: specs and tests.
pub const ENVIRONMENTS: &str = "/opt/environments";

/// The mission's own test script.
pub const MISSION_SCRIPT: &str = "/opt/environments/test";

/// Where an image that floe did not build is given the agent, and its tests below.
pub const GUEST: &str = "/opt/floe";

/// The program of `applet` in an image that floe built.
#[must_use]
pub fn program(applet: &str) -> String {
    format!("{PROGRAMS}/{applet}")
}

/// The directory below `conda_dir` that holds all environments but the base environment.
#[must_use]
pub fn environments_below(conda_dir: &Path) -> PathBuf {
    conda_dir.join("envs")
}

/// Where the environment `name` is, whether or not it exists; `conda_dir` is the base environment.
#[must_use]
pub fn prefix(conda_dir: &Path, name: &EnvironmentName) -> PathBuf {
    if name.is_base() {
        conda_dir.to_owned()
    } else {
        environments_below(conda_dir).join(name.as_str())
    }
}

/// The names that the kernel of an environment may have, the likeliest first. It is that of the environment; that of the
/// base environment has it only if somebody gave it one, for ipykernel itself installs it as `python3`.
pub fn kernels(environment: &EnvironmentName) -> impl Iterator<Item = &str> {
    let own = environment.is_base().then_some("python3");
    std::iter::once(environment.as_str()).chain(own)
}

/// The python of the environment at `prefix`.
#[must_use]
pub fn python(prefix: &Path) -> PathBuf {
    prefix.join("bin/python")
}
