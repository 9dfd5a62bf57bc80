//! Whose container somebody is let into.

use super::super::{BuildOptions, Interrupts, WorkflowError, Workplace, build};
use super::ConsoleError;
use crate::builder::survey::{Standing, survey};
use crate::engine::Image;
use crate::event::Event;
use crate::reference::{Digest, ImageReference, MissionName, Role};

/// Whose container somebody is let into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// That of a mission's image.
    Mission(MissionName),
    /// That of an image that need not be floe's.
    Image(ImageReference),
}

impl Subject {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Mission(mission) => mission.to_string(),
            Self::Image(reference) => reference.to_string(),
        }
    }

    /// The image as it is. A mission's is built where there is none, and said to be stale where its files have changed
    /// since; somebody else's is pulled where the engine does not have it.
    pub async fn image(&self, workplace: &Workplace, interrupts: &Interrupts) -> Result<Image, WorkflowError> {
        match self {
            Self::Mission(mission) => of_mission(workplace, mission, interrupts).await,
            Self::Image(reference) => of_others(workplace, reference, interrupts).await,
        }
    }
}

async fn of_mission(
    workplace: &Workplace,
    mission: &MissionName,
    interrupts: &Interrupts,
) -> Result<Image, WorkflowError> {
    let missions = std::slice::from_ref(mission);
    let plan = workplace.plan(missions)?;
    let engine = workplace.engine().await?;
    let role = Role::Mission(mission.clone());
    let surveyed = survey(&plan, Some(engine), &workplace.state).await?;
    let own = surveyed.iter().find(|surveyed| surveyed.role == role);
    if let Some(Standing::UpToDate { id, .. }) = own.map(|own| &own.standing) {
        return found(workplace, id).await;
    }
    let display = workplace.display();
    let say = |text: String| display.emit(Event::Warning { text });
    // What comes first explains what comes after it.
    let stale = surveyed.iter().find_map(|surveyed| match &surveyed.standing {
        Standing::Stale { reason } if surveyed.role == role => Some(reason.clone()),
        Standing::Stale { reason } => Some(format!("{}: {reason}", surveyed.role)),
        _ => None,
    });
    let reason = stale.unwrap_or_else(|| "what it extends is not there".to_owned());
    if let Some(inputs) = workplace.state.inputs(&role) {
        let last = role.tag(inputs.digest().short());
        if let Some(image) = engine.image(&last.to_string()).await? {
            say(format!(
                "the image of {mission} is stale ({reason}): `floe build {mission}` builds it"
            ));
            return Ok(image);
        }
    }
    say(format!("the image of {mission} is not there: it is built first"));
    let built = build::images(workplace, missions, BuildOptions::default(), interrupts).await?;
    found(workplace, &built.of(mission).id).await
}

async fn found(workplace: &Workplace, id: &Digest) -> Result<Image, WorkflowError> {
    let image = workplace.engine().await?.image(id.as_str()).await?;
    image.ok_or_else(|| ConsoleError::Vanished { id: id.clone() }.into())
}

async fn of_others(
    workplace: &Workplace,
    reference: &ImageReference,
    interrupts: &Interrupts,
) -> Result<Image, WorkflowError> {
    let engine = workplace.engine().await?;
    let image = if let Some(image) = engine.image(reference.as_str()).await? {
        image
    } else {
        let display = workplace.display();
        let login = (workplace.login)(&reference.registry());
        tokio::select! {
            pulled = engine.pull(reference, login, display.as_ref()) => pulled?,
            how = interrupts.first() => return Err(ConsoleError::Interrupted(how).into()),
        }
    };
    super::super::foreign::runs_here(reference, &image)?;
    Ok(image)
}
