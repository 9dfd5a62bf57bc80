//! Tests on a cluster: which shards there are, and what its nodes pull.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::push::{packing, registry};
use super::{WorkflowError, Workplace};
use crate::builder::Built;
use crate::engine::{Credentials, JobSettings, LeftRuns};
use crate::event::Event;
use crate::publish;
use crate::reference::{ImageReference, ImageTag, MissionName};
use crate::registry::Remote;
use crate::repository;
use crate::trial::Spread;

/// A cluster that runs tests.
#[derive(Debug, Clone)]
pub struct OnCluster {
    /// The context of the kubeconfig, if not the current one.
    pub context: Option<String>,
    /// How many shards the tests that share a container are divided into.
    pub shards: NonZeroUsize,
    /// How many pods there are at a time; all, if `None`.
    pub at_once: Option<NonZeroUsize>,
    /// The file that says what Jobs are like, if not that of the repository.
    pub settings: Option<PathBuf>,
}

/// Connects to the cluster, to have it run tests.
pub(super) async fn connect(workplace: &Workplace, on: &OnCluster) -> Result<Arc<dyn LeftRuns>, WorkflowError> {
    // That there is nowhere to pull from is better known before anything else is asked.
    if workplace.settings.registry.is_none() {
        return Err(WorkflowError::NothingToPull);
    }
    reach(workplace, on.context.as_deref(), on.settings.as_deref()).await
}

/// Connects to the cluster of a context, or of the current one, whose Jobs are as `settings` says, or the repository's file.
pub(super) async fn reach(
    workplace: &Workplace,
    context: Option<&str>,
    settings: Option<&Path>,
) -> Result<Arc<dyn LeftRuns>, WorkflowError> {
    let own = workplace.repository.path(repository::KUBERNETES);
    let settings = match settings {
        Some(path) => JobSettings::read(path)?,
        None if own.is_file() => JobSettings::read(&own)?,
        None => JobSettings::default(),
    };
    Ok(workplace.connect.cluster(context, settings).await?)
}

/// Has the image and floe's own program where nodes pull them.
pub(super) async fn brought(
    workplace: &Workplace,
    mission: &MissionName,
    image: &Built,
    on: &OnCluster,
) -> Result<Spread, WorkflowError> {
    let Candidate {
        image,
        target,
        registry,
        ..
    } = candidate(workplace, mission, image).await?;
    let agent = publish::agent(&workplace.agent, &target, &registry).await?;
    Ok(Spread::over_pods(&image, agent, on.at_once))
}

/// An image in its registry, before anything is known of it.
pub(super) struct Candidate {
    /// By what it is pulled.
    pub image: ImageReference,
    /// Where it goes once it has passed.
    pub target: ImageTag,
    /// The registry.
    pub registry: Remote,
    /// The credentials for it.
    pub credentials: Option<Credentials>,
}

/// Has an image in its registry, for machines that have not.
pub(super) async fn candidate(
    workplace: &Workplace,
    mission: &MissionName,
    image: &Built,
) -> Result<Candidate, WorkflowError> {
    let base = workplace
        .settings
        .registry
        .as_ref()
        .ok_or(WorkflowError::NothingToPull)?;
    let target = base.tag(mission, &image.reference.tag);
    let (registry, credentials) = registry(workplace, &base.host())?;
    let display = workplace.display();
    display.emit(Event::Note {
        text: format!("bringing {mission} to {}", target.repository),
    });
    let packing = packing(workplace);
    let candidate = publish::Candidate {
        id: &image.id,
        target: &target,
        credentials: credentials.as_ref(),
        packing: packing.as_ref(),
        agent: &workplace.agent,
    };
    let engine = workplace.engine().await?;
    Ok(Candidate {
        image: publish::candidate(candidate, engine, &registry, display.as_ref()).await?,
        target,
        registry,
        credentials,
    })
}
