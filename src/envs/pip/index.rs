//! The digests of pip packages, which environments do not keep: asked of the index for exactly the versions that are
//! installed.
//!
//! uv tells the archives that suit a python (`uv pip compile --format pylock.toml`, with a digest that it makes itself where
//! the index has none), and the `Tag:` lines of the installed wheel tell which of them it was. What came from another index
//! than the site's, because a list names one, is frozen by its address: uv 0.13 names the index of a package in its
//! annotations alone, and neither there nor in a pylock.toml with the credentials of the list.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use url::Url;

use super::answer::{Lock, Locked, Report};
use super::archive::{File, Wheel, choose, preferred};
use crate::address::without_user;
use crate::envs::error::{Refusal, io_error};
use crate::envs::{EnvsError, Installer};
use crate::event::{Event, Sink};
use crate::fault::Explained as _;
use crate::reference::EnvironmentName;
use crate::spec::env::pip::{PipLine, Sources, netrc};
use crate::spec::frozen::{PipPackage, normalized};

/// What packages are asked for.
#[derive(Clone, Copy)]
pub(in crate::envs) struct Question<'a> {
    /// What asks.
    pub installer: &'a Installer,
    /// The environment.
    pub name: &'a EnvironmentName,
    /// Its python.
    pub python: Python<'a>,
    /// The lists that the packages may have come from, which may name other indexes and hold credentials.
    pub lists: &'a [PipLine],
}

