//! An environment that gets more packages.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::change::Change;
use super::exact;
use crate::envs::conda::{self, Addition, Manner};
use crate::envs::error::io_error;
use crate::envs::pip::installer::{List, Mode};
use crate::envs::pip::overridden::Overridden;
use crate::envs::{EnvsError, Installer, Layout, Tools, bytecode, variables, venv};
use crate::event::{Event, Sink};
use crate::image;
use crate::reference::EnvironmentName;
use crate::spec::env::{CondaSpec, EnvironmentSpec, SpecError, SpecKind, spec_files};
use crate::spec::frozen::Frozen;

/// Installs into `name` what `files` list, all of them resolved together.
///
/// The kinds are those of [`SpecKind`]. Relative paths in a list are relative to the directory of the first file. A
/// frozen spec stands alone: the environment is made to hold what it says.
pub fn env_update(
    layout: &Layout,
    tools: &Tools,
    name: &EnvironmentName,
    files: &[PathBuf],
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    let prefix = layout.changeable(name)?;
    if let Some(frozen) = files.iter().find(|file| Frozen::is_frozen(file)) {
        return match files {
            [_] => exact::update(tools, name, &prefix, frozen, sink),
            _ => Err(EnvsError::FrozenAmongOthers { path: frozen.clone() }),
        };
    }
    let lists = Lists::load(files)?;
    let change = Change::of(name, &prefix, sink)?;
    let shown = files
        .iter()
        .filter_map(|file| file.file_name())
        .map(|name| name.to_string_lossy());
    let shown = shown.collect::<Vec<_>>();
    sink.emit(Event::Note {
        text: format!("installing {} into {name}", shown.join(", ")),
    });
    let command = format!("env-update {name} {}", shown.join(" "));
    let mode = Mode {
        anew: change.repairs,
        ..Mode::default()
    };
    let done = if conda::is_environment(&prefix) {
        let mut addition = Addition {
            channels: lists.channels,
            specs: lists.conda,
        };
        add_pip(tools, &prefix, &lists.pip, &mut addition);
        let manner = Manner {
            prefix: &prefix,
            command: &command,
            repairs: change.repairs,
            begin: &|| change.begin(),
        };
        let changes_conda = change.repairs || !addition.specs.is_empty();
        if changes_conda {
            conda::add(&tools.conda, &manner, &addition, sink)?;
        }
        change.begin()?;
        let done = install_pip(tools, name, &prefix, &lists.pip, mode, sink);
        undisturbed(done, changes_conda)
    } else {
        let python = venv::python_version(&image::python(&prefix))?;
        let mut pip = lists.pip;
        for spec in &lists.conda {
            let lines = venv::for_pip(std::slice::from_ref(spec), &python)?;
            let of_file = pip.iter_mut().find_map(|list| match list {
                List::Lines { file, lines } if *file == spec.file => Some(lines),
                _ => None,
            });
            match of_file {
                Some(known) => known.extend(lines),
                None => pip.push(List::Lines {
                    file: spec.file.clone(),
                    lines,
                }),
            }
        }
        change.begin()?;
        let done = tools.pip.install(name, &prefix, &pip, mode, sink);
        undisturbed(done, change.repairs)
    };
    match done {
        Err(Failed::Untouched(error)) => {
            change.end()?;
            return Err(error);
        }
        Err(Failed::Halfway(error)) => return Err(error),
        Ok(()) => {}
    }
    bytecode::compile(name, &prefix, sink)?;
    variables::add(&prefix, &lists.variables)?;
    change.end()
}

