//! Carries out a build plan: image after image, each only if its inputs are not those of an image that exists.
//!
//! `FROM` takes no image ID, so images are chained by tags made of their input digest, which do not move. `LABEL` and
//! `ENV` of a parent do not run the steps of its children again, but a `RUN` in it does; layers of environments come
//! out equal either way.

mod agent;
mod assembly;
mod attempts;
mod beside;
mod error;
mod parent;
pub mod rootfs;
pub mod site;
pub mod survey;
mod temporary;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub use attempts::patiently;
pub use beside::Several;
pub use error::BuildError;
pub use temporary::{TEMPORARY, temporary};

use crate::engine::{BuildRequest, Builds, Credentials, EngineError, Image, Images};
use crate::event::{Event, Sink};
use crate::image::{label, variable};
use crate::imprint::Build;
use crate::layers::Packing;
use crate::plan::{Base, BuildPlan, ImagePlan, Inputs};
use crate::reference::{Digest, ImageTag, MissionName, Role};
use crate::state::{State, Task};

use self::beside::beside;
use self::parent::{Parent, base, parent};

/// How long to wait before each new try of a build that failed for a temporary reason.
pub const RETRY_INTERVALS: &[Duration] = &[Duration::from_secs(2), Duration::from_secs(10)];

/// From how many bytes on the layers of an environment are worth a way past the builder: it takes the start of a container, in
/// which a builder passes some 150 MB on.
pub const PASSAGE: u64 = 256 << 20;

/// How a plan is carried out.
#[derive(Clone, Default)]
pub struct Options {
    /// Build everything again, from the base on.
    pub no_cache: bool,
    /// Build the images that solve their environments again, and what they extend only if it is not up to date.
    pub refresh: bool,
    /// Files that the `RUN`s see and no layer holds, by ID.
    pub mounts: BTreeMap<String, Vec<u8>>,
    /// The builder's predefined proxy arguments.
    pub proxies: BTreeMap<String, String>,
    /// The commit that last touched each image's inputs; absent where the tree is dirty.
    pub commits: BTreeMap<Role, String>,
    /// Why some of these commits cannot be known, although there is a history.
    pub doubt: Option<String>,
    /// How long to wait before each new try of a build that failed for a temporary reason; [`RETRY_INTERVALS`] for people.
    pub retries: Vec<Duration>,
    /// Credentials for the registry of a base image.
    pub credentials: Option<Credentials>,
    /// Images that this call has built already, from the first of the plan on.
    pub built: Vec<Built>,
    /// How layers are compressed for an engine that keeps them so; `None`: such an engine is given none.
    pub packing: Option<Packing>,
    /// From how many bytes on the layers of an environment are worth a way past the builder; [`PASSAGE`] for people.
    pub passage: u64,
    /// How images of several missions are built.
    pub several: Several,
    /// How many missions this call has given up already, which are not in the plan.
    pub failed_before: usize,
    /// What the tags of images begin with that are there for the time of a build.
    pub temporary: String,
}

/// An image of a plan, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// What it is.
    pub role: Role,
    /// The tag that its inputs decide.
    pub reference: ImageTag,
    /// Its ID.
    pub id: Digest,
    /// Whether a builder was called for it.
    pub fresh: bool,
}

/// Builds what is not up to date; returns every image of the plan, in its order.
pub async fn build(
    plan: &BuildPlan,
    images: &dyn Images,
    builds: &dyn Builds,
    state: &State,
    options: &Options,
    events: &dyn Sink,
) -> Result<Vec<Built>, BuildError> {
    if let Some(doubt) = &options.doubt {
        events.emit(Event::Warning {
            text: format!("images get no tag of the commit that touched them last: {doubt}"),
        });
    }
    let mut built = options.built.clone();
    let base = if built.is_empty() {
        Some(base(plan, images, options, events).await?)
    } else {
        None
    };
    let edges = (images, builds);
    let (shared, missions) = plan.images.split_at(plan.shared());
    for image in shared.iter().skip(built.len()) {
        let parent = parent(image, (&plan.images, &built), base.as_ref());
        built.push(one(image, &parent, edges, state, options, events).await?);
    }
    let missions = &missions[built.len() - shared.len()..];
    let parents = missions
        .iter()
        .map(|image| parent(image, (&plan.images, &built), base.as_ref()));
    let parents = parents.collect::<Vec<_>>();
    let attempts = missions.iter().zip(&parents).map(|(image, parent)| {
        let attempt = one(image, parent, edges, state, options, events);
        async { (&image.role, attempt.await) }
    });
    built.extend(beside(attempts, (options.several, options.failed_before), events).await?);
    Ok(built)
}

