//! An environment made to hold exactly what a frozen spec says: nothing is solved, hashes are verified.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::lists;
use crate::envs::change::{Change, make};
use crate::envs::conda;
use crate::envs::pip::installer::{Mode, Pins};
use crate::envs::pip::list::List;
use crate::envs::{EnvsError, Work, bytecode, clone, env_export, variables, venv};
use crate::image;
use crate::reference::EnvironmentName;
use crate::spec::env::CondaSpec;
use crate::spec::frozen::{Frozen, PipPackage};

/// Makes an environment from the frozen spec at `yml`.
pub(super) fn create(work: Work<'_>, frozen: &Frozen, yml: &Path) -> Result<(), EnvsError> {
    check_python(frozen, yml, &work.layout.conda_dir)?;
    make(work, |change| {
        work.note(format!("creating the environment {}", work.name));
        if begins_as_base(work, frozen)? {
            clone::copy(change, &EnvironmentName::base())?;
        } else if frozen.python.is_some() {
            venv::make(work)?;
        }
        let command = format!("env-create {} {}", work.name, yml.display());
        fill(change, &command, frozen, yml)
    })
}

/// Makes an environment of a part of what the frozen spec at `yml` says, which is what `part` says, as if it were all of it. A
/// `bare` one lacks what python itself brings.
pub(in crate::envs) fn create_part(
    work: Work<'_>,
    (part, whole): (&Frozen, &Frozen),
    yml: &Path,
    bare: bool,
) -> Result<(), EnvsError> {
    check_python(whole, yml, &work.layout.conda_dir)?;
    make(work, |change| {
        if whole.python.is_some() {
            if bare {
                venv::make_bare(work)?;
            } else {
                venv::make(work)?;
            }
        }
        let command = format!("env-create {} {}", work.name, yml.display());
        fill(change, &command, part, yml)?;
        if whole.python.is_none() {
            conda::note(change, &command, whole)?;
        }
        Ok(())
    })
}

/// Makes an environment that is there hold what the frozen spec at `yml` says.
pub(super) fn update(work: Work<'_>, frozen: &Frozen, yml: &Path) -> Result<(), EnvsError> {
    let is_conda = conda::is_environment(&work.prefix());
    if is_conda != frozen.python.is_none() {
        return Err(EnvsError::OtherKind {
            name: work.name.clone(),
            path: yml.to_owned(),
            is_conda,
        });
    }
    check_python(frozen, yml, &work.prefix())?;
    let change = Change::of(work)?;
    work.note(format!("installing {} into {}", yml.display(), work.name));
    let command = format!("env-update {} {}", work.name, yml.display());
    fill(&change, &command, frozen, yml)?;
    change.end()
}

/// Whether the base environment is a part of what the frozen spec says, to the archive, so that a copy of it is the same as
/// its packages installed again, and much faster. It counts as what its own frozen spec says, if it still holds that.
fn begins_as_base(work: Work<'_>, frozen: &Frozen) -> Result<bool, EnvsError> {
    let base = EnvironmentName::base();
    let made_from = Frozen::yml_path(&work.layout.common_env, base.as_str());
    if *work.name == base || frozen.python.is_none() || !made_from.is_file() {
        return Ok(false);
    }
    let made_from = Frozen::load(&made_from)?;
    let archives = |frozen: &Frozen| {
        let archive = |package: &PipPackage| (package.requirement.clone(), package.url.clone(), package.sha256.clone());
        frozen.pip.iter().map(archive).collect::<BTreeSet<_>>()
    };
    let (of_base, wanted) = (archives(&made_from), archives(frozen));
    if made_from.python != frozen.python || !of_base.is_subset(&wanted) {
        return Ok(false);
    }
    if !of_base.iter().all(|(_, _, sha256)| sha256.is_some()) {
        return Ok(false);
    }
    let names = |frozen: &Frozen| {
        let names = frozen.pip.iter().map(|package| package.requirement.clone());
        names.collect::<BTreeSet<_>>()
    };
    // What nobody could freeze is no longer what was frozen, and no fault of this environment.
    let held = env_export(work.layout, &base, None, work.sink);
    Ok(held.is_ok_and(|held| names(&held) == names(&made_from) && is_part(&held.variables, &frozen.variables)))
}

/// Whether all of these variables are set so among others.
fn is_part(variables: &BTreeMap<String, String>, others: &BTreeMap<String, String>) -> bool {
    variables.iter().all(|(name, value)| others.get(name) == Some(value))
}

fn fill(change: &Change<'_>, command: &str, frozen: &Frozen, yml: &Path) -> Result<(), EnvsError> {
    let work = change.work;
    if frozen.python.is_none() {
        conda::restore(change, command, frozen)?;
    }
    change.begin()?;
    variables::add(&change.prefix, &frozen.variables)?;
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
            reinstall: change.repairs,
            ..Mode::default()
        };
        let lists = [list(pins)];
        if frozen.python.is_none() {
            lists::install_pip(work, &lists, mode)?;
        } else {
            work.tools.pip.install(work, &lists, mode)?;
        }
    }
    bytecode::compile(work)
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
