//! Virtual environments with packages of PyPI.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::run;
use crate::program::scratch;

/// A virtual environment of this machine's Python with `packages` in it, made once and kept between runs.
pub fn venv(name: &str, packages: &[&str]) -> PathBuf {
    venv_with(name, packages, |_| ())
}

/// The same with what `finish` adds to it.
pub fn venv_with(name: &str, packages: &[&str], finish: impl FnOnce(&Path)) -> PathBuf {
    let prefix = scratch().join("venvs").join(name);
    fs::create_dir_all(prefix.parent().unwrap()).unwrap();
    // Each test may be a process of its own: the first makes it, the others wait.
    let turn = File::create(prefix.with_extension("lock")).unwrap();
    turn.lock().unwrap();
    let (ready, holds) = (prefix.with_extension("ready"), packages.join("\n"));
    if fs::read_to_string(&ready).is_ok_and(|text| text == holds) {
        return prefix;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&prefix));
    run(Command::new(prefix.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(packages));
    finish(&prefix);
    fs::write(ready, holds).unwrap();
    prefix
}
