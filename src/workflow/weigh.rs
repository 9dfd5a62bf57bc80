//! How large images have become, and whether that is more than they may be.

use std::cmp::Ordering;

use super::{BuiltPlan, WorkflowError, Workplace, packages};
use crate::builder::Built;
use crate::event::Event;
use crate::packages::Sizes;
use crate::quantity::{Size, bytes};
use crate::reference::{Digest, Role};
use crate::state;

/// How many packages are named.
const NAMED: usize = 5;

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
        if image.role.mission().is_some() {
            one(workplace, image, budget).await?;
        }
    }
    Ok(())
}

async fn one(workplace: &Workplace, image: &Built, budget: Budget) -> Result<(), WorkflowError> {
    let Some(mission) = image.role.mission() else {
        return Ok(());
    };
    let path = workplace.state.sizes(mission);
    let before = state::read::<Sizes>(&path)?;
    let (now, before) = match before {
        Some(same) if same.image == image.id => (same, None),
        before => (sizes(workplace, image).await?, before),
    };
    let growth = before.as_ref().map(|before| now.all.saturating_sub(before.all));
    let grown = before.as_ref().map(|before| named(&now.grown(before)));
    if let (Some(growth), Some(grown), Some(most)) = (growth, &grown, budget.growth)
        && growth > most.0
    {
        return Err(WorkflowError::OverBudget(OverBudget::Growth {
            image: image.role.clone(),
            id: image.id.clone(),
            growth,
            most: most.0,
            packages: grown.clone(),
        }));
    }
    if let Some(most) = budget.size.filter(|most| now.all > most.0) {
        return Err(WorkflowError::OverBudget(OverBudget::Size {
            image: image.role.clone(),
            id: image.id.clone(),
            size: now.all,
            most: most.0,
            packages: named(&now.largest()),
        }));
    }
    if image.fresh {
        let text = format!("{}: {}", image.role, told(&now, before.as_ref()));
        workplace.display().emit(Event::Note { text });
    }
    Ok(state::write(&path, &now)?)
}

/// Asks the image for its sizes. One that says nothing of itself has a size all the same.
async fn sizes(workplace: &Workplace, image: &Built) -> Result<Sizes, WorkflowError> {
    let engine = workplace.engine().await?;
    let found = engine.image(image.id.as_str()).await?;
    let all = found.map_or(0, |image| image.size);
    let environments = match packages::told(workplace, image.id.as_str()).await {
        Ok((_, environments)) => environments,
        Err(WorkflowError::Packages(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(Sizes::of(image.id.clone(), all, &environments))
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
    let repeated = now.repeated();
    let twice = repeated.iter().map(|(_, size)| size).sum::<u64>();
    if twice > 0 {
        parts.push(format!("{} of it more than once: {}", bytes(twice), named(&repeated)));
    }
    parts.join("; ")
}

fn named(packages: &[(&str, u64)]) -> String {
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
