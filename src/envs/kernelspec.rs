//! Environments registered as Jupyter kernels of the same name.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::error::io_error;
use super::{EnvsError, Layout, variables};
use crate::event::{Event, Sink};
use crate::reference::EnvironmentName;
use crate::spec::env::display_name;

/// Registers the environments, or all that there are, as kernels in the base environment. Returns the files written.
///
/// The base environment needs none: it has the kernel `python3`.
pub fn kernel_setup(layout: &Layout, names: &[EnvironmentName], sink: &dyn Sink) -> Result<Vec<PathBuf>, EnvsError> {
    let names = if names.is_empty() {
        layout.installed()?
    } else {
        names.to_vec()
    };
    let mut written = Vec::new();
    for name in names.iter().filter(|name| !name.is_base()) {
        let prefix = layout.complete(name)?;
        if !has_ipykernel(&prefix)? {
            return Err(EnvsError::NoKernel { name: name.clone() });
        }
        let shown = display_name(&layout.environments.join(name.as_str()), name)?;
        let dir = kernel_dir(layout, name);
        fs::create_dir_all(&dir).map_err(io_error(&dir))?;
        copy_logos(&prefix.join("share/jupyter/kernels/python3"), &dir)?;
        let path = dir.join("kernel.json");
        let text = serde_json::to_string_pretty(&kernelspec(name, &prefix, &shown)?)
            .map_err(|error| io_error(&path)(error.into()))?;
        fs::write(&path, text + "\n").map_err(io_error(&path))?;
        sink.emit(Event::Note {
            text: format!("the kernel {name} ({shown}) runs in {}", prefix.display()),
        });
        written.push(path);
    }
    Ok(written)
}

/// Where the environment's kernelspec is.
pub(super) fn kernel_dir(layout: &Layout, name: &EnvironmentName) -> PathBuf {
    layout.conda_dir.join("share/jupyter/kernels").join(name.as_str())
}

fn kernelspec(name: &EnvironmentName, prefix: &Path, shown: &str) -> Result<Value, EnvsError> {
    let text = prefix.to_string_lossy();
    let mut env = json!({
        // Programs that a notebook calls, `!pip` among them, are those of the environment.
        "PATH": format!("{text}/bin:${{PATH}}"),
        "CONDA_PREFIX": text,
        "CONDA_DEFAULT_ENV": name.as_str(),
        "VIRTUAL_ENV": text,
    });
    for (variable, value) in variables::set(prefix)? {
        env[variable] = Value::String(value);
    }
    Ok(json!({
        "argv": [
            format!("{text}/bin/python"),
            // The debugger cannot set breakpoints in frozen modules.
            "-Xfrozen_modules=off",
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
        ],
        "display_name": shown,
        "language": "python",
        "env": env,
        "metadata": {"debugger": true},
    }))
}

fn has_ipykernel(prefix: &Path) -> Result<bool, EnvsError> {
    let lib = prefix.join("lib");
    for entry in fs::read_dir(&lib).map_err(io_error(&lib))? {
        let python = entry.map_err(io_error(&lib))?.path();
        if python.join("site-packages/ipykernel/__init__.py").is_file() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Copies the pictures that Jupyter shows with a kernel.
fn copy_logos(from: &Path, to: &Path) -> Result<(), EnvsError> {
    let Ok(entries) = fs::read_dir(from) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry.map_err(io_error(from))?.path();
        if let Some(name) = path
            .file_name()
            .filter(|name| name.as_encoded_bytes().starts_with(b"logo-"))
        {
            fs::copy(&path, to.join(name)).map_err(io_error(&path))?;
        }
    }
    Ok(())
}
