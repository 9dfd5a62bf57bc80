//! What images are called that are there for the time of a build.

use uuid::Uuid;

use super::{BuildError, Options};
use crate::engine::Images;
use crate::reference::ImageTag;

/// What images are called that are there for the time of a build.
pub const TEMPORARY: &str = "assembled";

impl Options {
    /// A tag for the time of a build, which no other image has.
    pub(super) fn temporary_tag(&self) -> ImageTag {
        let unique = Uuid::new_v4().simple().to_string();
        ImageTag::local(TEMPORARY, format!("{}{}", self.temporary, &unique[..8]))
    }
}

/// Removes the tag of an image that was needed until this was made. Why that failed is what counts.
pub(super) async fn until<T>(
    made: Result<T, BuildError>,
    tag: &ImageTag,
    images: &dyn Images,
) -> Result<T, BuildError> {
    let untagged = images.untag(tag).await;
    let made = made?;
    untagged?;
    Ok(made)
}

/// The tag that an image has for the time of a build, out of what an engine calls it.
#[must_use]
pub fn temporary(name: &str) -> Option<&str> {
    let (image, tag) = name.rsplit_once(':')?;
    let expected = ImageTag::local(TEMPORARY, tag).to_string();
    (expected.rsplit_once(':')?.0 == image).then_some(tag)
}