/// Adds the digest of every package that has none. Its address in the site's index is left out: another site has another
/// index, and the digest is the same. A package that came from an index that a list names gets its address there.
pub(in crate::envs) fn complete(
    question: Question<'_>,
    packages: &mut [PipPackage],
    wheels: &BTreeMap<String, Wheel>,
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    let asks = |package: &PipPackage| package.sha256.is_none() && (package.is_from_index() || package.url.is_some());
    let asked = packages.iter().filter(|package| asks(package));
    let pins = asked
        .flat_map(|package| [package.requirement.as_str(), "\n"])
        .collect::<String>();
    if pins.is_empty() {
        return Ok(());
    }
    let sources = Sources::of(question.lists);
    let Some(Answer { lock, elsewhere }) = question.ask(&sources, &pins)? else {
        return Ok(());
    };
    let mut locked = lock
        .packages
        .into_iter()
        .map(|package| (normalized(&package.name), package))
        .collect::<BTreeMap<_, _>>();
    let (mut unknown, mut refused) = (Vec::new(), Vec::new());
    for package in packages.iter_mut().filter(|package| asks(package)) {
        let name = normalized(&package.name);
        let found = locked.remove(&name);
        // `==2.3` allows `2.3+cpu`, which is another package.
        let files = found.filter(|found| found.is_of(&package.version)).map(Locked::files);
        let files = files.unwrap_or_default();
        let chosen = match question.python {
            _ if !package.is_from_index() => files.into_iter().next(),
            Python::At(_) => wheels.get(&name).and_then(|wheel| choose(files, wheel)),
            Python::Elsewhere { .. } => preferred(files),
        };
        package.sha256 = chosen.as_ref().and_then(|file| file.hashes.get("sha256").cloned());
        if package.sha256.is_none() {
            unknown.push(package.requirement.clone());
        }
        if let Some(file) = chosen.filter(|file| !package.is_from_index() || elsewhere.has(&name, file, &sources)) {
            match &file.url {
                Some(url) if url.scheme() != "file" => at_address(package, url),
                _ => refused.push(Refusal {
                    package: package.requirement.clone(),
                    reason: format!(
                        "it was installed from {}, which exists on this machine alone",
                        file.name()
                    ),
                }),
            }
        }
    }
    if !unknown.is_empty() {
        sink.emit(Event::Warning {
            text: format!("the index tells no sha256 of {}: frozen without", unknown.join(", ")),
        });
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(EnvsError::NotFreezable {
        name: question.name.clone(),
        refused,
    })
}

/// The package as its archive at `url` alone.
fn at_address(package: &mut PipPackage, url: &Url) {
    let mut url = without_user(url.clone());
    url.set_fragment(None);
    let digest = package.sha256.as_ref().map(|sha256| format!("#sha256={sha256}"));
    package.requirement = format!("{} @ {url}{}", package.name, digest.unwrap_or_default());
    package.url = Some(url);
}

/// What is known of the packages that were asked for.
struct Answer {
    lock: Lock,
    elsewhere: Elsewhere,
}

/// Which packages come from another index than the site's.
enum Elsewhere {
    /// The index of each package, by name.
    Told(BTreeMap<String, String>),
    /// Only the address of an archive tells.
    ByAddress,
}

impl Elsewhere {
    fn has(&self, name: &str, file: &File, sources: &Sources) -> bool {
        match self {
            Self::Told(indexes) => indexes.get(name).is_some_and(|index| sources.name(index)),
            Self::ByAddress => file.url.as_ref().is_some_and(|url| sources.may_hold(url)),
        }
    }
}

impl Question<'_> {
    /// `None` where nobody can tell.
    fn ask(&self, sources: &Sources, pins: &str) -> Result<Option<Answer>, EnvsError> {
        let input = format!("{}{pins}", sources.options());
        match (self.installer, self.python) {
            (Installer::Uv { program, .. }, _) => {
                let lock = self.compile(program, sources, &input, &["--format", "pylock.toml"])?;
                let lock = toml::from_str(&lock).map_err(|error| unreadable(program, &error.to_string()))?;
                let indexes = if sources.is_empty() {
                    BTreeMap::new()
                } else {
                    indexes(&self.compile(program, sources, &input, &["--no-annotate", "--emit-index-annotation"])?)
                };
                Ok(Some(Answer {
                    lock,
                    elsewhere: Elsewhere::Told(indexes),
                }))
            }
            // Without uv nobody solves for a python that is elsewhere.
            (Installer::Pip, Python::Elsewhere { .. }) => Ok(None),
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
                let text = self.output(command, &input)?;
                let report = serde_json::from_str::<Report>(&text);
                let report = report.map_err(|error| unreadable(python, &error.to_string()))?;
                Ok(Some(Answer {
                    lock: report.into_lock(),
                    elsewhere: Elsewhere::ByAddress,
                }))
            }
        }
    }

    /// Asks uv. An index that has a package has all its versions, as for the installation; where that leads nowhere, as it
    /// may for what the environment began with, each version is taken from the first index that has it.
    fn compile(&self, uv: &Path, sources: &Sources, input: &str, form: &[&str]) -> Result<String, EnvsError> {
        let command = |strategy: &[&str]| {
            let mut command = self.python.compile(uv);
            command.arg("--no-deps").args(form).args(strategy).arg("-");
            command
        };
        // What was just solved uv knows. With several indexes it would pass over one that it has not asked.
        let solved = matches!(self.python, Python::Elsewhere { .. }) && sources.is_empty();
        if let Some(Ok(known)) = solved.then(|| self.output(command(&["--offline"]), input)) {
            return Ok(known);
        }
        match self.output(command(&[]), input) {
            Err(error) if !sources.is_empty() && !error.is_temporary() => {
                self.output(command(&["--index-strategy", "unsafe-best-match"]), input)
            }
            done => done,
        }
    }

    /// Runs a program that finds the credentials of the lists for the hosts that they name.
    fn output(&self, mut command: Command, input: &str) -> Result<String, EnvsError> {
        let directory = std::env::temp_dir();
        let mut credentials = None;
        if let Some(text) = netrc(self.lists) {
            let mut file = tempfile::NamedTempFile::new().map_err(io_error(&directory))?;
            file.write_all(text.as_bytes()).map_err(io_error(&directory))?;
            command.env("NETRC", file.path());
            credentials = Some(file);
        }
        let output = output(command, self.name, input);
        drop(credentials);
        output
    }
}

/// The index of each package in a solution with annotations: `name==version`, and behind it `# from https://…`.
fn indexes(solution: &str) -> BTreeMap<String, String> {
    let mut indexes = BTreeMap::new();
    let mut name = String::new();
    for line in solution.lines() {
        match line.trim().strip_prefix("# from ") {
            Some(index) => {
                indexes.insert(name.clone(), index.trim().to_owned());
            }
            None if !line.starts_with([' ', '#', '-']) => {
                name = normalized(line.split(['=', ' ', '@']).next().unwrap_or_default());
            }
            None => {}
        }
    }
    indexes
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
