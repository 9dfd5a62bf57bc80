//! An environment solved in the image that it is to be made in.

use std::collections::BTreeMap;

use super::{Kept, Start, Unsolved, Upgrade, solve};
use crate::envs::venv::python_version;
use crate::envs::{EnvsError, Installer, Work, env_export};
use crate::image;
use crate::reference::EnvironmentName;
use crate::spec::env;
use crate::spec::frozen::Frozen;

/// What an environment of the image would hold if it were made of its floating specs now.
///
/// `None` where only an installation can tell, which is said: no uv solves pip lists there, or the environment begins as a
/// copy of one of conda packages.
pub fn env_solve(work: Work<'_>) -> Result<Option<Frozen>, EnvsError> {
    let Work {
        layout,
        tools,
        name,
        sink,
    } = work;
    if matches!(tools.pip, Installer::Pip) {
        work.note(format!("{name} is solved while it is installed, for there is no uv"));
        return Ok(None);
    }
    let files = env::load(&layout.environments.join(name.as_str()))?;
    let mut shared = layout.shared_specs()?;
    shared.retain(|file| !Frozen::is_frozen(file));
    let (python, base);
    let start = if files.create.is_none() || name.is_base() {
        base = of_base(work)?;
        if base.python.is_none() {
            work.note(format!(
                "{name} is solved while it is installed, as a copy of conda packages"
            ));
            return Ok(None);
        }
        Start::Copy(&base)
    } else if tools.use_conda(layout) {
        Start::Conda
    } else {
        python = python_version(&image::python(&layout.conda_dir))?;
        Start::Venv(&python)
    };
    let unsolved = Unsolved {
        name,
        files: env::in_order(&files, &shared),
        also: None,
        start,
        site: &BTreeMap::new(),
    };
    let nothing = Kept {
        earlier: None,
        upgrade: &Upgrade::All,
    };
    Ok(Some(solve(tools, &unsolved, nothing, sink)?.frozen))
}

/// What the base environment holds: what it was made of, if that is there, else what is installed.
fn of_base(work: Work<'_>) -> Result<Frozen, EnvsError> {
    let base = EnvironmentName::base();
    let frozen = Frozen::yml_path(&work.layout.common_env, base.as_str());
    if frozen.is_file() {
        return Ok(Frozen::load(&frozen)?);
    }
    env_export(work.layout, &base, None, work.sink)
}
