//! Carries out a build plan: image after image, each only if its inputs are not those of an image that exists.

pub mod rootfs;
pub mod site;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::compose::Place;
use crate::engine::{BuildRequest, Credentials, Engine, EngineError, Image};
use crate::event::{Event, Sink};
use crate::image::{self, label};
use crate::plan::{Base, BuildPlan, ImagePlan, Inputs};
use crate::reference::{Digest, ImageTag};
use crate::repository;
use crate::state::State;
use rootfs::RootfsError;

/// How long to wait before each new try of a build that failed for a temporary reason.
pub const RETRIES: &[Duration] = &[Duration::from_secs(2), Duration::from_secs(10)];

/// How a plan is carried out.
#[derive(Clone, Default)]
pub struct Options {
    /// Build everything anew, from the base on.
    pub no_cache: bool,
    /// Build the images that hold environments anew, and what they extend only if it is not up to date.
    pub refresh: bool,
    /// Secrets for the `RUN`s, by ID.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// The builder's predefined proxy arguments.
    pub proxies: BTreeMap<String, String>,
    /// The commit that last touched each image's inputs, by the image's name; absent where the tree is dirty.
    pub commits: BTreeMap<String, String>,
    /// How long to wait before each new try of a build that failed for a temporary reason; [`RETRIES`] for people.
    pub retries: Vec<Duration>,
    /// Credentials for the registry of a base image.
    pub credentials: Option<Credentials>,
}

/// An image of a plan, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// What it is, as in the plan.
    pub name: String,
    /// The tag that its inputs decide.
    pub reference: ImageTag,
    /// Its ID.
    pub id: Digest,
    /// Whether a builder was called for it.
    pub fresh: bool,
}

/// A plan that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The engine refused or failed.
    #[error("{}", at(.place.as_ref(), .said.as_deref(), .source))]
    Engine {
        /// The line that failed, where it can be told.
        place: Option<Place>,
        /// What floe's agent said in the step that failed, where it did.
        said: Option<String>,
        /// The engine's error.
        source: EngineError,
    },
    /// The Debian base could not be made.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// The image has not been built from the present files.
    #[error("{name} has not been built from its present files: {reason}")]
    NotBuilt {
        /// What is missing, as in the plan.
        name: String,
        /// What changed since it was last built.
        reason: String,
    },
    /// A file of the site's that builds need cannot be used.
    #[error("{path}: {reason}")]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// floe's own state cannot be written.
    #[error("{path}: {source}")]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn at(place: Option<&Place>, said: Option<&str>, error: &EngineError) -> String {
    let place = place
        .map(|place| format!("{}:{}: ", place.path.display(), place.line))
        .unwrap_or_default();
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    format!("{place}{error}{said}")
}

impl From<EngineError> for BuildError {
    fn from(source: EngineError) -> Self {
        Self::Engine {
            place: None,
            said: None,
            source,
        }
    }
}

/// Builds what is not up to date; answers every image of the plan, in its order.
pub async fn build(
    plan: &BuildPlan,
    engine: &dyn Engine,
    state: &State,
    options: &Options,
    events: &dyn Sink,
) -> Result<Vec<Built>, BuildError> {
    let base = base(plan, engine, options, events).await?;
    let mut built: Vec<Built> = Vec::new();
    for image in &plan.images {
        let parent = match image.extends {
            Some(index) => Parent {
                reference: built[index].reference.to_string(),
                id: built[index].id.clone(),
            },
            None => base.clone(),
        };
        built.push(one(image, &parent, engine, state, options, events).await?);
    }
    Ok(built)
}

