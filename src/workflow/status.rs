//! What each stage of each deployment runs, and whether that holds.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::join_all;
use rayon::prelude::*;

use super::promote::{pinned, proven};
use super::push::registry;
use super::shared::shared;
use super::{Told, WorkflowError, Workplace};
use crate::attest::{self, Keys};
use crate::deploy::{self, Checked, DeployError, Recall, Target, Tree};
use crate::deployment::{Deployment, Held, Stage};
use crate::fault::Explained;
use crate::reference::{DeploymentName, Digest, StageName};
use crate::sbom;

/// What stages run.
#[derive(Debug, Clone)]
pub struct Status {
    /// Each stage of each deployment, in their orders.
    pub stages: Vec<StageStatus>,
}

/// What a stage runs.
#[derive(Debug, Clone)]
pub struct StageStatus {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The stage.
    pub stage: StageName,
    /// Whether people must confirm what changes it.
    pub protected: bool,
    /// The image that its files name.
    pub image: Option<Held>,
    /// The commit that brought it, and when that was made, in seconds since 1970.
    pub since: Option<(String, i64)>,
    /// How it stands to the stage before it.
    pub behind: Behind,
    /// How many packages differ from those of the stage before it, by the bills of materials of the two images. Registries
    /// are asked only where that is asked for.
    pub differing: Option<usize>,
    /// The address of its hub.
    pub url: Option<String>,
    /// Whether its check passed with the image, as far as this machine remembers.
    pub checked: Option<bool>,
    /// What its driver says that it runs; `None` where that is not asked for.
    pub live: Option<Told>,
    /// What does not hold. Only what git and files tell is looked at, unless it is asked for.
    pub faults: Vec<String>,
}

/// How a stage stands to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// There is none before it.
    First,
    /// Both run the same image.
    Same,
    /// They run different images.
    Differs,
    /// One of them names none.
    Unknown,
}

/// Looks at the stages of `deployments`. With `verify`, registries are asked for each image and history for the order.
pub async fn status(workplace: &Workplace, deployments: &[Deployment], verify: bool) -> Result<Status, WorkflowError> {
    let recalled = deploy::recalled(workplace.repository.root())?;
    // Each asks git many times, which answers one question after the other.
    let stages = deployments
        .par_iter()
        .map(|deployment| of_deployment(workplace, deployment, verify, &recalled))
        .collect::<Result<Vec<_>, _>>()?;
    let mut stages = stages.into_iter().flatten().collect::<Vec<_>>();
    if verify {
        let targets = stages.iter().filter_map(|found| pinned(found.image.as_ref()?));
        let name = |target: &Target| (target.tag.repository.clone(), target.digest.clone());
        let targets = targets
            .map(|target| (name(&target), target))
            .collect::<BTreeMap<_, _>>();
        let asked = join_all(targets.values().map(|target| unproven(workplace, target))).await;
        let mut faults = BTreeMap::new();
        for (name, asked) in targets.keys().zip(asked) {
            faults.insert(name, asked?);
        }
        for found in &mut stages {
            let target = found.image.as_ref().and_then(pinned);
            let fault = target.and_then(|target| faults.get(&name(&target)).cloned().flatten());
            found.faults.extend(fault);
        }
        for index in 0..stages.len() {
            stages[index].differing = differing(workplace, deployments, &stages, &stages[index]).await;
        }
    }
    Ok(Status { stages })
}

/// How many packages a stage's image has otherwise than that of the stage before it. What registries do not say is not known.
async fn differing(
    workplace: &Workplace,
    deployments: &[Deployment],
    stages: &[StageStatus],
    stage: &StageStatus,
) -> Option<usize> {
    if stage.behind != Behind::Differs {
        return None;
    }
    let deployment = deployments
        .iter()
        .find(|deployment| deployment.name == stage.deployment)?;
    let from = deployment.stage(stage.stage.as_str()).ok()?.from.as_ref()?;
    let is_before = |other: &&StageStatus| other.deployment == stage.deployment && other.stage == *from;
    let before = stages.iter().find(is_before)?;
    let before = bill(workplace, before.image.as_ref()?).await?;
    let now = bill(workplace, stage.image.as_ref()?).await?;
    Some(sbom::differences(&before, &now)?.len())
}

async fn bill(workplace: &Workplace, image: &Held) -> Option<Bytes> {
    let reference = pinned(image)?.reference().ok()?;
    let (registry, _) = registry(workplace, &reference.registry()).ok()?;
    let keys = Keys::of(workplace.settings.signing.verify.as_deref()).ok()?;
    attest::bill(&registry, &reference, &keys).await.ok()?
}

