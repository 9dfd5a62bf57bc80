//! How large images have become, and whether that is more than they may be.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BuiltPlan, WorkflowError, Workplace, packages};
use crate::builder::Built;
use crate::engine::{Engine, Image, Layer};
use crate::event::{Event, ImageSize, Portion};
use crate::packages::Sizes;
use crate::quantity::{Size, bytes};
use crate::reference::{Digest, MissionName, Role};
use crate::state;

/// How many packages are named.
const NAMED: usize = 5;

/// How many packages a report lists.
const LISTED: usize = 12;

/// How large an image may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// All of it, as it lies on a disk.
    pub size: Option<Size>,
    /// How much more than that of the same mission which was built here before.
    pub growth: Option<Size>,
}

/// An image that is larger than it may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverBudget {
    /// It is too large.
    #[error("{image} has {}, and may have {}; its largest packages: {packages}", bytes(*.size), bytes(*.most))]
    Size {
        /// What it is.
        image: Role,
        /// Its ID.
        id: Digest,
        /// Its bytes.
        size: u64,
        /// How many it may have.
        most: u64,
        /// The largest packages in it, in words.
        packages: String,
    },
    /// It has grown too much.
    #[error(
        "{image} has grown by {}, and may grow by {}; most by {packages}",
        bytes(*.growth), bytes(*.most)
    )]
    Growth {
        /// What it is.
        image: Role,
        /// Its ID.
        id: Digest,
        /// By how many bytes.
        growth: u64,
        /// By how many it may.
        most: u64,
        /// The packages that made it larger, in words.
        packages: String,
    },
}

impl OverBudget {
    /// The ID of the image.
    #[must_use]
    pub fn id(&self) -> &Digest {
        match self {
            Self::Size { id, .. } | Self::Growth { id, .. } => id,
        }
    }
}

/// Says how large the images of missions are that were not weighed before, and refuses one that is larger than it may be.
pub(super) async fn weigh(workplace: &Workplace, images: &BuiltPlan, budget: Budget) -> Result<(), WorkflowError> {
    let settings = &workplace.settings.build;
    let budget = Budget {
        size: budget.size.or(settings.size_budget),
        growth: budget.growth.or(settings.growth_budget),
    };
    for image in &images.built {
        if let Some(mission) = image.role.mission() {
            one(workplace, mission, image, budget).await?;
        }
    }
    Ok(())
}

/// What is kept of the image that was weighed last.
#[derive(Debug, Serialize, Deserialize)]
struct Weighed {
    #[serde(flatten)]
    now: Sizes,
    /// What the image before it came to, as long as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Sizes>,
}

async fn one(workplace: &Workplace, mission: &MissionName, image: &Built, budget: Budget) -> Result<(), WorkflowError> {
    let path = workplace.state.sizes(mission);
    let last = state::read::<Weighed>(&path)?;
    if let Some(same) = last.as_ref().filter(|last| last.now.image == image.id) {
        return Ok(refuse(image, &same.now, same.before.as_ref(), budget)?);
    }
    let (now, before) = (sizes(workplace, image).await?, last.map(|last| last.now));
    // What is refused is not what a later image is compared with.
    refuse(image, &now, before.as_ref(), budget)?;
    if image.fresh {
        let text = format!("{}: {}", image.role, told(&now, before.as_ref()));
        workplace.display().emit(Event::Note { text });
    }
    Ok(state::write(&path, &Weighed { now, before })?)
}

/// Refuses an image that is larger than it may be, or has grown more since `before`.
fn refuse(image: &Built, now: &Sizes, before: Option<&Sizes>, budget: Budget) -> Result<(), OverBudget> {
    let (role, id) = (image.role.clone(), image.id.clone());
    if let (Some(before), Some(Size(most))) = (before, budget.growth)
        && let growth = now.all.saturating_sub(before.all)
        && growth > most
    {
        return Err(OverBudget::Growth {
            image: role,
            id,
            growth,
            most,
            packages: named(&now.grown(before)),
        });
    }
    match budget.size {
        Some(Size(most)) if now.all > most => Err(OverBudget::Size {
            image: role,
            id,
            size: now.all,
            most,
            packages: named(&now.largest()),
        }),
        _ => Ok(()),
    }
}

