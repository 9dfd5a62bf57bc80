//! `floe push`: images that passed their tests go to the registry; others are refused.

use crate::builder::{self, Built};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::{Session, credentials, image_of};
use crate::engine::Engine;
use crate::publish::{self, Request};
use crate::reference::{ImageTag, MissionName};
use crate::registry::Remote;
use crate::suite::definitions;

/// Pushes the images of `missions`, as they were built.
pub async fn command(session: &Session, missions: &[MissionName]) -> Result<(), Failure> {
    if session.settings.registry.is_none() {
        return Err(
            Failure::new(ExitCode::Invalid, "REGISTRY is not set, so there is nowhere to push to")
                .hint("set REGISTRY in setup-env, or give --registry HOST/PATH"),
        );
    }
    let plan = session.plan(missions)?;
    let engine = session.engine().await?;
    let built = builder::find(&plan, &engine, &session.state).await?;
    for mission in missions {
        run(session, mission, image_of(&built, mission)?, &engine).await?;
    }
    Ok(())
}

/// Pushes the image of one mission. Without a registry the image stays, which is said.
pub async fn run(session: &Session, mission: &MissionName, image: &Built, engine: &dyn Engine) -> Result<(), Failure> {
    let definitions = definitions::digest(&session.repository.environments(mission))?;
    let Some(base) = &session.settings.registry else {
        publish::evidence(&image.name, &image.id, &definitions, &session.state)?;
        output::say(&format!(
            "{} stays on this machine as {}: no REGISTRY is set",
            image.name, image.reference
        ));
        return Ok(());
    };
    let target = ImageTag {
        repository: format!("{base}/{mission}"),
        tag: image.reference.tag.clone(),
    };
    let host = base.split('/').next().unwrap_or(base);
    let credentials = credentials(&target.repository);
    let ca = match &session.settings.site.ca {
        Some(path) => Some(std::fs::read(path).map_err(|error| (path.clone(), error))?),
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
    let display = session.display();
    let published = publish::publish(request, engine, &registry, &session.state, display.as_ref()).await?;
    let verb = if published.sent { "pushed" } else { "is there already:" };
    output::say(&format!("{} {verb} {target}", image.name));
    output::result(&format!("{}@{}\n", target.repository, published.digest))
}
