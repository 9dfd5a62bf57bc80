//! What a build would do, told without doing any of it.

use std::collections::BTreeMap;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::base_reference;
use crate::engine::{EngineError, Images, Listed};
use crate::image::label;
use crate::plan::{BuildPlan, ImagePlan, Inputs};
use crate::reference::{Digest, ImageTag, Role};
use crate::state::State;

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
    let base = match images {
        None => None,
        Some(images) => images.image(&base_reference(&plan.base)).await?,
    };
    let there = match images {
        Some(images) => Some(There::among(images.labelled(label::INPUT_DIGEST).await?)),
        None => None,
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
        surveyed.push(one(image, &parent, there.as_ref(), state));
    }
    let missions = plan.images[surveyed.len()..].par_iter();
    let missions = missions.map(|image| one(image, &parent(image, &surveyed, &base), there.as_ref(), state));
    let missions = missions.collect::<Vec<_>>();
    surveyed.extend(missions);
    Ok(surveyed)
}

/// The images that the engine has of floe's, by their tags.
struct There(BTreeMap<String, Listed>);

impl There {
    fn among(listed: Vec<Listed>) -> Self {
        let by_tag = listed.into_iter().flat_map(|image| {
            let tags = image.tags.clone().into_iter();
            tags.map(move |tag| (tag, image.clone()))
        });
        Self(by_tag.collect())
    }

    /// How an image with these inputs stands.
    fn standing(&self, image: &ImagePlan, inputs: &Inputs, previous: Option<&Inputs>) -> Standing {
        let digest = inputs.digest();
        let reference = image.role.tag(digest.short());
        let found = self.0.get(&reference.to_string());
        let is_of =
            |image: &&Listed| image.labels.get(label::INPUT_DIGEST).map(String::as_str) == Some(digest.as_str());
        if let Some(image) = found.filter(is_of) {
            let id = image.id.clone();
            return Standing::UpToDate { reference, id };
        }
        let reason = if found.is_some() && previous == Some(inputs) {
            format!("{reference} names another image now")
        } else {
            inputs.reason(previous)
        };
        Standing::Stale { reason }
    }
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

fn one(image: &ImagePlan, parent: &Parent<'_>, there: Option<&There>, state: &State) -> Surveyed {
    let previous = state.inputs(&image.role);
    let surveyed = |standing, inputs: &Inputs| Surveyed {
        role: image.role.clone(),
        standing,
        changed: previous.as_ref().map(|previous| inputs.changed(previous)),
    };
    if let (Some(id), Some(there)) = (&parent.standing, there) {
        let inputs = image.inputs(id);
        return surveyed(there.standing(image, &inputs, previous.as_ref()), &inputs);
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
    surveyed(standing, &inputs)
}