/// Asks the image for its sizes. One that says nothing of itself has a size all the same.
async fn sizes(workplace: &Workplace, image: &Built) -> Result<Sizes, WorkflowError> {
    let engine = workplace.engine().await?;
    let all = match engine.image(image.id.as_str()).await? {
        Some(image) => unpacked(engine, &image).await?,
        None => 0,
    };
    let environments = match packages::told(workplace, image.id.as_str()).await {
        Ok((_, environments)) => environments,
        Err(WorkflowError::Packages(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(Sizes::of(image.id.clone(), all, &environments))
}

/// How large a mission's image is, and what takes how much of it, if it was weighed.
pub(super) async fn size(
    workplace: &Workplace,
    mission: &MissionName,
    image: &Image,
) -> Result<Option<ImageSize>, WorkflowError> {
    let known = state::read::<Weighed>(&workplace.state.sizes(mission))?;
    let Some(Weighed { now: known, before }) = known.filter(|known| known.now.image == image.id) else {
        return Ok(None);
    };
    let layers = workplace.engine().await?.layers(image).await?;
    let layers = layers.iter().map(|layer| (layer.called(), layer.size));
    Ok(Some(ImageSize {
        bytes: known.all,
        environments: portions(known.environments()),
        packages: portions(known.largest().into_iter().take(LISTED)),
        repeated: portions(repeated(&known).into_iter().take(LISTED)),
        grown: portions(before.iter().flat_map(|before| known.grown(before)).take(LISTED)),
        layers: portions(layers),
    }))
}

fn portions(of: impl IntoIterator<Item = (impl Into<String>, u64)>) -> Vec<Portion> {
    let portion = |(name, bytes): (_, u64)| Portion {
        name: Into::into(name),
        bytes,
    };
    of.into_iter().map(portion).collect()
}

/// The layers of an image, the lowest first.
pub async fn layers(workplace: &Workplace, image: &Built) -> Result<Vec<Layer>, WorkflowError> {
    let found = workplace.image(image).await?;
    Ok(workplace.engine().await?.layers(&found).await?)
}

/// The bytes of an image on the disk of a machine that runs it, whether its engine counts these or those that it has compressed.
async fn unpacked(engine: &dyn Engine, image: &Image) -> Result<u64, WorkflowError> {
    let layers = engine.layers(image).await?;
    Ok(layers.iter().map(|layer| layer.size).sum::<u64>().max(image.size))
}

/// `3.1 GB; 120.3 MB more than before: cal/scipy (80.1 MB), cal/numpy (40.2 MB)`.
fn told(now: &Sizes, before: Option<&Sizes>) -> String {
    let mut parts = vec![bytes(now.all)];
    if let Some(before) = before {
        let grown = now.grown(before);
        let most = if grown.is_empty() {
            String::new()
        } else {
            format!(": {}", named(&grown))
        };
        parts.push(match now.all.cmp(&before.all) {
            Ordering::Equal => format!("as before{most}"),
            Ordering::Greater => format!("{} more than before{most}", bytes(now.all - before.all)),
            Ordering::Less => format!("{} less than before{most}", bytes(before.all - now.all)),
        });
    }
    let repeated = repeated(now);
    let twice = repeated.iter().map(|(_, size)| size).sum::<u64>();
    if twice > 0 {
        parts.push(format!("{} of it more than once: {}", bytes(twice), named(&repeated)));
    }
    parts.join("; ")
}

/// What an image holds more than once, the most first.
fn repeated(sizes: &Sizes) -> Vec<(String, u64)> {
    let packages = sizes.repeated().into_iter();
    let packages = packages.map(|(name, bytes)| (name.to_owned(), bytes));
    let mut repeated = packages.chain(sizes.brought_twice()).collect::<Vec<_>>();
    repeated.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    repeated
}

fn named(packages: &[(impl fmt::Display, u64)]) -> String {
    if packages.is_empty() {
        return "no package that floe knows".to_owned();
    }
    let first = packages.iter().take(NAMED);
    let first = first
        .map(|(name, size)| format!("{name} ({})", bytes(*size)))
        .collect::<Vec<_>>();
    let more = packages.len().saturating_sub(NAMED);
    match more {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
