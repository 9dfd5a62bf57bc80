//! An environment made to hold exactly what a frozen spec says: nothing is solved, hashes are verified.

use std::path::Path;

use super::change::{Change, make};
use super::create::say_so;
use super::update;
use crate::envs::conda::{self, Manner};
use crate::envs::pip::installer::{List, Mode, Pins};
use crate::envs::{EnvsError, Layout, Tools, bytecode, variables, venv};
use crate::event::{Event, Sink};
use crate::image;
use crate::reference::EnvironmentName;
use crate::spec::env::CondaSpec;
use crate::spec::frozen::Frozen;

/// Makes the environment `name` from the frozen spec at `yml`.
pub(super) fn create(
    layout: &Layout,
    tools: &Tools,
    name: &EnvironmentName,
    yml: &Path,
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    let frozen = Frozen::load(yml)?;
    check_python(&frozen, yml, &layout.conda_dir)?;
    make(layout, name, sink, |prefix| {
        say_so(name, sink);
        if frozen.python.is_some() {
            venv::make(layout, name, prefix, sink)?;
        }
        let command = format!("env-create {name} {}", yml.display());
        let manner = Manner {
            prefix,
            command: &command,
            repairs: false,
            begin: &|| Ok(()),
        };
        fill(tools, name, &manner, &frozen, yml, sink)
    })
}

/// Makes the environment at `prefix` hold what the frozen spec at `yml` says.
pub(super) fn update(
    tools: &Tools,
    name: &EnvironmentName,
    prefix: &Path,
    yml: &Path,
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    let frozen = Frozen::load(yml)?;
    let is_conda = conda::is_environment(prefix);
    if is_conda != frozen.python.is_none() {
        return Err(EnvsError::OtherKind {
            name: name.clone(),
            path: yml.to_owned(),
            is_conda,
        });
    }
    check_python(&frozen, yml, prefix)?;
    let change = Change::of(name, prefix, sink)?;
    sink.emit(Event::Note {
        text: format!("installing {} into {name}", yml.display()),
    });
    let command = format!("env-update {name} {}", yml.display());
    let manner = Manner {
        prefix,
        command: &command,
        repairs: change.repairs,
        begin: &|| change.begin(),
    };
    fill(tools, name, &manner, &frozen, yml, sink)?;
    change.end()
}

fn fill(
    tools: &Tools,
    name: &EnvironmentName,
    manner: &Manner,
    frozen: &Frozen,
    yml: &Path,
    sink: &dyn Sink,
) -> Result<(), EnvsError> {
    let prefix = manner.prefix;
    if frozen.python.is_none() {
        conda::restore(&tools.conda, manner, frozen, sink)?;
    }
    (manner.begin)()?;
    variables::add(prefix, &frozen.variables)?;
    let list = |pins| {
        let verified = pins == Pins::Verified;
        let packages = frozen.pip.iter().filter(|package| package.sha256.is_some() == verified);
        let lines = packages.map(|package| match &package.sha256 {
            Some(sha256) => format!("{} --hash=sha256:{sha256}", package.requirement),
            None => package.requirement.clone(),
        });
        List::Lines {
            file: yml.to_owned(),
            lines: lines.collect(),
        }
    };
    for pins in [Pins::Verified, Pins::Exact] {
        let mode = Mode {
            pins,
            anew: manner.repairs,
            ..Mode::default()
        };
        let lists = [list(pins)];
        if frozen.python.is_none() {
            update::install_pip(tools, name, prefix, &lists, mode, sink)?;
        } else {
            tools.pip.install(name, prefix, &lists, mode, sink)?;
        }
    }
    bytecode::compile(name, prefix, sink)
}

/// The python of a venv is the base environment's, which no package can change.
fn check_python(frozen: &Frozen, yml: &Path, prefix: &Path) -> Result<(), EnvsError> {
    let Some(wanted) = &frozen.python else { return Ok(()) };
    let found = venv::python_version(&image::python(prefix))?;
    if found == *wanted {
        return Ok(());
    }
    Err(EnvsError::Python {
        spec: CondaSpec {
            text: format!("python={wanted}"),
            file: yml.to_owned(),
            line: None,
        },
        found,
    })
}
