//! Pip lists, installed by the `uv` program, or by the environment's own pip where uv is missing.
//!
//! The syntax of requirements is left to them. What they print is passed on as it comes, and kept for the error.

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use super::blame;
use super::list::List;
use crate::envs::Work;
use crate::envs::error::{EnvsError, io_error};
use crate::event::{Event, Sink};
use crate::image;
use crate::reference::EnvironmentName;

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
    pub(in crate::envs) reinstall: bool,
    /// The environment belongs to conda, which may say so.
    pub(in crate::envs) externally: bool,
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

    /// Which program of which version it is, as far as that says what it installs of a package.
    pub(in crate::envs) fn version(&self) -> Result<String, EnvsError> {
        let Self::Uv { program, .. } = self else {
            return Ok("pip".to_owned());
        };
        let asked = Command::new(program).arg("--version").stdin(Stdio::null()).output();
        let said = asked.map_err(|source| EnvsError::Start {
            program: program.clone(),
            source,
        })?;
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    /// Installs all lists into the environment in one resolution, run in the directory of the first list.
    pub(in crate::envs) fn install(&self, work: Work<'_>, lists: &[List], mode: Mode) -> Result<(), EnvsError> {
        let lists = lists.iter().filter(|list| !list.is_empty()).collect::<Vec<_>>();
        let Some(first) = lists.first() else { return Ok(()) };
        let python = image::python(&work.prefix());
        let mut input = Vec::new();
        // pip takes no hashes on its command line.
        let mut written = None;
        let mut command = match self {
            Self::Uv { program, cache } => {
                let mut command = Command::new(program);
                command.args(["pip", "install", "--python"]).arg(&python);
                if let Some(cache) = cache.as_deref().filter(|cache| !is_writable(cache)) {
                    work.warn(format!(
                        "{} cannot be written to: uv works without its cache",
                        cache.display()
                    ));
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
        let result = run(command, work, &lists, &input);
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
        if mode.reinstall {
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
    work: Work<'_>,
    lists: &[&List],
    input: &[u8],
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
        scope.spawn(move || stdout.map(|stdout| pass_on(stdout, work.sink)));
        stderr.map(|stderr| pass_on(stderr, work.sink)).unwrap_or_default()
    });
    let status = child.wait().map_err(|source| failed(&command, source))?;
    if status.success() {
        return Ok(());
    }
    Err(failure(
        work.name,
        lists,
        command.get_current_dir(),
        input,
        status,
        stderr,
    ))
}

/// Why an installer failed: a line that it cannot read, else what it says that it cannot do.
pub(in crate::envs) fn failure(
    name: &EnvironmentName,
    lists: &[&List],
    directory: Option<&Path>,
    input: &[u8],
    status: ExitStatus,
    stderr: String,
) -> EnvsError {
    let directory = directory.unwrap_or(Path::new(""));
    if let Some(error) = blame::malformed(lists, &stderr, directory, &String::from_utf8_lossy(input)) {
        return error.into();
    }
    EnvsError::Install {
        name: name.clone(),
        files: lists.iter().map(|list| list.file().to_owned()).collect(),
        status,
        culprits: blame::culprits(lists, &stderr),
        stderr,
    }
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
    use crate::envs::conda::Config;
    use crate::envs::{Layout, Tools};

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
        let layout = Layout::of_image("/opt/conda");
        let tools = Tools {
            pip: Installer::Pip,
            conda: Config::default(),
            cache: None,
        };
        let work = Work {
            layout: &layout,
            tools: &tools,
            name: &"x".parse().unwrap(),
            sink: &sink,
        };
        let error = run(command, work, &[], b"words\n").unwrap_err();
        let EnvsError::Install { stderr, status, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((stderr.as_str(), status.code()), ("words\n", Some(3)));
        assert_eq!(sink.events().len(), 2);
    }
}
