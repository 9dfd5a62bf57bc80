//! Environments without conda packages: venvs of the base environment's python.

use std::io;
use std::path::Path;
use std::process::Command;

use super::error::io_error;
use super::pip::installer;
use super::{EnvsError, Work};
use crate::image;
use crate::spec::env::{CondaSpec, conda};

/// The packages that python itself brings to a venv.
pub(super) const BROUGHT: [&str; 2] = ["pip", "setuptools"];

/// Makes a venv of the interpreter behind the base environment, which holds what python brings.
pub(super) fn make(work: Work<'_>) -> Result<(), EnvsError> {
    run(work, &[])
}

/// Makes a venv that holds nothing, in half the time.
pub(super) fn make_bare(work: Work<'_>) -> Result<(), EnvsError> {
    run(work, &["--without-pip"])
}

fn run(work: Work<'_>, options: &[&str]) -> Result<(), EnvsError> {
    let mut venv = Command::new(image::python(&work.layout.conda_dir));
    venv.args(["-m", "venv"]).args(options).arg(work.prefix());
    installer::run(venv, work, &[], &[])
}

/// What of the conda dependencies pip can install. The python of a venv is given, so its bounds are checked.
pub(super) fn for_pip(specs: &[CondaSpec], python: &str) -> Result<Vec<String>, EnvsError> {
    let mut lines = Vec::new();
    for spec in specs {
        let constraint = spec.constraint();
        match spec.name().as_str() {
            "python" if conda::allows(&constraint, python) == Some(true) => {}
            "python" => {
                return Err(EnvsError::Python {
                    spec: spec.clone(),
                    found: python.to_owned(),
                });
            }
            name @ ("pip" | "setuptools" | "wheel") => match conda::for_pip(&constraint) {
                Some(constraint) => lines.push(format!("{name}{constraint}")),
                None => return Err(EnvsError::NeedsConda { spec: spec.clone() }),
            },
            _ => return Err(EnvsError::NeedsConda { spec: spec.clone() }),
        }
    }
    Ok(lines)
}

/// The release of the interpreter, e.g. `3.11.2`.
pub(super) fn python_version(python: &Path) -> Result<String, EnvsError> {
    let output = Command::new(python)
        .args(["-I", "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"])
        .output()
        .map_err(io_error(python))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(io_error(python)(io::Error::other(words)))
    }
}
