//! What images of a plan extend.

use std::path::PathBuf;

use super::{BuildError, Built, Options, rootfs, upstream};
use crate::engine::Images;
use crate::event::Sink;
use crate::plan::{Base, BuildPlan, ImagePlan};
use crate::reference::Digest;

/// What an image extends: a reference for `FROM` that cannot move, and the ID that it stands for.
#[derive(Clone)]
pub(super) struct Parent {
    pub reference: String,
    pub id: Digest,
    /// The same without floe's program, if that is all that it adds.
    pub foundation: Option<Foundation>,
}

/// What an image is without the program that it adds.
#[derive(Clone)]
pub(super) struct Foundation {
    pub id: Digest,
    pub program: PathBuf,
}

/// What the first image of a plan extends, made or fetched where it is not there.
pub(super) async fn base(
    plan: &BuildPlan,
    images: &dyn Images,
    options: &Options,
    events: &dyn Sink,
) -> Result<Parent, BuildError> {
    match &plan.base {
        Base::Rootfs(rootfs) => {
            let id = rootfs::make(rootfs, images, options.no_cache, events).await?;
            Ok(Parent {
                reference: rootfs::tag(rootfs).to_string(),
                id,
                foundation: None,
            })
        }
        Base::Reference(reference) => {
            let image = match images.image(reference.as_str()).await? {
                Some(image) if !options.no_cache => image,
                _ => images.pull(reference, options.credentials.clone(), events).await?,
            };
            // A registry's tag moves; a tag made of the ID does not.
            let fixed = upstream(&image.id);
            images.tag(&image.id, &fixed).await?;
            Ok(Parent {
                reference: fixed.to_string(),
                id: image.id,
                foundation: None,
            })
        }
    }
}

/// What an image extends of a plan of `images`, of which these are built.
pub(super) fn parent(image: &ImagePlan, (images, built): (&[ImagePlan], &[Built]), base: Option<&Parent>) -> Parent {
    let foundation = |index: usize| {
        Some(Foundation {
            id: built[images[index].extends?].id.clone(),
            program: images[index].program.clone()?,
        })
    };
    match image.extends {
        Some(index) => Parent {
            reference: built[index].reference.to_string(),
            id: built[index].id.clone(),
            foundation: foundation(index),
        },
        None => base.cloned().expect("the first image alone extends the base"),
    }
}