/// Finds every image of the plan without building any.
pub async fn find(plan: &BuildPlan, engine: &dyn Engine, state: &State) -> Result<Vec<Built>, BuildError> {
    let mut parent = match &plan.base {
        Base::Reference(reference) => engine.image(reference).await?,
        Base::Rootfs(rootfs) => engine.image(&rootfs::tag(rootfs).to_string()).await?,
    }
    .map(|image| image.id)
    .ok_or_else(|| BuildError::NotBuilt {
        name: "the base image".to_owned(),
        reason: "not built before".to_owned(),
    })?;
    let mut built: Vec<Built> = Vec::new();
    for image in &plan.images {
        if let Some(index) = image.extends {
            parent = built[index].id.clone();
        }
        let inputs = image.inputs(&parent);
        let reference = tag(image, &inputs);
        match up_to_date(engine, &reference, &inputs).await? {
            Some(found) => built.push(Built {
                name: image.name.clone(),
                reference,
                id: found.id,
                fresh: false,
            }),
            None => {
                return Err(BuildError::NotBuilt {
                    name: image.name.clone(),
                    reason: inputs.reason(state.inputs(&image.repository).as_ref()),
                });
            }
        }
    }
    Ok(built)
}

/// The tag by which builds start from an image that floe did not build.
#[must_use]
pub fn upstream(id: &Digest) -> ImageTag {
    ImageTag {
        repository: "floe/upstream".to_owned(),
        tag: id.short().to_owned(),
    }
}

/// What an image extends: a reference for `FROM` that cannot move, and the ID that it stands for.
#[derive(Clone)]
struct Parent {
    reference: String,
    id: Digest,
}

async fn base(
    plan: &BuildPlan,
    engine: &dyn Engine,
    options: &Options,
    events: &dyn Sink,
) -> Result<Parent, BuildError> {
    match &plan.base {
        Base::Rootfs(rootfs) => {
            let id = rootfs::make(rootfs, engine, options.no_cache, events).await?;
            Ok(Parent {
                reference: rootfs::tag(rootfs).to_string(),
                id,
            })
        }
        Base::Reference(reference) => {
            let image = match engine.image(reference).await? {
                Some(image) if !options.no_cache => image,
                _ => engine.pull(reference, options.credentials.clone(), events).await?,
            };
            // A registry's tag moves; a tag made of the ID does not.
            let fixed = upstream(&image.id);
            engine.tag(&image.id, &fixed).await?;
            Ok(Parent {
                reference: fixed.to_string(),
                id: image.id,
            })
        }
    }
}

async fn one(
    image: &ImagePlan,
    parent: &Parent,
    engine: &dyn Engine,
    state: &State,
    options: &Options,
    events: &dyn Sink,
) -> Result<Built, BuildError> {
    let inputs = image.inputs(&parent.id);
    let reference = tag(image, &inputs);
    let built = |id, fresh| Built {
        name: image.name.clone(),
        reference: reference.clone(),
        id,
        fresh,
    };
    let anew = options.no_cache || (options.refresh && !image.frozen.is_empty());
    if !anew && let Some(found) = up_to_date(engine, &reference, &inputs).await? {
        tag_commit(image, &found.id, engine, options).await?;
        events.emit(Event::ImageUpToDate {
            image: image.name.clone(),
            reference: reference.to_string(),
        });
        return Ok(built(found.id, false));
    }
    let reason = match (options.no_cache, anew) {
        (true, _) => "--no-cache".to_owned(),
        (false, true) => "--refresh".to_owned(),
        (false, false) => inputs.reason(state.inputs(&image.repository).as_ref()),
    };
    events.emit(Event::ImageStarted {
        image: image.name.clone(),
        reason,
    });
    let started = Instant::now();
    let request = request(image, parent, &inputs, &reference, options);
    let id = patiently(image, &request, engine, &options.retries, events).await?;
    tag_commit(image, &id, engine, options).await?;
    state
        .record_inputs(&image.repository, &inputs)
        .map_err(|(path, source)| BuildError::State { path, source })?;
    events.emit(Event::ImageFinished {
        image: image.name.clone(),
        id: id.clone(),
        seconds: started.elapsed().as_secs_f64(),
    });
    Ok(built(id, true))
}

