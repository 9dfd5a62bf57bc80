//! The variables of an environment, in the file in which conda, too, keeps them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::EnvsError;
use super::error::io_error;

/// How conda marks a variable that the environment does not set any longer.
const UNSET: &str = "***unset***";

/// The variables that the environment at `prefix` sets.
pub(super) fn set(prefix: &Path) -> Result<BTreeMap<String, String>, EnvsError> {
    let mut variables = read(prefix)?;
    variables.retain(|_, value| value != UNSET);
    Ok(variables)
}

/// The variables in the file, with those that are no longer set.
fn read(prefix: &Path) -> Result<BTreeMap<String, String>, EnvsError> {
    let path = file(prefix);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(io_error(&path)(source)),
    };
    serde_json::from_str::<State>(&text)
        .map(|state| state.env_vars)
        .map_err(|error| io_error(&path)(error.into()))
}

/// Adds variables to those that the environment has.
pub(super) fn add(prefix: &Path, variables: &BTreeMap<String, String>) -> Result<(), EnvsError> {
    if variables.is_empty() {
        return Ok(());
    }
    let mut env_vars = read(prefix)?;
    env_vars.extend(variables.clone());
    let path = file(prefix);
    let dir = prefix.join("conda-meta");
    fs::create_dir_all(&dir).map_err(io_error(&dir))?;
    let text = serde_json::to_string(&State { version: 1, env_vars }).map_err(|error| io_error(&path)(error.into()))?;
    fs::write(&path, text).map_err(io_error(&path))
}

fn file(prefix: &Path) -> PathBuf {
    prefix.join("conda-meta/state")
}

#[derive(serde::Serialize, serde::Deserialize)]
struct State {
    version: u32,
    env_vars: BTreeMap<String, String>,
}
