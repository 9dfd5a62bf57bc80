//! Pip lists, installed by the `uv` program, or by the environment's own pip where uv is missing.
//!
//! The syntax of requirements is left to them. What they print is passed on as it comes, and kept for the error.

use std::fs;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::envs::error::{Culprit, EnvsError, io_error};
use crate::event::{Event, Sink};
use crate::image;
use crate::reference::EnvironmentName;
use crate::spec::frozen::normalized;

/// The program that installs pip lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installer {
    /// uv.
    Uv {
        /// The program.
        program: PathBuf,
        /// uv's cache, where the caller knows it. A cache that cannot be written to is left unused, since a mounted one
        /// often belongs to another user.
        cache: Option<PathBuf>,
    },
    /// The pip of the environment itself.
    Pip,
}

/// What lists leave open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::envs) enum Pins {
    /// Versions, and what else is needed.
    #[default]
    None,
    /// Nothing: they name everything, and nothing is looked for that they need.
    Exact,
    /// Nothing, and every requirement has a hash, which its archive must have.
    Verified,
}

/// How lists are installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::envs) struct Mode {
    /// What the lists leave open.
    pub(in crate::envs) pins: Pins,
    /// What is installed cannot be trusted.
    pub(in crate::envs) anew: bool,
    /// The environment belongs to conda, which may say so.
    pub(in crate::envs) externally: bool,
}

/// One list of requirements.
pub(in crate::envs) enum List {
    /// A requirements file.
    File(PathBuf),
    /// The pip list of a yml.
    Lines {
        /// The yml.
        file: PathBuf,
        /// The requirements.
        lines: Vec<String>,
    },
}

impl List {
    /// The file that the list is, or is part of.
    pub(in crate::envs) fn file(&self) -> &Path {
        match self {
            Self::File(file) | Self::Lines { file, .. } => file,
        }
    }

    /// Whether it surely asks for nothing.
    pub(in crate::envs) fn is_empty(&self) -> bool {
        matches!(self, Self::Lines { lines, .. } if lines.is_empty())
    }

    /// The place that asks for the package of this normalized name, e.g. `roman.pip:3`.
    pub(in crate::envs) fn asks_for(&self, name: &str) -> Option<String> {
        let mut requirements = self.requirements().into_iter();
        let (line, _) = requirements.find(|(_, requirement)| package(requirement) == name)?;
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        Some(format!("{}{line}", self.file().display()))
    }

    /// The requirements with their lines, counted from 1 where the list is a file.
    fn requirements(&self) -> Vec<(Option<usize>, String)> {
        match self {
            Self::Lines { lines, .. } => lines.iter().map(|line| (None, line.clone())).collect(),
            Self::File(file) => {
                let text = fs::read_to_string(file).unwrap_or_default();
                let lines = text.lines().enumerate();
                lines
                    .map(|(index, line)| (Some(index + 1), line.trim().to_owned()))
                    .collect()
            }
        }
    }
}

impl Installer {
    /// uv from the base environment, else pip.
    #[must_use]
    pub fn of(conda_dir: &Path) -> Self {
        let program = conda_dir.join("bin/uv");
        if program.is_file() {
            Self::Uv { program, cache: None }
        } else {
            Self::Pip
        }
    }

    /// Installs all lists into the environment in one resolution, run in the directory of the first list.
    pub(in crate::envs) fn install(
        &self,
        name: &EnvironmentName,
        prefix: &Path,
        lists: &[List],
        mode: Mode,
        sink: &dyn Sink,
    ) -> Result<(), EnvsError> {
        let lists = lists.iter().filter(|list| !list.is_empty()).collect::<Vec<_>>();
        let Some(first) = lists.first() else { return Ok(()) };
        let python = image::python(prefix);
        let mut input = Vec::new();
        // pip takes no hashes on its command line.
        let mut written = None;
        let mut command = match self {
            Self::Uv { program, cache } => {
                let mut command = Command::new(program);
                command.args(["pip", "install", "--python"]).arg(&python);
                if let Some(cache) = cache.as_deref().filter(|cache| !is_writable(cache)) {
                    sink.emit(Event::Warning {
                        text: format!("{} cannot be written to: uv works without its cache", cache.display()),
                    });
                    command.arg("--no-cache");
                }
                command
            }
            Self::Pip => {
                let mut command = Command::new(&python);
                command.args([
                    "-m",
                    "pip",
                    "install",
                    "--no-input",
                    "--no-compile",
                    "--disable-pip-version-check",
                ]);
                command
            }
        };
        self.add_mode(&mut command, mode);
        for list in &lists {
            match list {
                List::File(file) => {
                    command
                        .arg("--requirement")
                        .arg(std::path::absolute(file).map_err(io_error(file))?);
                }
                List::Lines { lines, .. } if *self == Self::Pip && mode.pins == Pins::Verified => {
                    let file = written_list(lines).map_err(io_error(&std::env::temp_dir()))?;
                    command.arg("--requirement").arg(file.path());
                    written = Some(file);
                }
                List::Lines { lines, .. } if *self == Self::Pip => {
                    command.args(lines.iter().flat_map(|line| as_arguments(line)));
                }
                List::Lines { lines, .. } => {
                    for line in lines {
                        input.extend_from_slice(line.as_bytes());
                        input.push(b'\n');
                    }
                }
            }
        }
        if !input.is_empty() {
            command.args(["--requirement", "-"]);
        }
        // The bytecode is floe's to make.
        command
            .env_remove("UV_COMPILE_BYTECODE")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("UV_LINK_MODE", "copy")
            .env("UV_PYTHON_DOWNLOADS", "never");
        if let Some(dir) = first.file().parent().filter(|dir| !dir.as_os_str().is_empty()) {
            command.current_dir(dir);
        }
        let result = run(command, name, &lists, &input, sink);
        drop(written);
        result
    }

