//! Images that are there for the time of a build, by whose process they are: what an interrupted or killed one has left is
//! removed by the next that comes by.

use crate::builder;
use crate::engine::{Engine, EngineError};
use crate::image::label;
use crate::reference::ImageTag;
use crate::trial::Owner;

/// What stands between the parts of an owner in a tag, where a label has a slash.
const BETWEEN: &str = "_";

/// What the tags of the images begin with that are there for builds of this process.
pub(super) fn beginning() -> String {
    Owner::current().to_string().replace('/', BETWEEN) + BETWEEN
}

/// The process whose build an image is there for.
fn owner(tag: &str) -> Option<Owner> {
    let (owner, _) = tag.rsplit_once(BETWEEN)?;
    owner.replace(BETWEEN, "/").parse().ok()
}

/// Removes what processes have left that have ended, and with `own` what there is for builds of this one.
pub(super) async fn sweep(engine: &dyn Engine, own: bool) -> Result<(), EngineError> {
    let this = Owner::current();
    for listed in engine.labelled(label::INPUT_DIGEST).await? {
        for tag in listed.tags.iter().filter_map(|tag| builder::temporary(tag)) {
            if owner(tag).is_some_and(|owner| this.knows_end_of(&owner) || (own && owner == this)) {
                engine.untag(&ImageTag::local(builder::TEMPORARY, tag)).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_whose_it_is_and_is_one_that_engines_take() {
        let tag = beginning() + "0123abcd";
        assert_eq!(owner(&tag), Some(Owner::current()));
        assert_eq!(owner("763bf82ece0c408bb60c985dd0fa391b"), None);
        let reference = ImageTag::local(builder::TEMPORARY, &tag).to_string();
        assert!(
            tag.len() <= 128 && reference.parse::<crate::reference::ImageReference>().is_ok(),
            "{reference}"
        );
        assert_eq!(builder::temporary(&reference), Some(tag.as_str()));
        assert_eq!(builder::temporary("floe/roman:0123"), None);
    }
}
