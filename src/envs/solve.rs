//! A frozen spec without an environment: solved on this machine for the python and platform of an image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rattler_conda_types::{RepoDataRecord, Subdir};

use super::error::io_error;
use super::export;
use super::make::lists::Lists;
use super::pip::index::{self, Python, Question};
use super::pip::installer;
use super::pip::list::List;
use super::{EnvsError, Installer, Tools, conda, venv};
use crate::event::{Event, Sink};
use crate::reference::EnvironmentName;
use crate::spec::env::pip::all_lines;
use crate::spec::frozen::{Frozen, PipPackage, normalized};

/// An environment that is to be solved.
#[derive(Debug, Clone)]
pub struct Unsolved<'a> {
    /// Its name.
    pub name: &'a EnvironmentName,
    /// Its spec files, in the order of its recipe.
    pub files: Vec<PathBuf>,
    /// What it begins with.
    pub start: Start<'a>,
    /// What programs are told of the site, by environment variables: an index, certificates, proxies.
    pub site: &'a BTreeMap<String, String>,
}

/// What an unsolved environment begins with.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// Nothing: it is made of conda packages.
    Conda,
    /// A venv of this release of python.
    Venv(&'a str),
    /// A copy of this environment, which is a venv.
    Copy(&'a Frozen),
}

/// Solves the environment and returns what it would hold on Linux for x86-64.
///
/// What only an image can tell is taken as it is here: what the system offers to conda packages, and what a package that
/// comes as sources says of itself. Whether conda packages are what pip packages ask for is not looked at.
pub fn solve(tools: &Tools, unsolved: &Unsolved<'_>, sink: &dyn Sink) -> Result<Frozen, EnvsError> {
    let name = unsolved.name;
    sink.emit(Event::Note {
        text: format!("solving {name}"),
    });
    let mut lists = Lists::load(&unsolved.files)?;
    let mut frozen = Frozen {
        name: name.to_string(),
        variables: std::mem::take(&mut lists.variables),
        ..Frozen::default()
    };
    match unsolved.start {
        Start::Conda => {
            let machine = conda::machine(&tools.conda, Subdir::Linux64)?;
            let (channels, specs) = (&lists.channels, &lists.conda);
            let records = conda::solve(&tools.conda, Subdir::Linux64, channels, specs, machine, sink)?;
            frozen.channels = export::channel_names(records.iter());
            frozen.conda = records.into_iter().map(export::conda_package).collect();
        }
        Start::Venv(python) => frozen.python = Some(python.to_owned()),
        Start::Copy(base) => {
            frozen.python.clone_from(&base.python);
            frozen.pip.clone_from(&base.pip);
            frozen.variables = base.variables.clone().into_iter().chain(frozen.variables).collect();
        }
    }
    if let Some(python) = &frozen.python {
        let lines = venv::for_pip(&lists.conda, python)?;
        let file = lists.conda.first().map(|spec| spec.file.clone()).unwrap_or_default();
        lists.pip.push(List::Lines { file, lines });
    }
    add_pip(tools, unsolved, &lists.pip, &mut frozen, sink)?;
    frozen.sort().map_err(|package| EnvsError::Record {
        path: Frozen::yml_path(Path::new(""), name.as_str()),
        message: format!("two solutions hold {package}"),
    })?;
    Ok(frozen)
}

/// Adds what the pip lists come to. What is there stays where it can.
fn add_pip(
    tools: &Tools,
    unsolved: &Unsolved<'_>,
    lists: &[List],
    frozen: &mut Frozen,
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    let name = unsolved.name;
    let lists = lists.iter().filter(|list| !list.is_empty()).collect::<Vec<_>>();
    let (Some(first), Installer::Uv { program, .. }) = (lists.first(), &tools.pip) else {
        return Ok(());
    };
    let of_conda = frozen.conda.iter().find(|package| package.name == "python");
    let version = frozen
        .python
        .clone()
        .or(of_conda.map(|package| package.version.clone()));
    let Some(version) = version else {
        return Err(EnvsError::NoPython {
            name: name.clone(),
            file: first.file().to_owned(),
        });
    };
    let python = Python::Elsewhere {
        version: &version,
        site: unsolved.site,
    };
    let solved = resolve(program, name, &python, &lists, frozen)?;
    let new = solved
        .iter()
        .map(|package| normalized(&package.name))
        .collect::<BTreeSet<_>>();
    frozen.pip.retain(|package| !new.contains(&normalized(&package.name)));
    frozen.pip.extend(solved);
    let question = Question {
        installer: &tools.pip,
        name,
        python,
        lists: &all_lines(&unsolved.files)?,
    };
    index::complete(question, &mut frozen.pip, &BTreeMap::new(), sink)
}

/// The packages that the lists come to, by uv. What conda packages are called is left out of the solution.
fn resolve(
    uv: &Path,
    name: &EnvironmentName,
    python: &Python<'_>,
    lists: &[&List],
    frozen: &Frozen,
) -> Result<Vec<PipPackage>, EnvsError> {
    let scratch = tempfile::tempdir().map_err(io_error(&std::env::temp_dir()))?;
    let write = |file: &str, lines: Vec<&str>| {
        let path = scratch.path().join(file);
        fs::write(&path, lines.join("\n"))
            .map_err(io_error(&path))
            .map(|()| path)
    };
    // The versions in the file that uv is to write are the ones that it prefers.
    let preferred = write(
        "solution.txt",
        frozen.pip.iter().map(|p| p.requirement.as_str()).collect(),
    )?;
    let excluded = frozen
        .conda
        .iter()
        .filter(|package| is_of_python(package.record.as_ref()));
    let excluded = write("excluded.txt", excluded.map(|package| package.name.as_str()).collect())?;
    let mut command = python.compile(uv);
    command.args(["--no-annotate", "--output-file"]).arg(&preferred);
    command.arg("--excludes").arg(&excluded);
    let mut input = String::new();
    for list in lists {
        match list {
            List::File(file) => {
                command.arg(std::path::absolute(file).map_err(io_error(file))?);
            }
            List::Lines { lines, .. } => input.extend(lines.iter().flat_map(|line| [line.as_str(), "\n"])),
        }
    }
    if !input.is_empty() {
        command.arg("-");
    }
    if let Some(directory) = lists
        .first()
        .and_then(|list| list.file().parent())
        .filter(|dir| dir.is_dir())
    {
        command.current_dir(directory);
    }
    let directory = command.get_current_dir().map(Path::to_owned);
    index::output(command, name, &input).map_err(|error| match error {
        EnvsError::Index { status, stderr, .. } => {
            installer::failure(name, lists, directory.as_deref(), input.as_bytes(), status, stderr)
        }
        error => error,
    })?;
    let text = fs::read_to_string(&preferred).map_err(io_error(&preferred))?;
    let lines = text.lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '-']))
        .map(pin)
        .collect())
}

/// A line of uv's solution: `name==version`, or `name @ address`.
fn pin(line: &str) -> PipPackage {
    let (name, version) = line
        .split_once("==")
        .unwrap_or_else(|| (line.split(" @ ").next().unwrap_or(line), ""));
    PipPackage {
        name: name.trim().to_owned(),
        version: version.split([' ', ';']).next().unwrap_or_default().to_owned(),
        requirement: line.split(" ;").next().unwrap_or(line).to_owned(),
        url: None,
        sha256: None,
    }
}

/// Whether a package needs python, as what pip could install does.
fn is_of_python(record: Option<&RepoDataRecord>) -> bool {
    record.is_some_and(|record| {
        let depends = &record.package_record.depends;
        depends
            .iter()
            .any(|depends| depends.split_whitespace().next() == Some("python"))
    })
}
