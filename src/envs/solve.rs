//! A frozen spec without an environment: solved on this machine for the python and platform of an image.

mod inside;
mod needs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

pub use self::inside::env_solve;
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
use crate::spec::env::CondaSpec;
use crate::spec::env::pip::{Sources, all_lines};
use crate::spec::frozen::{CondaPackage, Frozen, PipPackage, normalized};

/// An environment that is to be solved.
#[derive(Debug, Clone)]
pub struct Unsolved<'a> {
    /// Its name.
    pub name: &'a EnvironmentName,
    /// Its spec files, in the order of its recipe.
    pub files: Vec<PathBuf>,
    /// A list of pip packages beside them, which may have any name.
    pub also: Option<PathBuf>,
    /// What it begins with.
    pub start: Start<'a>,
    /// What programs are told of the site, by environment variables: an index, certificates, proxies.
    pub site: &'a BTreeMap<String, String>,
}

/// What a solution keeps of an earlier one.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// The earlier solution.
    pub earlier: Option<&'a Frozen>,
    /// What of it need not stay.
    pub upgrade: &'a Upgrade,
}

/// Which packages of an earlier solution need not stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upgrade {
    /// None: what still fits stays.
    Nothing,
    /// These, by names as they are compared: see [`normalized`].
    These(BTreeSet<String>),
    /// All.
    All,
}

impl Upgrade {
    /// Whether the package may move although it still fits.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::These(names) => names.contains(&normalized(name)),
            Self::All => true,
        }
    }
}

impl Kept<'_> {
    fn conda(&self) -> impl Iterator<Item = &CondaPackage> {
        let packages = self.earlier.iter().flat_map(|earlier| &earlier.conda);
        packages.filter(|package| !self.upgrade.has(&package.name))
    }

    fn pip(&self) -> impl Iterator<Item = &PipPackage> {
        let packages = self.earlier.iter().flat_map(|earlier| &earlier.pip);
        packages.filter(|package| !self.upgrade.has(&package.name))
    }
}

/// What asks for each package, by its name as names are compared: other packages, and the names of lists.
pub type Askers = BTreeMap<String, Vec<String>>;

/// A solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solved {
    /// What the environment would hold.
    pub frozen: Frozen,
    /// What asks for each package, by its name as names are compared: other packages, and the names of lists.
    pub asked_by: Askers,
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

/// Solves the environment and returns what it would hold on Linux for x86-64. What is kept of an earlier solution stays as
/// long as it fits.
///
/// What only an image can tell is taken as it is here: what the system offers to conda packages, and what a package that
/// comes as sources says of itself. Whether conda packages are what pip packages ask for is not looked at.
pub fn solve(tools: &Tools, unsolved: &Unsolved<'_>, kept: Kept<'_>, sink: &dyn Sink) -> Result<Solved, EnvsError> {
    let name = unsolved.name;
    sink.emit(Event::Note {
        text: format!("solving {name}"),
    });
    let mut lists = Lists::load(&unsolved.files)?;
    lists.pip.extend(unsolved.also.clone().map(List::File));
    let mut frozen = Frozen {
        name: name.to_string(),
        variables: std::mem::take(&mut lists.variables),
        ..Frozen::default()
    };
    let mut asked_by = BTreeMap::new();
    match unsolved.start {
        Start::Conda => {
            let question = conda::Question {
                config: &tools.conda,
                platform: Subdir::Linux64,
                named: &lists.channels,
                specs: &lists.conda,
                machine: conda::machine(&tools.conda, Subdir::Linux64)?,
                kept: kept.conda().cloned().collect(),
            };
            let records = conda::solve(question, sink)?;
            asked_by = askers(&records, &lists.conda);
            frozen.channels = export::channel_names(records.iter());
            frozen.conda = records.into_iter().map(export::conda_package).collect();
        }
        Start::Venv(python) => frozen.python = Some(python.to_owned()),
        Start::Copy(base) => {
            frozen.python.clone_from(&base.python);
            let earlier = kept.pip().map(|package| (normalized(&package.name), package));
            let earlier = earlier.collect::<BTreeMap<_, _>>();
            let of_base = base.pip.iter().map(|package| {
                let kept = earlier.get(&normalized(&package.name));
                kept.map_or(package, |kept| *kept).clone()
            });
            frozen.pip = of_base.collect();
            needs::fill(&mut frozen.pip, &base.pip);
            frozen.variables = base.variables.clone().into_iter().chain(frozen.variables).collect();
        }
    }
    if let Some(python) = &frozen.python {
        let lines = venv::for_pip(&lists.conda, python)?;
        let file = lists.conda.first().map(|spec| spec.file.clone()).unwrap_or_default();
        lists.pip.push(List::Lines { file, lines });
    }
    asked_by.extend(add_pip(tools, unsolved, &lists.pip, kept, &mut frozen, sink)?);
    frozen.sort().map_err(|package| EnvsError::Record {
        path: Frozen::yml_path(Path::new(""), name.as_str()),
        message: format!("two solutions hold {package}"),
    })?;
    Ok(Solved { frozen, asked_by })
}

