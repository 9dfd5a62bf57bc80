//! An environment that gets more packages.

use std::path::PathBuf;

use super::lists::{self, Lists};
use crate::envs::change::Change;
use crate::envs::conda::{self, Addition};
use crate::envs::pip::installer::Mode;
use crate::envs::pip::list::List;
use crate::envs::{EnvsError, Work, bytecode, variables, venv};
use crate::image;
use crate::spec::env::CondaSpec;

/// Installs what `files` list, all of them resolved together.
pub(super) fn update(work: Work<'_>, files: &[PathBuf]) -> Result<(), EnvsError> {
    let lists = Lists::load(files)?;
    let change = Change::of(work)?;
    let shown = files
        .iter()
        .filter_map(|file| file.file_name())
        .map(|name| name.to_string_lossy());
    let shown = shown.collect::<Vec<_>>();
    work.note(format!("installing {} into {}", shown.join(", "), work.name));
    let done = if conda::is_environment(&change.prefix) {
        let command = format!("env-update {} {}", work.name, shown.join(" "));
        add_to_conda(&change, &command, lists.channels, lists.conda, &lists.pip)?
    } else {
        add_to_venv(&change, &lists)?
    };
    match done {
        Err(Failed::Untouched(error)) => {
            change.end()?;
            return Err(error);
        }
        Err(Failed::Halfway(error)) => return Err(error),
        Ok(()) => {}
    }
    bytecode::compile(work)?;
    variables::add(&change.prefix, &lists.variables)?;
    change.end()
}

fn add_to_conda(
    change: &Change<'_>,
    command: &str,
    channels: Vec<String>,
    specs: Vec<CondaSpec>,
    pip: &[List],
) -> Result<Result<(), Failed>, EnvsError> {
    let mut addition = Addition { channels, specs };
    lists::add_pip(change.work, pip, &mut addition);
    let changes_conda = change.repairs || !addition.specs.is_empty();
    if changes_conda {
        conda::add(change, command, &addition)?;
    }
    change.begin()?;
    Ok(undisturbed(
        lists::install_pip(change.work, pip, mode(change)),
        changes_conda,
    ))
}

fn add_to_venv(change: &Change<'_>, lists: &Lists) -> Result<Result<(), Failed>, EnvsError> {
    let python = venv::python_version(&image::python(&change.prefix))?;
    let mut pip = lists.pip.clone();
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
    let installed = change.work.tools.pip.install(change.work, &pip, mode(change));
    Ok(undisturbed(installed, change.repairs))
}

fn mode(change: &Change<'_>) -> Mode {
    Mode {
        reinstall: change.repairs,
        ..Mode::default()
    }
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
        EnvsError::Start { .. } | EnvsError::NoPython { .. } | EnvsError::Spec(_) if !touched => {
            Failed::Untouched(error)
        }
        _ => Failed::Halfway(error),
    })
}
