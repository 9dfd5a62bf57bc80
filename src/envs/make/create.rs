//! A new environment, solved from a floating spec.

use std::path::{Path, PathBuf};

use super::lists;
use crate::envs::change::make;
use crate::envs::conda::{self, Addition};
use crate::envs::pip::installer::Mode;
use crate::envs::pip::list::List;
use crate::envs::{EnvsError, Work, bytecode, variables, venv};
use crate::image;
use crate::spec::env::{CondaSpec, EnvironmentSpec};

/// Makes an environment of what `yml` lists; without a file it holds python alone.
pub(super) fn create(work: Work<'_>, yml: Option<&Path>) -> Result<(), EnvsError> {
    let spec = yml.map(EnvironmentSpec::load).transpose()?;
    if work.tools.use_conda(work.layout) {
        conda_environment(work, yml, spec)
    } else {
        venv(work, yml, spec.unwrap_or_default())
    }
}

fn venv(work: Work<'_>, yml: Option<&Path>, spec: EnvironmentSpec) -> Result<(), EnvsError> {
    // The bounds are checked before anything is made.
    let python = venv::python_version(&image::python(&work.layout.conda_dir))?;
    let mut lines = venv::for_pip(&spec.conda, &python)?;
    lines.extend(spec.pip);
    make(work, |change| {
        work.note(format!("creating the environment {}", work.name));
        venv::make(work)?;
        variables::add(&change.prefix, &spec.variables)?;
        if let Some(yml) = yml {
            let lists = [List::Lines {
                file: yml.to_owned(),
                lines,
            }];
            work.tools.pip.install(work, &lists, Mode::default())?;
        }
        bytecode::compile(work)
    })
}

fn conda_environment(work: Work<'_>, yml: Option<&Path>, spec: Option<EnvironmentSpec>) -> Result<(), EnvsError> {
    let spec = spec.unwrap_or_else(python_alone);
    let mut addition = Addition {
        channels: spec.channels,
        specs: spec.conda,
    };
    let lists = yml.map(|yml| List::Lines {
        file: yml.to_owned(),
        lines: spec.pip,
    });
    let lists = Vec::from_iter(lists);
    lists::add_pip(work, &lists, &mut addition);
    make(work, |change| {
        work.note(format!("creating the environment {}", work.name));
        let file = yml.map(|yml| format!(" {}", yml.display())).unwrap_or_default();
        conda::add(change, &format!("env-create {}{file}", work.name), &addition)?;
        variables::add(&change.prefix, &spec.variables)?;
        lists::install_pip(work, &lists, Mode::default())?;
        bytecode::compile(work)
    })
}

/// What an environment is made of for which no file says anything.
fn python_alone() -> EnvironmentSpec {
    EnvironmentSpec {
        conda: vec![CondaSpec {
            text: "python".to_owned(),
            file: PathBuf::from("env-create"),
            line: None,
        }],
        ..EnvironmentSpec::default()
    }
}