/// Finds every image of the plan without building any.
pub async fn find(plan: &BuildPlan, images: &dyn Images, state: &State) -> Result<Vec<Built>, BuildError> {
    let base = images.image(&base_reference(&plan.base)).await?;
    let mut parent = base.map(|image| image.id).ok_or_else(|| BuildError::NotBuilt {
        name: "the base image".to_owned(),
        reason: "it is not on this machine".to_owned(),
        missions: missions(plan),
    })?;
    let mut built: Vec<Built> = Vec::new();
    for image in &plan.images {
        if let Some(index) = image.extends {
            parent = built[index].id.clone();
        }
        let inputs = image.inputs(&parent);
        let reference = tag(image, &inputs);
        match up_to_date(images, &reference, &inputs).await? {
            Some(found) => built.push(Built {
                role: image.role.clone(),
                reference,
                id: found.id,
                fresh: false,
            }),
            None => {
                return Err(BuildError::NotBuilt {
                    name: image.role.to_string(),
                    reason: reason(image, &inputs, &reference, images, state).await?,
                    missions: missions(plan),
                });
            }
        }
    }
    Ok(built)
}

/// By what an engine knows the base of a plan.
#[must_use]
pub fn base_reference(base: &Base) -> String {
    match base {
        Base::Reference(reference) => reference.to_string(),
        Base::Rootfs(rootfs) => rootfs::tag(rootfs).to_string(),
    }
}

/// The tag by which builds start from an image that floe did not build.
#[must_use]
pub fn upstream(id: &Digest) -> ImageTag {
    ImageTag::local("upstream", id.short())
}

async fn one(
    image: &ImagePlan,
    parent: &Parent,
    (images, builds): (&dyn Images, &dyn Builds),
    state: &State,
    options: &Options,
    events: &dyn Sink,
) -> Result<Built, BuildError> {
    let inputs = image.inputs(&parent.id);
    let reference = tag(image, &inputs);
    let built = |id, fresh| Built {
        role: image.role.clone(),
        reference: reference.clone(),
        id,
        fresh,
    };
    let rebuild = options.no_cache || (options.refresh && image.floats);
    if !rebuild && let Some(found) = up_to_date(images, &reference, &inputs).await? {
        // What the files are compared with is what they were last, and that may be an image of long ago.
        if state.inputs(&image.role).as_ref() != Some(&inputs) {
            state.record_inputs(&image.role, &inputs)?;
        }
        tag_commit(image, &found.id, images, options).await?;
        events.emit(Event::ImageUpToDate {
            image: image.role.to_string(),
            reference: reference.to_string(),
        });
        return Ok(built(found.id, false));
    }
    let reason = match (options.no_cache, rebuild) {
        (true, _) => "--no-cache".to_owned(),
        (false, true) => "--refresh".to_owned(),
        (false, false) => reason(image, &inputs, &reference, images, state).await?,
    };
    events.emit(Event::ImageStarted {
        image: image.role.to_string(),
        reason,
    });
    let started = Instant::now();
    let id = made(image, parent, &inputs, &reference, (images, builds), options, events).await?;
    tag_commit(image, &id, images, options).await?;
    state.record_inputs(&image.role, &inputs)?;
    let seconds = started.elapsed().as_secs_f64();
    state.record_duration(&Task::Build(&image.role), seconds)?;
    events.emit(Event::ImageFinished {
        image: image.role.to_string(),
        id: id.clone(),
        seconds,
    });
    Ok(built(id, true))
}