/// What asks for each of the records: others of them, and the files that list it.
fn askers(records: &[RepoDataRecord], specs: &[CondaSpec]) -> Askers {
    let mut askers = BTreeMap::<String, Vec<String>>::new();
    for spec in specs {
        let file = spec.file.file_name().unwrap_or_default().to_string_lossy();
        askers
            .entry(normalized(&spec.name()))
            .or_default()
            .push(file.into_owned());
    }
    for record in records {
        let asker = record.package_record.name.as_normalized();
        for needed in &record.package_record.depends {
            let name = needed.split_whitespace().next().unwrap_or_default();
            askers.entry(normalized(name)).or_default().push(asker.to_owned());
        }
    }
    askers
}

/// Adds what the pip lists come to, and returns what asks for each package. What is there, and what is kept, stays where it
/// can.
fn add_pip(
    tools: &Tools,
    unsolved: &Unsolved<'_>,
    lists: &[List],
    kept: Kept<'_>,
    frozen: &mut Frozen,
    sink: &dyn Sink,
) -> Result<Askers, EnvsError> {
    let name = unsolved.name;
    let lists = lists.iter().filter(|list| !list.is_empty()).collect::<Vec<_>>();
    let (Some(first), Installer::Uv { program, .. }) = (lists.first(), &tools.pip) else {
        return Ok(BTreeMap::new());
    };
    let Some(version) = python_of(frozen) else {
        return Err(EnvsError::NoPython {
            name: name.clone(),
            file: first.file().to_owned(),
        });
    };
    let python = Python::Elsewhere {
        version: &version,
        site: unsolved.site,
    };
    let (mut solved, asked_by) = resolve(program, name, &python, &lists, kept, frozen, sink)?;
    let files = unsolved.files.iter().chain(&unsolved.also);
    let listed = all_lines(&files.cloned().collect::<Vec<_>>())?;
    let earlier = kept
        .earlier
        .filter(|earlier| python_of(earlier).as_deref() == Some(version.as_str()));
    let known = earlier.iter().flat_map(|earlier| &earlier.pip).chain(&frozen.pip);
    let known = known.map(|package| (package.requirement.clone(), package.clone()));
    let known = known.collect::<BTreeMap<_, _>>();
    needs::tell(&mut solved, &known, &asked_by);
    // Other indexes may hold other archives of a version, and another python takes others.
    if Sources::of(&listed).is_empty() {
        for package in &mut solved {
            if let Some(known) = known.get(&package.requirement) {
                package.url.clone_from(&known.url);
                package.sha256.clone_from(&known.sha256);
            }
        }
    }
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
        lists: &listed,
    };
    index::complete(question, &mut frozen.pip, &BTreeMap::new(), sink)?;
    Ok(asked_by)
}

