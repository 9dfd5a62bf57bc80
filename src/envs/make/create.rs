//! A new environment.

use std::path::{Path, PathBuf};

use super::change::make;
use super::{exact, update};
use crate::envs::conda::{self, Addition, Manner};
use crate::envs::pip::installer::{List, Mode};
use crate::envs::{EnvsError, Layout, Tools, bytecode, variables, venv};
use crate::event::{Event, Sink};
use crate::image;
use crate::reference::EnvironmentName;
use crate::spec::env::{CondaSpec, EnvironmentSpec};
use crate::spec::frozen::Frozen;

/// Makes the environment `name` with what `yml` lists; without a file it holds python alone. From a frozen spec it is
/// made exactly, without solving.
///
/// A complete environment of that name is left alone, which is an error; what an interrupted run left is replaced.
/// On an error nothing is left.
pub fn env_create(
    layout: &Layout,
    tools: &Tools,
    name: &EnvironmentName,
    yml: Option<&Path>,
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    if let Some(yml) = yml.filter(|yml| Frozen::is_frozen(yml)) {
        return exact::create(layout, tools, name, yml, sink);
    }
    let spec = yml.map(EnvironmentSpec::load).transpose()?.unwrap_or_default();
    if tools.use_conda(layout) {
        conda_environment(layout, tools, name, yml, spec, sink)
    } else {
        venv(layout, tools, name, yml, spec, sink)
    }
}

/// That the environment is being made.
pub(in crate::envs) fn say_so(name: &EnvironmentName, sink: &dyn Sink) {
    sink.emit(Event::Note {
        text: format!("creating the environment {name}"),
    });
}

fn venv(
    layout: &Layout,
    tools: &Tools,
    name: &EnvironmentName,
    yml: Option<&Path>,
    spec: EnvironmentSpec,
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    // The bounds are checked before anything is made.
    let python = venv::python_version(&image::python(&layout.conda_dir))?;
    let mut lines = venv::for_pip(&spec.conda, &python)?;
    lines.extend(spec.pip);
    make(layout, name, sink, |prefix| {
        say_so(name, sink);
        venv::make(layout, name, prefix, sink)?;
        variables::add(prefix, &spec.variables)?;
        if let Some(yml) = yml {
            let lists = [List::Lines {
                file: yml.to_owned(),
                lines,
            }];
            tools.pip.install(name, prefix, &lists, Mode::default(), sink)?;
        }
        bytecode::compile(name, prefix, sink)
    })
}

fn conda_environment(
    layout: &Layout,
    tools: &Tools,
    name: &EnvironmentName,
    yml: Option<&Path>,
    spec: EnvironmentSpec,
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    let Some(yml) = yml else {
        let python = CondaSpec {
            text: "python".to_owned(),
            file: PathBuf::from("env-create"),
            line: None,
        };
        let spec = EnvironmentSpec {
            conda: vec![python],
            ..EnvironmentSpec::default()
        };
        return conda_environment(layout, tools, name, Some(Path::new("env-create")), spec, sink);
    };
    let mut addition = Addition {
        channels: spec.channels,
        specs: spec.conda,
    };
    let lists = [List::Lines {
        file: yml.to_owned(),
        lines: spec.pip,
    }];
    update::add_pip(tools, &layout.prefix(name), &lists, &mut addition);
    make(layout, name, sink, |prefix| {
        say_so(name, sink);
        let command = format!("env-create {name} {}", yml.display());
        let manner = Manner {
            prefix,
            command: command.trim_end_matches(" env-create"),
            repairs: false,
            // The mark of an environment in the making is there.
            begin: &|| Ok(()),
        };
        conda::add(&tools.conda, &manner, &addition, sink)?;
        variables::add(prefix, &spec.variables)?;
        update::install_pip(tools, name, prefix, &lists, Mode::default(), sink)?;
        bytecode::compile(name, prefix, sink)
    })
}
