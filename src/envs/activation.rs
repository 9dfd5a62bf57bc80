//! Commands in an activated environment: the variables and scripts that `conda activate` would bring.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;

use super::variables;
use crate::reference::EnvironmentName;

/// Sources the scripts that packages bring for activation, then becomes the program.
const ACTIVATE: &str =
    r#"for script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do . "$script"; done >&2; exec "$0" "$@""#;

/// A command that runs `program` with the environment `name` at `prefix` active, and with these variables beside its own.
#[must_use]
pub fn activated(
    name: &EnvironmentName,
    prefix: &Path,
    program: &Path,
    inherited: &BTreeMap<OsString, OsString>,
) -> Command {
    let mut command = if has_scripts(prefix) {
        let mut shell = Command::new("/bin/bash");
        shell.args(["-c", ACTIVATE]).arg(program);
        shell
    } else {
        Command::new(program)
    };
    command
        .env_clear()
        .envs(inherited)
        .env_remove("PYTHONHOME")
        .env("PATH", path(prefix, inherited.get(OsStr::new("PATH"))))
        .env("CONDA_PREFIX", prefix)
        .env("CONDA_DEFAULT_ENV", name.as_str())
        // A file that nobody can read sets nothing, as with conda.
        .envs(variables::set(prefix).unwrap_or_default());
    if prefix.join("pyvenv.cfg").is_file() {
        command.env("VIRTUAL_ENV", prefix);
    }
    command
}

/// Whether packages bring scripts for activation.
fn has_scripts(prefix: &Path) -> bool {
    let scripts = fs::read_dir(prefix.join("etc/conda/activate.d"));
    scripts.is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.path().extension() == Some(OsStr::new("sh")))
    })
}

fn path(prefix: &Path, inherited: Option<&OsString>) -> OsString {
    let mut path = prefix.join("bin").into_os_string();
    if let Some(inherited) = inherited.filter(|path| !path.is_empty()) {
        path.push(":");
        path.push(inherited);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_conda_has_unset_is_not_set() {
        let prefix = tempfile::tempdir().unwrap();
        let state = r#"{"version": 1, "env_vars": {"KEPT": "1", "GONE": "***unset***"}}"#;
        fs::create_dir(prefix.path().join("conda-meta")).unwrap();
        fs::write(prefix.path().join("conda-meta/state"), state).unwrap();
        let command = activated(
            &"x".parse().unwrap(),
            prefix.path(),
            Path::new("/bin/true"),
            &BTreeMap::from([("PATH".into(), "/bin".into())]),
        );
        let value = |name: &str| {
            command
                .get_envs()
                .find(|(known, _)| *known == name)
                .and_then(|(_, value)| value)
        };
        assert_eq!(value("KEPT"), Some(OsStr::new("1")));
        assert_eq!(value("GONE"), None);
        let bin = format!("{}/bin:/bin", prefix.path().display());
        assert_eq!(value("PATH"), Some(OsStr::new(&bin)));
    }
}
