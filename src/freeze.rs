//! Frozen specs, taken out of built images and kept in the repository.
//!
//! What is frozen is what an image holds, never what was asked for. Packages from an index are looked up there once more
//! for the digests of their archives, so the export is a build on top of the image, with all that the site gives to
//! builds; nothing of it is kept but the files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::builder::{self, BuildError, Built, Options};
use crate::compose::{self, Mounts};
use crate::context::Context;
use crate::engine::{BuildRequest, ContainerRequest, Engine, EngineError, Wanted};
use crate::event::{Event, Sink};
use crate::fault::{Explained, Kind, Place};
use crate::image::label;
use crate::plan::{self, FrozenFile, ImagePlan};
use crate::process::Owner;
use crate::reference::{Digest, EnvironmentName};
use crate::repository::Repository;
use crate::scratch::Scratch;
use crate::spec::SpecError;
use crate::spec::changes::Changes;
use crate::spec::frozen::Frozen;
use crate::trial::Mark;

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

impl Explained for FreezeError {
    fn kind(&self) -> Kind {
        match self {
            Self::Build(error) => error.kind(),
            Self::Spec(error) => error.kind(),
            Self::Directory { .. } => Kind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Build(error) => error.hint(),
            Self::Spec(error) => error.hint(),
            Self::Directory { .. } => None,
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Build(error) => error.place(),
            Self::Spec(error) => error.place(),
            Self::Directory { .. } => None,
        }
    }
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
    /// Whether its floating specs have changed since the one before; otherwise other packages alone are reason for it.
    pub respecified: bool,
    /// How it differs from the one before.
    pub changes: Changes,
}

impl Written {
    /// What is new although the packages are the same, for people.
    #[must_use]
    pub fn same_packages(&self) -> &'static str {
        if self.respecified {
            "the same packages, from other specs"
        } else {
            "the same packages, and more about them"
        }
    }
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
    /// Those environments of a built image whose frozen specs are `wanted`.
    #[must_use]
    pub fn of(plan: &ImagePlan, image: &Built, wanted: &[&FrozenFile]) -> Self {
        Self {
            name: plan.role.to_string(),
            reference: image.reference.to_string(),
            environments: wanted.iter().map(|file| file.environment.clone()).collect(),
        }
    }
}

/// What the environments hold, in the order in which they were asked for. `None` where `stop` completed before; nothing of
/// the export stays in any case.
pub async fn export(
    wanted: &Export,
    engine: &dyn Engine,
    options: &Options,
    mounts: &Mounts,
    events: &dyn Sink,
    stop: impl Future<Output = ()>,
) -> Result<Option<Vec<Frozen>>, FreezeError> {
    let scratch = scratch()?;
    let mut args = BTreeMap::from([("BASE_IMAGE".to_owned(), wanted.reference.clone())]);
    args.extend(options.proxies.clone());
    let request = BuildRequest {
        image: format!("frozen specs of {}", wanted.name),
        dockerfile: compose::export(&wanted.environments, DIRECTORY, mounts).text,
        context: Context::new(scratch.path()),
        args,
        mounts: options.mounts.clone(),
        // An image of this call's own: another floe that exports the same removes its one.
        labels: BTreeMap::from([(label::FREEZE.to_owned(), Uuid::new_v4().to_string())]),
        tags: Vec::new(),
        no_cache: false,
    };
    let text = format!("reading what {} holds", wanted.name);
    events.emit(Event::Note { text });
    let exported = tokio::select! {
        exported = engine.build(request, events) => exported?,
        // A build that is dropped ends, and leaves no image.
        () = stop => return Ok(None),
    };
    taken_out(&exported, (&wanted.name, DIRECTORY), engine, scratch.path()).await?;
    let specs = wanted
        .environments
        .iter()
        .map(|name| Frozen::load(&Frozen::yml_path(scratch.path(), name.as_str())));
    Ok(Some(specs.collect::<Result<_, _>>()?))
}

/// What the floating specs of an image of a plan are solved to in the image that it extends, in the order of its
/// environments; `None` for what only an installation can tell. `None` altogether where `stop` completed before.
pub async fn solve(
    image: &ImagePlan,
    parent: &Built,
    engine: &dyn Engine,
    options: &Options,
    events: &dyn Sink,
    stop: impl Future<Output = ()>,
) -> Result<Option<Vec<Option<Frozen>>>, FreezeError> {
    let Some(dockerfile) = image.solving.clone() else {
        return Ok(Some(vec![None; image.frozen.len()]));
    };
    let mut image = image.clone();
    image.dockerfile = dockerfile;
    let name = format!("solution of {}", image.role);
    let mut args = image.args.clone();
    args.insert("BASE_IMAGE".to_owned(), parent.reference.to_string());
    args.extend(options.proxies.clone());
    let request = BuildRequest {
        image: name.clone(),
        dockerfile: image.dockerfile.text.clone(),
        context: image.context.clone(),
        args,
        mounts: options.mounts.clone(),
        labels: BTreeMap::from([(label::FREEZE.to_owned(), Uuid::new_v4().to_string())]),
        tags: Vec::new(),
        // What an index holds has no digest that a builder could know.
        no_cache: true,
    };
    let solved = tokio::select! {
        solved = builder::patiently(&image, &options.retries, events, async || engine.build(request.clone(), events).await) => solved?,
        () = stop => return Ok(None),
    };
    let scratch = scratch()?;
    taken_out(&solved, (&name, plan::SOLVED), engine, scratch.path()).await?;
    let specs = image.frozen.iter().map(|file| {
        let path = Frozen::yml_path(scratch.path(), file.environment.as_str());
        path.exists().then(|| Frozen::load(&path)).transpose()
    });
    Ok(Some(specs.collect::<Result<_, _>>()?))
}