/// Builds, again where the failure was temporary.
async fn patiently(
    image: &ImagePlan,
    request: &BuildRequest,
    engine: &dyn Engine,
    retries: &[Duration],
    events: &dyn Sink,
) -> Result<Digest, BuildError> {
    let mut waits = retries.iter();
    loop {
        let error = match engine.build(request.clone(), events).await {
            Ok(id) => return Ok(id),
            Err(error) => error,
        };
        match waits.next() {
            Some(wait) if error.is_temporary() => {
                events.emit(Event::Warning {
                    text: format!("{error}; trying again in {} s", wait.as_secs()),
                });
                tokio::time::sleep(*wait).await;
            }
            _ => {
                return Err(BuildError::Engine {
                    place: place(image, &error),
                    said: said(image, &error),
                    source: error,
                });
            }
        }
    }
}

/// The line that people wrote and that failed.
fn place(image: &ImagePlan, error: &EngineError) -> Option<Place> {
    let EngineError::Build { line, step, .. } = error else {
        return None;
    };
    let by_line = line.and_then(|line| image.dockerfile.place(line));
    let by_step = || step.as_ref().and_then(|step| image.dockerfile.place_of_step(step));
    by_line.or_else(by_step).cloned()
}

/// The agent's own error in the step that failed, with the mission's directory in place of the image's.
fn said(image: &ImagePlan, error: &EngineError) -> Option<String> {
    let EngineError::Build { output, .. } = error else {
        return None;
    };
    let line = output
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("error: "))?;
    Some(match &image.mission {
        Some(mission) => line.replace(
            image::ENVIRONMENTS,
            &repository::environments(mission).to_string_lossy(),
        ),
        None => line.to_owned(),
    })
}

async fn up_to_date(engine: &dyn Engine, reference: &ImageTag, inputs: &Inputs) -> Result<Option<Image>, EngineError> {
    let found = engine.image(&reference.to_string()).await?;
    Ok(found
        .filter(|image| image.labels.get(label::INPUT_DIGEST).map(String::as_str) == Some(inputs.digest().as_str())))
}

fn tag(image: &ImagePlan, inputs: &Inputs) -> ImageTag {
    ImageTag {
        repository: image.repository.clone(),
        tag: inputs.digest().short().to_owned(),
    }
}

async fn tag_commit(image: &ImagePlan, id: &Digest, engine: &dyn Engine, options: &Options) -> Result<(), EngineError> {
    if let Some(commit) = options.commits.get(&image.name) {
        let tag = ImageTag {
            repository: image.repository.clone(),
            tag: format!("git-{commit}"),
        };
        engine.tag(id, &tag).await?;
    }
    Ok(())
}

fn request(
    image: &ImagePlan,
    parent: &Parent,
    inputs: &Inputs,
    reference: &ImageTag,
    options: &Options,
) -> BuildRequest {
    let mut args = image.args.clone();
    args.insert("BASE_IMAGE".to_owned(), parent.reference.clone());
    args.extend(options.proxies.clone());
    let mut labels = BTreeMap::from([
        (label::INPUT_DIGEST.to_owned(), inputs.digest().to_string()),
        (label::VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    labels.extend(
        image
            .mission
            .as_ref()
            .map(|name| (label::MISSION.to_owned(), name.to_string())),
    );
    let commit = options.commits.get(&image.name);
    labels.extend(commit.map(|commit| (label::COMMIT.to_owned(), commit.clone())));
    BuildRequest {
        image: image.name.clone(),
        dockerfile: image.dockerfile.text.clone(),
        context: image.context.clone(),
        args,
        secrets: options.secrets.clone(),
        labels,
        tags: vec![reference.clone()],
        no_cache: options.no_cache || (options.refresh && !image.frozen.is_empty()),
    }
}

#[cfg(test)]
mod tests;
