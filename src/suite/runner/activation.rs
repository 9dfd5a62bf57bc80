//! Commands in an activated environment: the variables and scripts that `conda activate` would bring.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::Options;
use crate::reference::EnvironmentName;

/// Sources the scripts that packages bring for activation, then becomes the program.
const ACTIVATE: &str =
    r#"for script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do . "$script"; done >&2; exec "$0" "$@""#;

/// A command that runs `program` with the environment active.
pub fn command(environment: &EnvironmentName, program: &Path, options: &Options) -> Command {
    let prefix = options.prefix(environment);
    let scripts = prefix.join("etc/conda/activate.d");
    let has_scripts = fs::read_dir(scripts).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.path().extension() == Some(OsStr::new("sh")))
    });
    let mut command = if has_scripts {
        let mut shell = Command::new("/bin/bash");
        shell.args(["-c", ACTIVATE]).arg(program);
        shell
    } else {
        Command::new(program)
    };
    command
        .env_clear()
        .envs(&options.variables)
        .env_remove("PYTHONHOME")
        .env("PATH", path(&prefix, options))
        .env("CONDA_PREFIX", &prefix)
        .env("CONDA_DEFAULT_ENV", environment.as_str())
        .envs(state(&prefix));
    if prefix.join("pyvenv.cfg").is_file() {
        command.env("VIRTUAL_ENV", &prefix);
    }
    command
}

fn path(prefix: &Path, options: &Options) -> OsString {
    let mut path = prefix.join("bin").into_os_string();
    if let Some(inherited) = options
        .variables
        .get(OsStr::new("PATH"))
        .filter(|path| !path.is_empty())
    {
        path.push(":");
        path.push(inherited);
    }
    path
}

/// The variables that the environment's file sets, as conda records them.
fn state(prefix: &Path) -> Vec<(String, String)> {
    let bytes = fs::read(prefix.join("conda-meta/state")).unwrap_or_default();
    let state: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let variables = state["env_vars"].as_object().into_iter().flatten();
    variables
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}