fn scratch() -> Result<Scratch, FreezeError> {
    Scratch::create().map_err(|source| FreezeError::Directory {
        path: std::env::temp_dir(),
        source,
    })
}

/// Copies the files in a directory of the image into `destination`, and removes the image.
async fn taken_out(
    image: &Digest,
    (name, directory): (&str, &str),
    engine: &dyn Engine,
    destination: &Path,
) -> Result<(), EngineError> {
    let fetched = fetch(image, (name, directory), engine, destination).await;
    engine.remove_image(image).await?;
    fetched
}

/// Copies the files out by way of a container that never begins: of one that ends at that moment Podman may say that it holds
/// nothing.
async fn fetch(
    image: &Digest,
    (name, directory): (&str, &str),
    engine: &dyn Engine,
    destination: &Path,
) -> Result<(), EngineError> {
    let request = ContainerRequest {
        image: image.to_string(),
        // An image without a command of its own needs one to be created.
        command: vec!["true".to_owned()],
        labels: Mark {
            run: "freeze",
            mission: name,
            owner: &Owner::current(),
        }
        .labels(),
        ..ContainerRequest::default()
    };
    let wanted = Wanted {
        files: None,
        limit: LIMIT,
    };
    let container = engine.create(&request).await?;
    let copied = engine
        .copy_out(&container, directory, destination.to_owned(), &wanted)
        .await;
    engine.remove(&container).await?;
    copied.map(drop)
}

/// Writes `frozen` to its place in `repository`, unless it is there already. `floating` says whether the image was built
/// from the floating specs as they are now; a frozen spec made from a frozen one stays as old as that one was.
pub fn keep(
    repository: &Repository,
    file: &FrozenFile,
    frozen: Frozen,
    floating: bool,
) -> Result<Option<Written>, FreezeError> {
    let path = repository.path(&file.path);
    let previous = match Frozen::load(&path) {
        Ok(previous) => Some(previous),
        Err(error @ SpecError::Read { .. }) if path.exists() => return Err(error.into()),
        // There is none, or one that somebody else wrote and that says less.
        Err(_) => None,
    };
    let (frozen, written) = compared(file, previous.as_ref(), frozen, floating);
    if written.is_some() {
        // Where floe's own was read, the repository gets one of its own, and the next look at it finds that.
        let own = repository.root().join(&file.path);
        if own != path {
            std::fs::create_dir_all(own.parent().unwrap_or(repository.root())).map_err(|source| {
                FreezeError::Directory {
                    path: own.clone(),
                    source,
                }
            })?;
            frozen.save(&own)?;
        }
        frozen.save(&path)?;
    }
    Ok(written)
}

/// What is frozen, as it is to be written to its place, and what is new in it beside `previous`; `None` where nothing is.
#[must_use]
pub fn compared(
    file: &FrozenFile,
    previous: Option<&Frozen>,
    mut frozen: Frozen,
    floating: bool,
) -> (Frozen, Option<Written>) {
    frozen.specs = match previous {
        Some(previous) if !floating => previous.specs.clone(),
        _ => Some(file.specs.clone()),
    };
    if previous == Some(&frozen) {
        return (frozen, None);
    }
    let nothing = Frozen::default();
    let written = Written {
        path: file.path.clone(),
        new: previous.is_none(),
        respecified: previous.is_some_and(|previous| previous.specs != frozen.specs),
        changes: Changes::between(previous.unwrap_or(&nothing), &frozen),
    };
    (frozen, Some(written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository;

    #[test]
    fn what_is_frozen_anew_of_the_base_that_floe_carries_is_the_repositorys_own() {
        let root = tempfile::tempdir().unwrap();
        let completed = || {
            Repository::at(root.path())
                .completed(&root.path().join(".floe"), true)
                .unwrap()
        };
        let repository = completed();
        let path = repository::base_frozen();
        let mut frozen = Frozen::load(&repository.path(&path)).unwrap();
        frozen.python = Some("3.99.0".to_owned());
        let file = FrozenFile {
            environment: EnvironmentName::base(),
            path: path.clone(),
            specs: Digest::of(b"x"),
            stale: true,
            key: None,
            shared: true,
            solved: None,
        };
        let written = keep(&repository, &file, frozen, true).unwrap().unwrap();
        assert_eq!((written.path, written.new), (path.clone(), false));
        for place in [root.path().join(&path), completed().path(&path)] {
            assert_eq!(Frozen::load(&place).unwrap().python.as_deref(), Some("3.99.0"));
        }
        assert!(!root.path().join("common/Dockerfile").exists());
    }
}
