//! Where the frozen specs of an image's environments are kept, and whether they are still those of the floating ones.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Solved;
use super::mission::Environment;
use crate::config::{BaseImage, Settings};
use crate::reference::{Digest, EnvironmentName, Hasher};
use crate::repository::{self, Repository};
use crate::spec::env::{self, EnvironmentFiles, Lists, SpecError, pip};
use crate::spec::frozen::{Frozen, Outline};

/// An environment of an image, and where its frozen spec is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenFile {
    /// The environment.
    pub environment: EnvironmentName,
    /// `<env>-frozen.yml`, relative to the repository.
    pub path: PathBuf,
    /// The digest of the floating spec files.
    pub specs: Digest,
    /// Whether the floating spec files have changed since the frozen spec was made from them. `false` as well in a frozen
    /// build where it does not say what it was made from; a floating build replaces such a one.
    pub stale: bool,
    /// The digest of what it says, if it has a lock: how its text says that changes no environment, and no more does what it
    /// was made from.
    pub key: Option<Digest>,
    /// Whether it is the base environment, which all missions share.
    pub shared: bool,
    /// What stands for it in a floating build: the frozen spec that the floating ones were solved to.
    pub solved: Option<PathBuf>,
}

impl FrozenFile {
    /// Whether a floating build is to write the frozen spec: where it says something else than what the image was made of.
    /// Of an image that solved its specs by itself nobody knows, so it is written where the image is `fresh`; that of what
    /// all missions share does not move because one of them was built, but where it is missing or stale, or where all is to
    /// be solved again by `refresh`.
    #[must_use]
    pub fn is_due(&self, repository: &Repository, fresh: bool, refresh: bool) -> bool {
        let path = repository.path(&self.path);
        let due = match &self.solved {
            Some(_) => Outline::read(&path).map_or(true, |outline| outline.key != self.key),
            None => (fresh && (refresh || !self.shared)) || !path.exists(),
        };
        self.stale || due
    }

    /// What decides what the floating specs of the base environment are solved to, or are not solved again: they and the
    /// frozen spec that the repository holds of them.
    #[must_use]
    pub fn origin_of_base(&self, repository: &Repository) -> Digest {
        let held = std::fs::read(repository.path(&self.path)).unwrap_or_default();
        let mut hasher = Hasher::default();
        hasher.part("specs", self.specs.as_str().as_bytes());
        hasher.part("held", &held);
        hasher.finish()
    }

    /// The same, for which `solved` stands.
    fn solved_to(self, solved: PathBuf) -> Result<Self, SpecError> {
        Ok(Self {
            key: Outline::read(&solved)?.key,
            solved: Some(solved),
            ..self
        })
    }

    /// The frozen spec and its lock, relative to the repository.
    #[must_use]
    pub fn files(&self) -> [PathBuf; 2] {
        [self.path.clone(), Frozen::lock_path(&self.path)]
    }
}

/// The frozen spec of one of a mission's environments.
pub(super) fn of_environment(
    repository: &Repository,
    Environment { files, lists, solved }: &Environment,
    shared: &Lists,
    settings: &Settings,
) -> Result<FrozenFile, SpecError> {
    let specs = env::digest_of_lists(files, lists, shared)?;
    if !settings.use_frozen {
        // What nobody else could install is better known before a build than after it.
        pip::refuse_local(&lists.lines)?;
    }
    let path = files.directory.join(format!("{}-frozen.yml", files.name));
    let known = known(repository, files.name.clone(), &path, specs, settings.use_frozen)?;
    match solved {
        Some(solved) => known.solved_to(solved.clone()),
        None => Ok(known),
    }
}

/// The frozen spec of an environment that is to be solved, from its own specs and those that all share.
pub fn floating(
    repository: &Repository,
    files: &EnvironmentFiles,
    shared: &[PathBuf],
) -> Result<FrozenFile, SpecError> {
    let lists = Lists::read(&files.floating().cloned().collect::<Vec<_>>())?;
    let specs = env::digest_of_lists(files, &lists, &Lists::read(shared)?)?;
    pip::refuse_local(&lists.lines)?;
    let path = files.directory.join(format!("{}-frozen.yml", files.name));
    known(repository, files.name.clone(), &path, specs, false)
}