/// Makes an image: of environments that are assembled, or all of it by the builder.
async fn made(
    image: &ImagePlan,
    parent: &Parent,
    inputs: &Inputs,
    reference: &ImageTag,
    (images, builds): (&dyn Images, &dyn Builds),
    options: &Options,
    events: &dyn Sink,
) -> Result<Digest, BuildError> {
    let by = |making: &ImagePlan| request(making, parent, inputs, reference, options);
    let build = async |making: &ImagePlan| by_request(making, by(making), builds, options, events).await;
    let edges = (images, builds);
    let layered = assembly::assembled(image, parent, by, edges, options, events).await?;
    let (Some(assembly), Some(tag)) = (&image.assembly, layered) else {
        return build(image).await;
    };
    let mut above = image.by(&assembly.above);
    above.args.insert(variable::LAYERED.to_owned(), tag.to_string());
    temporary::until(build(&above).await, &tag, images).await
}

/// Has an image built, and tries again where it failed for a temporary reason.
async fn by_request(
    making: &ImagePlan,
    request: BuildRequest,
    builds: &dyn Builds,
    options: &Options,
    events: &dyn Sink,
) -> Result<Digest, BuildError> {
    let attempt = async || builds.build(request.clone(), events).await;
    patiently(making, &options.retries, events, attempt).await
}

/// Why an image is to be built.
async fn reason(
    image: &ImagePlan,
    inputs: &Inputs,
    reference: &ImageTag,
    images: &dyn Images,
    state: &State,
) -> Result<String, EngineError> {
    let previous = state.inputs(&image.role);
    if previous.as_ref() == Some(inputs) && images.image(&reference.to_string()).await?.is_some() {
        return Ok(format!("{reference} names another image now"));
    }
    Ok(inputs.reason(previous.as_ref()))
}

fn missions(plan: &BuildPlan) -> Vec<MissionName> {
    plan.images
        .iter()
        .filter_map(|image| image.role.mission().cloned())
        .collect()
}

async fn up_to_date(images: &dyn Images, reference: &ImageTag, inputs: &Inputs) -> Result<Option<Image>, EngineError> {
    let found = images.image(&reference.to_string()).await?;
    Ok(found
        .filter(|image| image.labels.get(label::INPUT_DIGEST).map(String::as_str) == Some(inputs.digest().as_str())))
}

fn tag(image: &ImagePlan, inputs: &Inputs) -> ImageTag {
    image.role.tag(inputs.digest().short())
}

async fn tag_commit(image: &ImagePlan, id: &Digest, images: &dyn Images, options: &Options) -> Result<(), EngineError> {
    if let Some(commit) = options.commits.get(&image.role) {
        images.tag(id, &image.role.tag(format!("git-{commit}"))).await?;
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
    args.extend(imprint(image, inputs, options));
    let mut labels = BTreeMap::from([
        (label::INPUT_DIGEST.to_owned(), inputs.digest().to_string()),
        (label::VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    let mission = image.role.mission();
    labels.extend(mission.map(|name| (label::MISSION.to_owned(), name.to_string())));
    let mut mounts = options.mounts.clone();
    mounts.extend(
        image
            .mounts
            .iter()
            .map(|(id, content)| ((*id).to_owned(), content.clone())),
    );
    let commit = options.commits.get(&image.role);
    labels.extend(commit.map(|commit| (label::COMMIT.to_owned(), commit.clone())));
    BuildRequest {
        image: image.role.to_string(),
        dockerfile: image.dockerfile.text.clone(),
        context: image.context.clone(),
        args,
        mounts,
        labels,
        tags: vec![reference.clone()],
        no_cache: options.no_cache || (options.refresh && image.floats),
    }
}

/// What an image is to say of itself, as the argument of its build. It is no input: equal inputs are one image, whatever commit
/// they are of.
fn imprint(image: &ImagePlan, inputs: &Inputs, options: &Options) -> Option<(String, String)> {
    let mission = image.role.mission().filter(|_| image.is_composed())?;
    let build = Build {
        mission: mission.clone(),
        commit: options.commits.get(&image.role).cloned(),
        input_digest: inputs.digest(),
        frozen: image.is_frozen(),
        floe: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let text = serde_json::to_string(&build).expect("strings are JSON");
    Some((variable::IMPRINT.to_owned(), text))
}

#[cfg(test)]
mod tests;
