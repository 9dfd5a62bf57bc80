//! What is in an engine for the time of a build or of a push, images and containers that are of no run, by whose process it is:
//! what an interrupted or killed one has left is removed by the next that comes by.

use std::time::Duration;

use crate::builder;
use crate::engine::{Container, Engine, EngineError};
use crate::image::label;
use crate::process::Owner;
use crate::reference::ImageTag;

/// How long the engine may take to remove it.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// Removes what is left of builds and pushes that have ended: those of processes that have, and all of this one's, which makes one
/// at a time. What cannot be removed now, or what the engine is still at work on, the next build removes.
pub(super) async fn sweep(engine: &dyn Engine) {
    // Whoever interrupts a build does not wait for an engine that answers nothing.
    let _ = tokio::time::timeout(PATIENCE, remove(engine)).await;
}

async fn remove(engine: &dyn Engine) -> Result<(), EngineError> {
    let this = Owner::current();
    let has_ended = |owner: Owner| owner == this || this.knows_end_of(&owner);
    for found in engine.containers(label::OWNER).await? {
        let owner = found.labels.get(label::OWNER).and_then(|owner| owner.parse().ok());
        if owner.is_some_and(has_ended) && !found.labels.contains_key(label::RUN) {
            engine.remove(&Container { id: found.id }).await?;
        }
    }
    for listed in engine.labelled(label::INPUT_DIGEST).await? {
        for tag in listed.tags.iter().filter_map(|tag| builder::temporary(tag)) {
            if owner(tag).is_some_and(has_ended) {
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