/// Installs into `name` the packages that all environments share. Where a frozen spec of `name` lies beside the lists, as
/// that of the base environment does in a frozen build, it stands for them.
pub fn install_common(
    layout: &Layout,
    tools: &Tools,
    name: &EnvironmentName,
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    let files = match spec_files(&layout.common_env) {
        Ok(files) => files,
        Err(SpecError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let own = Frozen::yml_path(&layout.common_env, name.as_str());
    let (frozen, lists) = files.into_iter().partition::<Vec<_>, _>(|file| Frozen::is_frozen(file));
    let files = if frozen.contains(&own) { vec![own] } else { lists };
    if files.is_empty() {
        sink.emit(Event::Warning {
            text: format!("{} holds no lists: nothing is shared", layout.common_env.display()),
        });
        return Ok(());
    }
    env_update(layout, tools, name, &files, sink)
}

/// A step that failed, and what that means for the environment.
enum Failed {
    /// It is what it was.
    Untouched(EnvsError),
    /// Only another attempt can tell what it is.
    Halfway(EnvsError),
}

/// Where a pip list has no resolution, nothing has been installed.
fn undisturbed(done: Result<(), EnvsError>, touched: bool) -> Result<(), Failed> {
    done.map_err(|error| match &error {
        EnvsError::Install { status, .. } if !touched && status.code() == Some(1) => Failed::Untouched(error),
        EnvsError::Start { .. } | EnvsError::NoPython { .. } if !touched => Failed::Untouched(error),
        _ => Failed::Halfway(error),
    })
}

/// What several files list.
#[derive(Default)]
pub(in crate::envs) struct Lists {
    pub channels: Vec<String>,
    pub conda: Vec<CondaSpec>,
    pub pip: Vec<List>,
    pub variables: BTreeMap<String, String>,
}

impl Lists {
    pub fn load(files: &[PathBuf]) -> Result<Self, EnvsError> {
        let mut lists = Self::default();
        for file in files {
            match SpecKind::of(file) {
                Some(SpecKind::Pip) if file.is_file() => lists.pip.push(List::File(file.clone())),
                Some(SpecKind::Pip) => return Err(io_error(file)(io::ErrorKind::NotFound.into())),
                Some(SpecKind::Conda) => {
                    let text = fs::read_to_string(file).map_err(io_error(file))?;
                    lists.conda.extend(crate::spec::env::conda::list(&text, file));
                }
                Some(SpecKind::Yml) => {
                    let spec = EnvironmentSpec::load(file)?;
                    lists.channels.extend(spec.channels);
                    lists.conda.extend(spec.conda);
                    lists.variables.extend(spec.variables);
                    lists.pip.push(List::Lines {
                        file: file.clone(),
                        lines: spec.pip,
                    });
                }
                None => return Err(EnvsError::UnknownKind { path: file.clone() }),
            }
        }
        Ok(lists)
    }
}

/// Where pip itself installs the lists, it must be in the environment: as conda does, it is added.
pub(in crate::envs) fn add_pip(tools: &Tools, prefix: &Path, lists: &[List], addition: &mut Addition) {
    let Some(list) = lists.iter().find(|list| !list.is_empty()) else {
        return;
    };
    let named = addition.specs.iter().any(|spec| spec.name() == "pip");
    if tools.pip == Installer::Pip && !named && !prefix.join("bin/pip").exists() {
        addition.specs.push(CondaSpec {
            text: "pip".to_owned(),
            file: list.file().to_owned(),
            line: None,
        });
    }
}

/// Installs pip lists into an environment of conda packages, and says which of those they replaced.
pub(in crate::envs) fn install_pip(
    tools: &Tools,
    name: &EnvironmentName,
    prefix: &Path,
    lists: &[List],
    mode: Mode,
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    let Some(first) = lists.iter().find(|list| !list.is_empty()) else {
        return Ok(());
    };
    if !image::python(prefix).exists() {
        return Err(EnvsError::NoPython {
            name: name.clone(),
            file: first.file().to_owned(),
        });
    }
    let before = Overridden::find(prefix)?;
    let mode = Mode {
        externally: true,
        ..mode
    };
    tools.pip.install(name, prefix, lists, mode, sink)?;
    Overridden::find(prefix)?.report(&before, lists, sink);
    Ok(())
}
