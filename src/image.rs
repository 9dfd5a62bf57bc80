//! What the host and an image agree on: where things are, what the agent is called as, which variables and labels pass
//! between them.

pub mod applet;
pub mod assembly;
pub mod label;
pub mod layer;
pub mod store;
pub mod variable;
pub mod visit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::reference::EnvironmentName;

/// Where images have the base environment unless they set `CONDA_DIR`.
pub const CONDA_DIR: &str = "/opt/conda";

/// The agent's programs, one link for each of [`applet::ALL`].
pub const PROGRAMS: &str = "/opt/common-scripts";

/// Tells how floe installs environments from how it did before: another one where what is made of the same specs is other files.
/// Images that hold environments are built again where it changes, of nothing that was kept before; and not where a new program
/// installs what the one before did.
pub const INSTALLER: &str = "1";

/// The lists of what all environments share.
pub const COMMON_ENV: &str = "/opt/common-env";

/// The directories of the environments' own files: specs and tests.
pub const ENVIRONMENTS: &str = "/opt/environments";

/// The mission's own test script, beside the environments' directories.
pub const MISSION_SCRIPT: &str = "test";

/// Where a container is given what it needs of the host: the agent, and tests that are not in its image. The image itself says
/// there what it is and holds.
pub const GUEST: &str = "/opt/floe";

/// The program of the host's own agent, alone in its directory: a volume that nothing in the container can change.
pub const AGENT: &str = "/opt/floe/bin/floe";

/// What all tests of an image with these variables run with: none of it may be another for one of them than for the next.
#[must_use]
pub fn tested_with(variables: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let conda_dir = variables.get("CONDA_DIR").map_or(CONDA_DIR, String::as_str);
    let own = [conda_dir, ENVIRONMENTS, PROGRAMS, COMMON_ENV, "/usr"].map(PathBuf::from);
    let listed = variables.get("PYTHONPATH").map(std::env::split_paths);
    let listed = listed.into_iter().flatten().filter(|path| path.is_absolute());
    own.into_iter().chain(listed).collect()
}

/// What programs of a user run, whoever the user is, below the home directory: packages and commands that pip installs, and
/// kernels.
pub const OF_USERS: [&str; 3] = [".local/lib", ".local/bin", ".local/share/jupyter/kernels"];

/// IPython's own directory below the home directory.
pub const IPYTHON: &str = ".ipython";

/// Whether a file of [`IPYTHON`] is code that IPython reads when it starts.
#[must_use]
pub fn is_read_by_ipython(file: &Path) -> bool {
    let extension = file.extension();
    extension.is_some_and(|extension| extension == "py" || extension == "ipy")
}

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
