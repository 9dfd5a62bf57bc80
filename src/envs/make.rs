//! Environments made and changed: from floating specs, which are solved, or from frozen ones, which are obeyed.

mod create;
mod exact;
pub(super) mod lists;
mod update;

use std::path::{Path, PathBuf};

pub(super) use exact::create_part;

use super::{EnvsError, Work};
use crate::spec::env::{SpecError, spec_files};
use crate::spec::frozen::Frozen;

/// Makes an environment of what `yml` lists; without a file it holds python alone. From a frozen spec it is made exactly,
/// without solving.
///
/// A complete environment of that name is left alone, which is an error; what an interrupted run left is replaced.
/// On an error nothing is left.
pub fn env_create(work: Work<'_>, yml: Option<&Path>) -> Result<(), EnvsError> {
    match yml.map(|yml| exactly(work, yml)).transpose()?.flatten() {
        Some((frozen, yml)) => exact::create(work, &frozen, yml),
        None => create::create(work, yml),
    }
}

/// What a frozen spec says, where it says everything. One that somebody else wrote may leave builds open: it is installed
/// as far as it says, like a spec that floats.
fn exactly<'a>(work: Work<'_>, yml: &'a Path) -> Result<Option<(Frozen, &'a Path)>, EnvsError> {
    if !Frozen::is_frozen(yml) {
        return Ok(None);
    }
    match Frozen::load(yml) {
        Ok(frozen) => Ok(Some((frozen, yml))),
        Err(open @ SpecError::Floating { .. }) => {
            work.warn(format!(
                "{open}; it is installed as far as it says, without builds and hashes: `floe freeze` writes all of it"
            ));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Installs what `files` list, all of them resolved together.
///
/// The kinds are those of [`SpecKind`](crate::spec::env::SpecKind). Relative paths in a list are relative to the directory
/// of the first file. A frozen spec stands alone: the environment is made to hold what it says.
pub fn env_update(work: Work<'_>, files: &[PathBuf]) -> Result<(), EnvsError> {
    work.layout.changeable(work.name)?;
    if files.is_empty() {
        work.note(format!("no file is named: {} stays as it is", work.name));
        return Ok(());
    }
    match files.iter().find(|file| Frozen::is_frozen(file)) {
        None => update::update(work, files),
        Some(yml) if files.len() > 1 => Err(EnvsError::FrozenAmongOthers { path: yml.clone() }),
        Some(yml) => match exactly(work, yml)? {
            Some((frozen, yml)) => exact::update(work, &frozen, yml),
            None => update::update(work, files),
        },
    }
}

/// The frozen spec of an environment in its image. `None` where nothing there says what it should hold, frozen or floating:
/// it is what it is cloned from.
pub fn frozen_spec(work: Work<'_>) -> Result<Option<PathBuf>, EnvsError> {
    let directory = work.layout.environments.join(work.name.as_str());
    let path = Frozen::yml_path(&directory, work.name.as_str());
    if path.is_file() {
        return Ok(Some(path));
    }
    match spec_files(&directory) {
        Ok(floating) if !floating.is_empty() => Err(SpecError::NotFrozen { path }.into()),
        _ => Ok(None),
    }
}

/// The error of an environment that is to hold more than its frozen spec says, for there is none.
#[must_use]
pub fn not_frozen(work: Work<'_>) -> EnvsError {
    let directory = work.layout.environments.join(work.name.as_str());
    let path = Frozen::yml_path(&directory, work.name.as_str());
    SpecError::NotFrozen { path }.into()
}

/// Says that an environment is frozen, so that nothing is added to it.
pub fn leave_frozen(work: Work<'_>) {
    work.note(format!(
        "{} is frozen (USE_FROZEN=1): its frozen spec says all that it holds, and nothing is added",
        work.name
    ));
}

/// Whether a frozen spec of the environment lies beside the lists of what all environments share.
#[must_use]
pub fn has_common_frozen(work: Work<'_>) -> bool {
    Frozen::yml_path(&work.layout.common_env, work.name.as_str()).is_file()
}

/// Installs the packages that all environments share. Where a frozen spec of the environment lies beside the lists, as that
/// of the base environment does in a frozen build, it stands for them.
pub fn install_common(work: Work<'_>) -> Result<(), EnvsError> {
    let directory = &work.layout.common_env;
    let files = work.layout.shared_specs()?;
    let own = Frozen::yml_path(directory, work.name.as_str());
    let (frozen, lists) = files.into_iter().partition::<Vec<_>, _>(|file| Frozen::is_frozen(file));
    let files = if frozen.contains(&own) { vec![own] } else { lists };
    if files.is_empty() {
        work.warn(format!("{} holds no lists: nothing is shared", directory.display()));
        return Ok(());
    }
    env_update(work, &files)
}
