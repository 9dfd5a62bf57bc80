//! The digests of pip packages, which environments do not keep: asked of the index for exactly the versions that are
//! installed.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use url::Url;

use super::archive::{File, choose, preferred};
use crate::envs::export::Wheel;
use crate::envs::{EnvsError, Installer};
use crate::event::{Event, Sink};
use crate::reference::EnvironmentName;
use crate::spec::frozen::{PipPackage, normalized};

/// Adds the digest of every package that came from an index. Its address there is left out: another site has another
/// index, and the digest is the same.
pub(in crate::envs) fn complete(
    installer: &Installer,
    name: &EnvironmentName,
    python: &Python<'_>,
    packages: &mut [PipPackage],
    wheels: &BTreeMap<String, Wheel>,
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    let asked = packages.iter().filter(|package| package.is_from_index());
    let pins = asked
        .flat_map(|package| [package.requirement.as_str(), "\n"])
        .collect::<String>();
    if pins.is_empty() {
        return Ok(());
    }
    let answer = match (installer, python) {
        (Installer::Uv { program, .. }, _) => {
            let mut command = python.compile(program);
            command.args(["--no-deps", "--format", "pylock.toml", "-"]);
            let text = output(command, name, &pins)?;
            toml::from_str::<Lock>(&text).map_err(|error| unreadable(program, &error.to_string()))
        }
        // Without uv nobody solves for a python that is elsewhere.
        (Installer::Pip, Python::Elsewhere { .. }) => return Ok(()),
        (Installer::Pip, Python::At(python)) => {
            let mut command = Command::new(python);
            command.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-input",
                "--disable-pip-version-check",
            ]);
            command.args(["--dry-run", "--ignore-installed", "--no-deps", "--report", "-"]);
            command.args(["--requirement", "/dev/stdin"]);
            let text = output(command, name, &pins)?;
            let report = serde_json::from_str::<Report>(&text);
            report
                .map(Report::into_lock)
                .map_err(|error| unreadable(python, &error.to_string()))
        }
    }?;
    let mut locked = answer
        .packages
        .into_iter()
        .map(|package| (normalized(&package.name), package))
        .collect::<BTreeMap<_, _>>();
    let mut unknown = Vec::new();
    for package in packages.iter_mut().filter(|package| package.is_from_index()) {
        let name = normalized(&package.name);
        let files = locked.remove(&name).map(Locked::files).unwrap_or_default();
        let chosen = match python {
            Python::At(_) => wheels.get(&name).and_then(|wheel| choose(files, wheel)),
            Python::Elsewhere { .. } => preferred(files),
        };
        package.sha256 = chosen.and_then(|mut file| file.hashes.remove("sha256"));
        if package.sha256.is_none() {
            unknown.push(package.requirement.clone());
        }
    }
    if !unknown.is_empty() {
        sink.emit(Event::Warning {
            text: format!("the index tells no sha256 of {}: frozen without", unknown.join(", ")),
        });
    }
    Ok(())
}

/// The python that packages are for.
#[derive(Debug, Clone, Copy)]
pub(in crate::envs) enum Python<'a> {
    /// The program.
    At(&'a Path),
    /// One of an image that is not here.
    Elsewhere {
        /// Its release.
        version: &'a str,
        /// What programs are told of the site, by environment variables.
        site: &'a BTreeMap<String, String>,
    },
}

impl Python<'_> {
    /// The beginning of a resolution by uv for this python.
    pub fn compile(&self, uv: &Path) -> Command {
        let mut command = Command::new(uv);
        command.args(["pip", "compile", "--quiet", "--no-header"]);
        match self {
            Self::At(python) => command.arg("--python").arg(python),
            Self::Elsewhere { version, site } => {
                command.args([
                    "--python-version",
                    version,
                    "--python-platform",
                    "x86_64-manylinux_2_36",
                ]);
                command.envs(*site)
            }
        };
        command.env("UV_PYTHON_DOWNLOADS", "never");
        command
    }
}

/// What is used of a `pylock.toml` (PEP 751).
#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    sdist: Option<File>,
    #[serde(default)]
    wheels: Vec<File>,
}

impl Locked {
    fn files(self) -> Vec<File> {
        self.wheels.into_iter().chain(self.sdist).collect()
    }
}

/// What is used of the report of `pip install --dry-run`.
#[derive(Deserialize)]
struct Report {
    install: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    download_info: Download,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Download {
    url: Url,
    archive_info: Option<Hashes>,
}

#[derive(Deserialize)]
struct Hashes {
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

impl Report {
    /// pip tells one archive of each package: the one that it would install.
    fn into_lock(self) -> Lock {
        let packages = self.install.into_iter().map(|item| Locked {
            name: item.metadata.name,
            sdist: None,
            wheels: vec![File {
                name: None,
                url: Some(item.download_info.url),
                path: None,
                hashes: item
                    .download_info
                    .archive_info
                    .map(|info| info.hashes)
                    .unwrap_or_default(),
            }],
        });
        Lock {
            packages: packages.collect(),
        }
    }
}

fn unreadable(program: &Path, message: &str) -> EnvsError {
    EnvsError::Record {
        path: program.to_owned(),
        message: format!("its answer is not understood: {message}"),
    }
}

/// Runs the program with `pins` as its input, in a directory whose configuration files are none of ours, unless the
/// command names another.
pub(in crate::envs) fn output(mut command: Command, name: &EnvironmentName, pins: &str) -> Result<String, EnvsError> {
    let program = PathBuf::from(command.get_program());
    let failed = |source| EnvsError::Start {
        program: program.clone(),
        source,
    };
    if command.get_current_dir().is_none() {
        command.current_dir("/");
    }
    command
        .env_remove("VIRTUAL_ENV")
        .env_remove("CONDA_PREFIX")
        .env_remove("PYTHONHOME")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that ends without reading says why by itself.
            let _ = stdin.map(|mut stdin| stdin.write_all(pins.as_bytes()));
        });
        child.wait_with_output()
    });
    let output = output.map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(EnvsError::Index {
        name: name.clone(),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