/// Looks at the stages of one deployment.
fn of_deployment(
    workplace: &Workplace,
    deployment: &Deployment,
    verify: bool,
    recalled: &[Recall],
) -> Result<Vec<StageStatus>, WorkflowError> {
    let mut stages = Vec::with_capacity(deployment.stages.len());
    let mut seen: BTreeMap<&StageName, Option<Digest>> = BTreeMap::new();
    for stage in &deployment.stages {
        let mut found = standing(workplace, deployment, stage, recalled)?;
        let digest = found.image.as_ref().and_then(|held| held.digest.clone());
        found.behind = match stage.from.as_ref().map(|from| seen.get(from).cloned().flatten()) {
            None => Behind::First,
            Some(before) => match (&before, &digest) {
                (Some(before), Some(digest)) if before == digest => Behind::Same,
                (Some(_), Some(_)) => Behind::Differs,
                _ => Behind::Unknown,
            },
        };
        if verify && let Some(digest) = &digest {
            found.faults.extend(order(workplace, deployment, stage, digest)?);
        }
        seen.insert(&stage.name, digest);
        stages.push(found);
    }
    if verify {
        for (found, faults) in stages.iter_mut().zip(shared(workplace, deployment, true)?) {
            found.faults.extend(faults);
        }
    }
    Ok(stages)
}

/// What the files of a stage say. What is wrong with them is a fault of the stage, not an end of the call.
fn standing(
    workplace: &Workplace,
    deployment: &Deployment,
    stage: &Stage,
    recalled: &[Recall],
) -> Result<StageStatus, WorkflowError> {
    let root = workplace.repository.root();
    let mut found = StageStatus {
        deployment: deployment.name.clone(),
        stage: stage.name.clone(),
        protected: stage.protected,
        image: None,
        since: None,
        behind: Behind::Unknown,
        differing: None,
        url: stage.check.as_ref().and_then(|check| check.url.clone()),
        checked: None,
        live: None,
        faults: Vec::new(),
    };
    let read = || -> Result<(String, Option<Held>), DeployError> {
        let tip = deploy::tip(root, stage)?;
        let values = deploy::config(root, Tree::Commit(&tip), deployment, stage)?.values;
        let image = deploy::image(&values, deployment, stage)?;
        Ok((tip, image))
    };
    let (tip, image) = match read() {
        Ok(read) => read,
        Err(error) => {
            found.faults.push(error.to_string());
            return Ok(found);
        }
    };
    let Some(image) = image else {
        found
            .faults
            .push(format!("no image: {} is in none of its files", deployment.images[0]));
        return Ok(found);
    };
    match &image.digest {
        None => found
            .faults
            .push("named by a tag, which may mean another image tomorrow".to_owned()),
        Some(digest) => {
            if let Err(refusal) = deploy::admit(digest, recalled) {
                found.faults.push(format!("{refusal}; {}", refusal.way_out()));
            }
            let checked = Checked::read(&workplace.state, &deployment.name, &stage.name, digest)?;
            found.checked = checked.map(|checked| checked.failure().is_none());
            let ran = deploy::images(root, deployment, stage, &tip, |ran| !ran.is_empty())?;
            found.since = ran.into_iter().next().map(|ran| (ran.commit, ran.time));
        }
    }
    found.image = Some(image);
    Ok(found)
}

/// The fault that a stage runs what the one before it never did.
fn order(
    workplace: &Workplace,
    deployment: &Deployment,
    stage: &Stage,
    digest: &Digest,
) -> Result<Option<String>, WorkflowError> {
    let Some(before) = deployment.before(stage) else {
        return Ok(None);
    };
    let root = workplace.repository.root();
    let tip = deploy::tip(root, before)?;
    let held = |ran: &[deploy::Ran]| ran.iter().any(|ran| ran.digest == *digest);
    let ran = deploy::images(root, deployment, before, &tip, held)?;
    Ok((!held(&ran)).then(|| format!("{} never ran it", before.name)))
}

/// The fault that an image is not in its registry, or that nothing there says that it passed its tests.
async fn unproven(workplace: &Workplace, target: &Target) -> Result<Option<String>, WorkflowError> {
    match proven(workplace, target, None).await {
        Ok(_) => Ok(None),
        Err(error) if error.is_temporary() => Err(error),
        Err(error) => Ok(Some(error.to_string())),
    }
}
