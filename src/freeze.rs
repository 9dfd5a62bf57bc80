//! Frozen specs, taken out of built images and kept in the repository.
//!
//! What is frozen is what an image holds, never what was asked for. Packages from an index are looked up there once more
//! for the digests of their archives, so the export is a build on top of the image, with all that the site gives to
//! builds; nothing of it is kept but the files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::builder::{BuildError, Built, Options};
use crate::compose::{self, Mounts};
use crate::context::Context;
use crate::engine::{BuildRequest, ContainerRequest, Engine, EngineError};
use crate::event::Sink;
use crate::host::Owner;
use crate::image::label;
use crate::plan::{FrozenFile, ImagePlan};
use crate::reference::{Digest, EnvironmentName};
use crate::repository::Repository;
use crate::spec::SpecError;
use crate::spec::changes::Changes;
use crate::spec::frozen::Frozen;
use crate::trial;

/// Where the export leaves its files.
const DIRECTORY: &str = "/floe-frozen";

/// More than this is not copied out; a lock has about a kilobyte for each package.
const LIMIT: u64 = 256 << 20;

/// Frozen specs that cannot be made or kept.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// The environments of an image cannot be exported.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A frozen spec cannot be read or written.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A directory for the time of the export cannot be made.
    #[error("{path}: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<EngineError> for FreezeError {
    fn from(error: EngineError) -> Self {
        Self::Build(error.into())
    }
}

/// A frozen spec that was brought up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The frozen spec, relative to the repository.
    pub path: PathBuf,
    /// Whether there was none before.
    pub new: bool,
    /// How it differs from the one before.
    pub changes: Changes,
}

/// What is exported, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The image, in people's words.
    pub name: String,
    /// The image, as the engine knows it.
    pub reference: String,
    /// The environments.
    pub environments: Vec<EnvironmentName>,
}

impl Export {
    /// The environments of a built image that are kept in the repository.
    #[must_use]
    pub fn of(plan: &ImagePlan, image: &Built) -> Self {
        Self {
            name: plan.name.clone(),
            reference: image.reference.to_string(),
            environments: plan.frozen.iter().map(|file| file.environment.clone()).collect(),
        }
    }
}

/// What the environments hold, in the order in which they were asked for.
pub async fn export(
    wanted: &Export,
    engine: &dyn Engine,
    options: &Options,
    mounts: &Mounts,
    events: &dyn Sink,
) -> Result<Vec<Frozen>, FreezeError> {
    let scratch = tempfile::tempdir().map_err(|source| FreezeError::Directory {
        path: std::env::temp_dir(),
        source,
    })?;
    let mut args = BTreeMap::from([("BASE_IMAGE".to_owned(), wanted.reference.clone())]);
    args.extend(options.proxies.clone());
    let request = BuildRequest {
        image: format!("frozen specs of {}", wanted.name),
        dockerfile: compose::export(&wanted.environments, DIRECTORY, mounts).text,
        context: Context::new(scratch.path()),
        args,
        secrets: options.secrets.clone(),
        // An image of this call's own: another floe that exports the same removes its one.
        labels: BTreeMap::from([(label::FREEZE.to_owned(), Uuid::new_v4().to_string())]),
        tags: Vec::new(),
        no_cache: false,
    };
    let exported = engine.build(request, events).await?;
    let fetched = fetch(&exported, &wanted.name, engine, scratch.path()).await;
    engine.remove_image(&exported).await?;
    fetched?;
    let specs = wanted
        .environments
        .iter()
        .map(|name| Frozen::load(&Frozen::yml_path(scratch.path(), name.as_str())));
    Ok(specs.collect::<Result<_, _>>()?)
}

/// Copies the exported files into `destination`, by way of a container that does nothing.
async fn fetch(image: &Digest, name: &str, engine: &dyn Engine, destination: &Path) -> Result<(), EngineError> {
    let request = ContainerRequest {
        image: image.to_string(),
        command: vec!["true".to_owned()],
        labels: trial::labels("freeze", name, &Owner::current()),
        ..ContainerRequest::default()
    };
    let container = engine.start(&request).await?;
    let copied = engine
        .copy_out(&container, DIRECTORY, destination.to_owned(), LIMIT)
        .await;
    engine.remove(&container).await?;
    copied.map(drop)
}

/// Writes `frozen` to its place in `repository`, unless it is there already. `floating` says whether the image was built
/// from the floating specs as they are now; a frozen spec made from a frozen one stays as old as that one was.
pub fn keep(
    repository: &Repository,
    file: &FrozenFile,
    mut frozen: Frozen,
    floating: bool,
) -> Result<Option<Written>, FreezeError> {
    let path = repository.path(&file.path);
    let previous = if path.exists() {
        Some(Frozen::load(&path)?)
    } else {
        None
    };
    frozen.specs = match &previous {
        Some(previous) if !floating => previous.specs.clone(),
        _ => Some(file.specs.clone()),
    };
    if previous.as_ref() == Some(&frozen) {
        return Ok(None);
    }
    frozen.save(&path)?;
    Ok(Some(Written {
        path: file.path.clone(),
        new: previous.is_none(),
        changes: Changes::between(&previous.unwrap_or_default(), &frozen),
    }))
}
