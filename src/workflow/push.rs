//! Pushing: where images go, with what credentials, and what happens where no registry is set.

use super::choose::demand;
use super::{WorkflowError, Workplace};
use crate::builder::Built;
use crate::engine::Credentials;
use crate::publish::{self, Published, Request};
use crate::reference::{ImageTag, MissionName, RegistryHost};
use crate::registry::Remote;
use crate::state::FileError;

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
        publish::evidence(&image.role, &image.id, &demand(workplace, mission)?, &workplace.state)?;
    }
    admitted(workplace, missions).await?;
    for mission in missions {
        let image = super::workplace::image_of(&plan, &built, mission);
        pushed(image, one(workplace, mission, image).await?);
    }
    Ok(())
}

/// Pushes the image of one mission, if it has evidence. Without a registry the image stays where it is.
pub(super) async fn one(workplace: &Workplace, mission: &MissionName, image: &Built) -> Result<Pushed, WorkflowError> {
    let demand = demand(workplace, mission)?;
    let settings = &workplace.settings;
    let Some(base) = &settings.registry else {
        publish::evidence(&image.role, &image.id, &demand, &workplace.state)?;
        return Ok(Pushed::Stays(image.reference.clone()));
    };
    let target = base.tag(mission, &image.reference.tag);
    let (registry, credentials) = registry(workplace, &base.host())?;
    let request = Request {
        role: &image.role,
        id: &image.id,
        demand: &demand,
        target: target.clone(),
        credentials,
    };
    let (engine, display) = (workplace.engine().await?, workplace.display());
    let published = publish::publish(request, engine, &registry, &workplace.state, display.as_ref()).await?;
    Ok(Pushed::Arrived(target, published))
}

/// Asks the registry whether it would take a push of each of `missions`, which is better known before hours of work than
/// after them. Without a registry there is nothing to ask.
pub(super) async fn admitted(workplace: &Workplace, missions: &[MissionName]) -> Result<(), WorkflowError> {
    let Some(base) = &workplace.settings.registry else {
        return Ok(());
    };
    let (registry, _) = registry(workplace, &base.host())?;
    for mission in missions {
        registry.admits(&base.tag(mission, "").repository).await?;
    }
    Ok(())
}

/// The registry at `host` as this site reaches it, and the credentials for it.
pub(super) fn registry(
    workplace: &Workplace,
    host: &RegistryHost,
) -> Result<(Remote, Option<Credentials>), WorkflowError> {
    let credentials = (workplace.login)(host);
    let ca = match &workplace.settings.site.ca {
        Some(path) => Some(std::fs::read(path).map_err(FileError::of(path))?),
        None => None,
    };
    Ok((Remote::new(host, credentials.clone(), ca.as_deref())?, credentials))
}