    fn add_mode(&self, command: &mut Command, mode: Mode) {
        if mode.pins != Pins::None {
            command.arg("--no-deps");
        }
        if mode.pins == Pins::Verified {
            command.arg("--require-hashes");
        }
        if mode.externally {
            command.arg("--break-system-packages");
        }
        if mode.anew {
            command.arg(if *self == Self::Pip {
                "--force-reinstall"
            } else {
                "--reinstall"
            });
        }
    }
}

fn written_list(lines: &[String]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    Ok(file)
}

/// Runs a program that installs something, passing on what it prints.
pub(in crate::envs) fn run(
    mut command: Command,
    name: &EnvironmentName,
    lists: &[&List],
    input: &[u8],
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    let failed = |program: &Command, source| EnvsError::Start {
        program: PathBuf::from(program.get_program()),
        source,
    };
    // Another environment that happens to be active is not meant.
    command
        .env_remove("VIRTUAL_ENV")
        .env_remove("CONDA_PREFIX")
        .env_remove("PYTHONHOME");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|source| failed(&command, source))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let stderr = thread::scope(|scope| {
        scope.spawn(move || {
            // A program that ends without reading says why by itself.
            let _ = stdin.map(|mut stdin| stdin.write_all(input));
        });
        scope.spawn(move || stdout.map(|stdout| pass_on(stdout, sink)));
        stderr.map(|stderr| pass_on(stderr, sink)).unwrap_or_default()
    });
    let status = child.wait().map_err(|source| failed(&command, source))?;
    if status.success() {
        return Ok(());
    }
    Err(EnvsError::Install {
        name: name.clone(),
        files: lists.iter().map(|list| list.file().to_owned()).collect(),
        status,
        culprits: culprits(lists, &stderr),
        stderr,
    })
}

/// Emits what comes, and returns it whole.
fn pass_on(mut stream: impl Read, sink: &dyn Sink) -> String {
    let mut whole = Vec::new();
    let mut shown = 0;
    let mut buffer = [0; 8192];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        whole.extend_from_slice(&buffer[..count]);
        // Only whole lines, so that no character is cut in two.
        let line_end = whole.iter().rposition(|&byte| byte == b'\n').map_or(shown, |at| at + 1);
        let end = if count == 0 { whole.len() } else { line_end };
        if end > shown {
            sink.emit(Event::Output {
                text: String::from_utf8_lossy(&whole[shown..end]).into_owned(),
            });
            shown = end;
        }
        if count == 0 {
            return String::from_utf8_lossy(&whole).into_owned();
        }
    }
}

/// The requirements that an installer's words name, at most three.
fn culprits(lists: &[&List], stderr: &str) -> Vec<Culprit> {
    let words = stderr
        .split(|c: char| !(c.is_alphanumeric() || "._-".contains(c)))
        .map(|word| normalized(word.trim_end_matches('.')))
        .collect::<std::collections::BTreeSet<_>>();
    let mut found = Vec::new();
    for list in lists {
        for (line, requirement) in list.requirements() {
            let name = package(&requirement);
            if !name.is_empty() && !requirement.starts_with('-') && words.contains(&name) {
                found.push(Culprit {
                    file: list.file().to_owned(),
                    line,
                    requirement,
                });
            }
        }
    }
    found.truncate(3);
    found
}

/// The normalized name of the package that a requirement begins with.
fn package(requirement: &str) -> String {
    let end = requirement.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
    normalized(&requirement[..end.unwrap_or(requirement.len())])
}

/// A line of a requirements file as pip takes it on the command line.
fn as_arguments(line: &str) -> Vec<String> {
    match line.split_once(char::is_whitespace) {
        Some((option, value)) if option.starts_with('-') => vec![option.to_owned(), value.trim().to_owned()],
        _ => vec![line.to_owned()],
    }
}

/// Whether files can be made in `dir`, or in the first directory above it that exists.
fn is_writable(dir: &Path) -> bool {
    let existing = dir.ancestors().find(|dir| dir.is_dir());
    existing.is_some_and(|dir| rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lines: &[&str]) -> List {
        List::Lines {
            file: PathBuf::from("x.yml"),
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
        }
    }

    #[test]
    fn the_requirement_that_the_installer_names_is_found() {
        let list = list(&[
            "numpy>=1",
            "No_Such.Package[extra] ; python_version > '3'",
            "-r other.txt",
            "scipy",
        ]);
        let words = "  × No solution found:\n  ╰─▶ Because no-such-package was not found in the registry.\n";
        let found = culprits(&[&list], words);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].requirement.starts_with("No_Such.Package"));
    }

    #[test]
    fn a_package_named_within_another_is_no_culprit() {
        assert_eq!(culprits(&[&list(&["num", "cal"])], "numpy and roman-cal conflict"), []);
    }

    #[test]
    fn a_line_becomes_arguments_without_splitting_its_marker() {
        assert_eq!(as_arguments("-r other.txt"), ["-r", "other.txt"]);
        assert_eq!(
            as_arguments("a>=1 ; python_version > '3'"),
            ["a>=1 ; python_version > '3'"]
        );
    }

    #[test]
    fn what_a_program_prints_is_passed_on_and_kept() {
        let sink = crate::event::Memory::default();
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; cat >&2; exit 3"]);
        let error = run(command, &"x".parse().unwrap(), &[], b"words\n", &sink).unwrap_err();
        let EnvsError::Install { stderr, status, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((stderr.as_str(), status.code()), ("words\n", Some(3)));
        assert_eq!(sink.events().len(), 2);
    }
}
