//! What a build would do, told without doing any of it.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{reason, rootfs, tag, up_to_date};
use crate::engine::{EngineError, Images};
use crate::plan::{Base, BuildPlan, ImagePlan, Inputs};
use crate::reference::{Digest, ImageTag, Role};
use crate::state::State;

/// How many images the engine is asked for at a time.
const AT_A_TIME: usize = 16;

/// An image of a plan as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// Which image.
    pub role: Role,
    /// Whether it would be built.
    pub standing: Standing,
    /// Its inputs that are others than those it was last built from, by name; `None` if it was never built here.
    pub changed: Option<Vec<String>>,
}

/// Whether an image would be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is there, made of what the files say.
    UpToDate {
        /// Its tag.
        reference: ImageTag,
        /// Its ID.
        id: Digest,
    },
    /// It would be built.
    Stale {
        /// Why.
        reason: String,
    },
    /// Its files are those that it was last built from, and no engine says whether it is still there.
    Unknown,
}

impl Standing {
    fn id(&self) -> Option<&Digest> {
        match self {
            Self::UpToDate { id, .. } => Some(id),
            Self::Stale { .. } | Self::Unknown => None,
        }
    }
}

/// How each image of a plan stands, in the plan's order; by its files alone where there is no engine to ask.
pub async fn survey(
    plan: &BuildPlan,
    images: Option<&dyn Images>,
    state: &State,
) -> Result<Vec<Surveyed>, EngineError> {
    let base = match (&plan.base, images) {
        (_, None) => None,
        (Base::Reference(reference), Some(images)) => images.image(reference.as_str()).await?,
        (Base::Rootfs(rootfs), Some(images)) => images.image(&rootfs::tag(rootfs).to_string()).await?,
    };
    let base = Parent {
        role: None,
        standing: base.map(|image| image.id),
        known: images.is_some(),
    };
    let mut surveyed: Vec<Surveyed> = Vec::new();
    // What others extend comes first, one after the other; the missions extend none of each other.
    let shared = plan.images.iter().take_while(|image| image.role.mission().is_none());
    for image in shared {
        let parent = parent(image, &surveyed, &base);
        surveyed.push(one(image, parent, images, state).await?);
    }
    let missions = plan.images.iter().skip(surveyed.len());
    let missions = missions.map(|image| one(image, parent(image, &surveyed, &base), images, state));
    let missions: Vec<Surveyed> = stream::iter(missions.collect::<Vec<_>>())
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    surveyed.extend(missions);
    Ok(surveyed)
}

/// What an image extends.
#[derive(Clone)]
struct Parent<'a> {
    /// None for what floe does not build.
    role: Option<&'a Role>,
    /// Its ID, if it is up to date.
    standing: Option<Digest>,
    /// Whether it is known that it would be built where it has no ID here.
    known: bool,
}

fn parent<'a>(image: &ImagePlan, surveyed: &'a [Surveyed], base: &Parent<'a>) -> Parent<'a> {
    let Some(extended) = image.extends.and_then(|index| surveyed.get(index)) else {
        return base.clone();
    };
    Parent {
        role: Some(&extended.role),
        standing: extended.standing.id().cloned(),
        known: extended.standing != Standing::Unknown,
    }
}

async fn one(
    image: &ImagePlan,
    parent: Parent<'_>,
    images: Option<&dyn Images>,
    state: &State,
) -> Result<Surveyed, EngineError> {
    let previous = state.inputs(&image.role);
    let surveyed = |standing, inputs: &Inputs| Surveyed {
        role: image.role.clone(),
        standing,
        changed: previous.as_ref().map(|previous| inputs.changed(previous)),
    };
    if let (Some(id), Some(images)) = (&parent.standing, images) {
        let inputs = image.inputs(id);
        let reference = tag(image, &inputs);
        let standing = match up_to_date(images, &reference, &inputs).await? {
            Some(found) => Standing::UpToDate {
                reference,
                id: found.id,
            },
            None => Standing::Stale {
                reason: reason(image, &inputs, &reference, images, state).await?,
            },
        };
        return Ok(surveyed(standing, &inputs));
    }
    // What the image will extend has no ID yet, so only its own files can be compared.
    let inputs = image.inputs(&Digest::of(b"")).with_parent_of(previous.as_ref());
    let own = match &previous {
        Some(previous) if inputs == *previous => None,
        _ => Some(inputs.reason(previous.as_ref())),
    };
    let name = parent.role.map_or_else(|| "the base image".to_owned(), Role::to_string);
    let standing = match (parent.known, own) {
        (true, None) => Standing::Stale {
            reason: format!("{name} is built first"),
        },
        (true, Some(own)) => Standing::Stale {
            reason: format!("{own}; {name} is built first"),
        },
        (false, Some(reason)) => Standing::Stale { reason },
        (false, None) => Standing::Unknown,
    };
    Ok(surveyed(standing, &inputs))
}