/// The frozen spec of the base environment that is to be solved.
pub fn floating_base(
    repository: &Repository,
    shared: &[PathBuf],
    settings: &Settings,
) -> Result<FrozenFile, SpecError> {
    pip::refuse_local(&pip::all_lines(shared)?)?;
    let path = repository.path(repository::base_frozen());
    let specs = base_specs(repository, shared, settings)?;
    let known = known(repository, EnvironmentName::base(), &path, specs, false)?;
    Ok(FrozenFile { shared: true, ..known })
}

/// The frozen spec of the base environment, which the common image brings. In a frozen build it must be there.
///
/// `None` where the base image brings the base environment and `common/` adds nothing to it.
pub(super) fn of_base(
    repository: &Repository,
    shared: &[PathBuf],
    settings: &Settings,
    solved: Option<&Solved>,
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
    if !settings.use_frozen {
        pip::refuse_local(&pip::all_lines(shared)?)?;
    }
    let specs = base_specs(repository, shared, settings)?;
    let known = known(repository, EnvironmentName::base(), &path, specs, settings.use_frozen)?;
    let file = FrozenFile { shared: true, ..known };
    let solved = solved.filter(|_| !settings.use_frozen);
    let solved = solved.and_then(|solved| solved.find_of(&file.path, &file.origin_of_base(repository)));
    Ok(Some(match solved {
        Some(solved) => file.solved_to(solved)?,
        None => file,
    }))
}

/// The digest of all that the base environment is made from, as far as it is in the repository.
fn base_specs(repository: &Repository, shared: &[PathBuf], settings: &Settings) -> Result<Digest, SpecError> {
    let mut read = shared.to_vec();
    let base = match &settings.base_image {
        BaseImage::Debian => {
            read.push(repository.path(repository::BASE).join("requirements.txt"));
            "debian"
        }
        BaseImage::Reference(reference) => reference.as_str(),
    };
    env::digest_of(&read, base)
}

fn known(
    repository: &Repository,
    environment: EnvironmentName,
    path: &Path,
    specs: Digest,
    use_frozen: bool,
) -> Result<FrozenFile, SpecError> {
    let mut key = None;
    let stale = if path.exists() {
        match Outline::read(path) {
            Ok(outline) => {
                key = outline.key;
                outline.specs.map_or(!use_frozen, |made_from| made_from != specs)
            }
            // A floating build replaces it, whatever it holds.
            Err(_) if !use_frozen => true,
            // Somebody else wrote it, and did not say from what.
            Err(SpecError::Floating { .. }) => false,
            Err(error) => return Err(error),
        }
    } else {
        false
    };
    Ok(FrozenFile {
        environment,
        path: repository.relative(path).to_owned(),
        stale,
        key,
        shared: false,
        solved: None,
        specs,
    })
}

/// Counts frozen specs among the `files` of a context by what they say, and not by their text. The context is that of
/// `directory`, relative to the repository.
pub(super) fn count_by_key(frozen: &[FrozenFile], directory: &Path, files: &mut BTreeMap<PathBuf, Digest>) {
    for file in frozen {
        let Some(key) = &file.key else { continue };
        for path in file.files() {
            let in_context = path.strip_prefix(directory).ok();
            if let Some(digest) = in_context.and_then(|path| files.get_mut(path)) {
                digest.clone_from(key);
            }
        }
    }
}

/// The spec files that all environments share; none where there is no such directory.
pub fn shared_specs(repository: &Repository) -> Result<Vec<PathBuf>, SpecError> {
    match env::spec_files(&repository.path(repository::COMMON_ENV)) {
        Ok(files) => Ok(files.into_iter().filter(|file| !Frozen::is_frozen(file)).collect()),
        Err(SpecError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
