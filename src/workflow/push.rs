//! Pushing: where images go, with what credentials, and what happens where no registry is set.

use super::{WorkflowError, Workplace};
use crate::builder::Built;
use crate::publish::{self, Published, Request};
use crate::reference::{ImageTag, MissionName};
use crate::registry::Remote;
use crate::suite::definitions;

/// What became of an image that was to be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// It stays on this machine under this tag, since no registry is set.
    Stays(ImageTag),
    /// The registry has it.
    Arrived(ImageTag, Published),
}

/// Pushes the images of `missions`, as they were built. Without a registry there is nowhere to push to.
pub async fn push(
    workplace: &Workplace,
    missions: &[MissionName],
    mut pushed: impl FnMut(&Built, Pushed),
) -> Result<(), WorkflowError> {
    if workplace.settings.registry.is_none() {
        return Err(WorkflowError::NoRegistry);
    }
    let plan = workplace.plan(missions)?;
    let built = workplace.built(&plan).await?;
    for mission in missions {
        let image = super::workplace::image_of(&plan, &built, mission);
        pushed(image, one(workplace, mission, image).await?);
    }
    Ok(())
}

/// Pushes the image of one mission, if it has evidence. Without a registry the image stays where it is.
pub(super) async fn one(workplace: &Workplace, mission: &MissionName, image: &Built) -> Result<Pushed, WorkflowError> {
    let definitions = definitions::digest(&workplace.repository.environments(mission))?;
    let settings = &workplace.settings;
    let Some(base) = &settings.registry else {
        publish::evidence(&image.name, &image.id, &definitions, &workplace.state)?;
        return Ok(Pushed::Stays(image.reference.clone()));
    };
    let target = ImageTag {
        repository: format!("{base}/{mission}"),
        tag: image.reference.tag.clone(),
    };
    let host = base.split('/').next().unwrap_or(base);
    let credentials = (workplace.login)(&target.repository);
    let ca = match &settings.site.ca {
        Some(path) => Some(std::fs::read(path).map_err(|error| WorkflowError::File(path.clone(), error))?),
        None => None,
    };
    let registry = Remote::new(host, credentials.clone(), ca.as_deref())?;
    let request = Request {
        name: &image.name,
        id: &image.id,
        definitions: &definitions,
        target: target.clone(),
        credentials,
    };
    let (engine, display) = (workplace.engine().await?, workplace.display());
    let published = publish::publish(request, engine, &registry, &workplace.state, display.as_ref()).await?;
    Ok(Pushed::Arrived(target, published))
}
