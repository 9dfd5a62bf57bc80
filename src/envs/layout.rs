//! Where environments are inside an image, and whether one is complete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::EnvsError;
use super::error::io_error;
use crate::image;
use crate::reference::EnvironmentName;
use crate::spec::env::{SpecError, spec_files};

/// Lies in an environment that is being made or changed, and is removed when that is done: what was killed on the way
/// never passes for finished. Its text is that of [`MAKING`] or [`CHANGING`].
pub(super) const INCOMPLETE: &str = ".floe-incomplete";

/// The text of the mark in an environment that is being made: what is left of it can only be replaced.
pub(super) const MAKING: &str = "";

/// The text of the mark in an environment that was complete and is being changed: the next change repairs it.
pub(super) const CHANGING: &str = "changing\n";

/// Where things are inside an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// `$CONDA_DIR`, the base environment; the others are in `envs/` below it.
    pub conda_dir: PathBuf,
    /// The lists of what all environments share, `/opt/common-env`.
    pub common_env: PathBuf,
    /// The directories of the environments' own files, `/opt/environments`.
    pub environments: PathBuf,
}

/// What is at the prefix of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing, or an empty directory.
    Absent,
    /// What a run left that was making it.
    Making,
    /// What a run left that was changing it.
    Changing,
    /// An environment.
    Complete,
    /// Something that is no environment.
    Other,
}

impl State {
    pub(super) fn of(prefix: &Path) -> Self {
        if let Ok(mark) = fs::read_to_string(prefix.join(INCOMPLETE)) {
            return if mark == CHANGING { Self::Changing } else { Self::Making };
        }
        if is_complete(prefix) {
            return Self::Complete;
        }
        match fs::read_dir(prefix).map(|mut entries| entries.next().is_none()) {
            Ok(false) => Self::Other,
            _ => Self::Absent,
        }
    }
}

impl Layout {
    /// The layout of every image that floe builds, with `conda_dir` as the image sets it.
    #[must_use]
    pub fn of_image(conda_dir: impl Into<PathBuf>) -> Self {
        Self {
            conda_dir: conda_dir.into(),
            common_env: image::COMMON_ENV.into(),
            environments: image::ENVIRONMENTS.into(),
        }
    }

    /// Where the environment is, whether or not it exists.
    #[must_use]
    pub fn prefix(&self, name: &EnvironmentName) -> PathBuf {
        image::prefix(&self.conda_dir, name)
    }

    /// The spec files that all environments share, frozen ones among them; none where there is no such directory.
    pub fn shared_specs(&self) -> Result<Vec<PathBuf>, SpecError> {
        match spec_files(&self.common_env) {
            Err(SpecError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            found => found,
        }
    }

    /// The complete environments under `$CONDA_DIR/envs`, in the order of names.
    pub fn installed(&self) -> Result<Vec<EnvironmentName>, EnvsError> {
        let dir = image::environments_below(&self.conda_dir);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io_error(&dir)(source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(io_error(&dir))?.file_name();
            // Whatever is no environment's name was not put there by floe.
            let name = name.to_str().and_then(|name| name.parse::<EnvironmentName>().ok());
            names.extend(name.filter(|name| State::of(&self.prefix(name)) == State::Complete));
        }
        names.sort();
        Ok(names)
    }

    /// Refuses an environment that is being made or changed, or that was left so: no test of it means anything.
    pub fn refuse_incomplete(&self, name: &EnvironmentName) -> Result<(), EnvsError> {
        match State::of(&self.prefix(name)) {
            State::Making | State::Changing => self.complete(name).map(drop),
            State::Absent | State::Complete | State::Other => Ok(()),
        }
    }

    /// The prefix of an environment that must be complete.
    pub fn complete(&self, name: &EnvironmentName) -> Result<PathBuf, EnvsError> {
        let prefix = self.prefix(name);
        match State::of(&prefix) {
            State::Complete => Ok(prefix),
            State::Making => Err(EnvsError::Incomplete {
                name: name.clone(),
                path: prefix,
            }),
            State::Changing => Err(EnvsError::Changing {
                name: name.clone(),
                path: prefix,
            }),
            State::Absent | State::Other => Err(EnvsError::Missing {
                name: name.clone(),
                path: prefix,
                known: self.installed()?,
            }),
        }
    }

    /// The prefix of an environment that can be changed: a complete one, or one whose change was interrupted.
    pub(super) fn changeable(&self, name: &EnvironmentName) -> Result<PathBuf, EnvsError> {
        match self.complete(name) {
            Err(EnvsError::Changing { path, .. }) => Ok(path),
            other => other,
        }
    }
}

/// Without python, only what conda packages made can be an environment.
fn is_complete(prefix: &Path) -> bool {
    image::python(prefix).exists() || prefix.join("conda-meta/history").exists()
}
