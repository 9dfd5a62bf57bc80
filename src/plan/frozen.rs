//! Where the frozen specs of an image's environments are kept, and whether they are still those of the floating ones.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::{BaseImage, Settings};
use crate::reference::{Digest, EnvironmentName};
use crate::repository::{self, Repository};
use crate::spec::env::{self, EnvironmentFiles, SpecError};
use crate::spec::frozen::Frozen;

/// An environment of an image, and where its frozen spec is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenFile {
    /// The environment.
    pub environment: EnvironmentName,
    /// `<env>-frozen.yml`, relative to the repository.
    pub path: PathBuf,
    /// The digest of the floating spec files.
    pub specs: Digest,
    /// Whether the floating spec files have changed since the frozen spec was made from them. `false` as well where it
    /// does not say what it was made from.
    pub stale: bool,
}

impl FrozenFile {
    /// The frozen spec and its lock, relative to the repository.
    #[must_use]
    pub fn files(&self) -> [PathBuf; 2] {
        [self.path.clone(), Frozen::lock_path(&self.path)]
    }
}

/// The frozen spec of one of a mission's environments.
pub(super) fn of_environment(
    repository: &Repository,
    files: &EnvironmentFiles,
    shared: &[PathBuf],
) -> Result<FrozenFile, SpecError> {
    let specs = env::digest(files, shared)?;
    let path = files.directory.join(format!("{}-frozen.yml", files.name));
    known(repository, files.name.clone(), &path, specs)
}

/// The frozen spec of the base environment, which the common image brings. In a frozen build it must be there.
///
/// `None` where the base image brings the base environment and `common/` adds nothing to it.
pub(super) fn of_base(
    repository: &Repository,
    shared: &[PathBuf],
    settings: &Settings,
) -> Result<Option<FrozenFile>, SpecError> {
    if shared.is_empty() && settings.base_image != BaseImage::Debian {
        return Ok(None);
    }
    let path = repository.path(repository::base_frozen());
    if settings.use_frozen && !path.exists() {
        return Err(SpecError::NotFrozen {
            path: repository::base_frozen(),
        });
    }
    let mut read = shared.to_vec();
    let base = match &settings.base_image {
        BaseImage::Debian => {
            read.push(repository.path(repository::BASE).join("requirements.txt"));
            "debian"
        }
        BaseImage::Reference(reference) => reference,
    };
    let specs = env::digest_of(&read, base)?;
    known(repository, EnvironmentName::base(), &path, specs).map(Some)
}

fn known(
    repository: &Repository,
    environment: EnvironmentName,
    path: &Path,
    specs: Digest,
) -> Result<FrozenFile, SpecError> {
    let made_from = if path.exists() { Frozen::load(path)?.specs } else { None };
    Ok(FrozenFile {
        environment,
        path: repository.relative(path).to_owned(),
        stale: made_from.is_some_and(|made_from| made_from != specs),
        specs,
    })
}

/// The spec files that all environments share; none where there is no such directory.
pub fn shared_specs(repository: &Repository) -> Result<Vec<PathBuf>, SpecError> {
    match env::spec_files(&repository.path(repository::COMMON_ENV)) {
        Ok(files) => Ok(files.into_iter().filter(|file| !Frozen::is_frozen(file)).collect()),
        Err(SpecError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