/// The release of the environment's python, whoever installs it.
fn python_of(frozen: &Frozen) -> Option<String> {
    let of_conda = frozen.conda.iter().find(|package| package.name == "python");
    frozen
        .python
        .clone()
        .or(of_conda.map(|package| package.version.clone()))
}

/// The packages that the lists come to, by uv, and what asks for each. What conda packages are called is left out.
fn resolve(
    uv: &Path,
    name: &EnvironmentName,
    python: &Python<'_>,
    lists: &[&List],
    kept: Kept<'_>,
    frozen: &Frozen,
    sink: &dyn Sink,
) -> Result<(Vec<PipPackage>, Askers), EnvsError> {
    let scratch = tempfile::tempdir().map_err(io_error(&std::env::temp_dir()))?;
    let write = |file: &str, lines: Vec<&str>| {
        let path = scratch.path().join(file);
        fs::write(&path, lines.join("\n"))
            .map_err(io_error(&path))
            .map(|()| path)
    };
    // The versions in the file that uv is to write are the ones that it prefers.
    // A copy of the base environment begins with what that holds, and the base environment itself with what it held.
    let begun = frozen.pip.iter().filter(|package| match kept.upgrade {
        Upgrade::Nothing => true,
        Upgrade::These(_) => !kept.upgrade.has(&package.name),
        Upgrade::All => !name.is_base(),
    });
    let preferred = begun.chain(kept.pip());
    let preferred = preferred.map(|package| (normalized(&package.name), package.requirement.as_str()));
    let preferred = preferred.collect::<BTreeMap<_, _>>();
    let preferred = write("solution.txt", preferred.into_values().collect())?;
    let excluded = frozen
        .conda
        .iter()
        .filter(|package| is_of_python(package.record.as_ref()));
    let excluded = write("excluded.txt", excluded.map(|package| package.name.as_str()).collect())?;
    let mut command = python.compile(uv);
    command
        .args(["--annotation-style", "line", "--output-file"])
        .arg(&preferred);
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
            // The error names the lines that are to blame; why, only these words say.
            sink.emit(Event::Output { text: stderr.clone() });
            match installer::failure(name, lists, directory.as_deref(), input.as_bytes(), status, stderr) {
                EnvsError::Install {
                    name,
                    files,
                    stderr,
                    culprits,
                    ..
                } => EnvsError::Unsolvable {
                    name,
                    files,
                    stderr,
                    culprits,
                },
                error => error,
            }
        }
        error => error,
    })?;
    let text = fs::read_to_string(&preferred).map_err(io_error(&preferred))?;
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', '-']));
    let (mut solved, mut asked_by) = (Vec::new(), BTreeMap::new());
    for line in lines {
        let (line, via) = line.split_once(" # via ").unwrap_or((line, ""));
        let package = pin(line.trim_end());
        let via = via.split(", ").filter(|asker| !asker.is_empty());
        // What people wrote comes before what that brings along.
        let (listed, packages): (Vec<_>, Vec<_>) = via.partition(|via| via.starts_with('-'));
        let askers = listed.into_iter().chain(packages).map(|via| asker(via, lists));
        asked_by.insert(normalized(&package.name), askers.collect());
        solved.push(package);
    }
    Ok((solved, asked_by))
}

/// What asks for a package, in uv's annotation: another package, `-r FILE`, `-r -` for what it read as its own input, or
/// another of the two with the list that it is a constraint of.
fn asker(via: &str, lists: &[&List]) -> String {
    let Some(file) = via.strip_prefix("-r ").or(via.strip_prefix("-c ")) else {
        return via.to_owned();
    };
    let given = lists.iter().find(|list| matches!(list, List::Lines { .. }));
    let path = match given {
        Some(list) if file == "-" => list.file(),
        _ => Path::new(file),
    };
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
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
        requires: Vec::new(),
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
