//! What there is of floe's on a cluster: runs that were left there, and what killed calls have left behind.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Somewhere, WorkflowError, Workplace, cluster};
use crate::engine::{Found, LeftRun, LeftRuns};
use crate::image::label;
use crate::process::Owner;
use crate::trial::{self, LeftTrial};

/// A run that was left, from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeftOutlook {
    /// The run.
    pub id: String,
    /// The mission that it tests.
    pub mission: String,
    /// What people call the image.
    pub image: String,
    /// When it began.
    pub began: Option<Timestamp>,
    /// How many tests it runs.
    pub tests: usize,
    /// How many of its pods are there, ended or not.
    pub pods: usize,
    /// How many of those run.
    pub running: usize,
    /// Whether a floe follows it.
    pub followed: bool,
}

/// What is removed of a cluster.
#[derive(Debug, Clone, Default)]
pub struct KeepThere {
    /// The runs that are looked at, by the beginnings of their names; all, if empty.
    pub runs: Vec<String>,
    /// Runs that are younger stay, unless they are named.
    pub younger: Option<Duration>,
}

/// What there is of a run on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HeldRun {
    /// The run.
    pub run: String,
    /// The mission that it tests.
    pub mission: String,
    /// How many Jobs it has there.
    pub jobs: usize,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// Why it stays; `None` where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stays: Option<&'static str>,
}

/// The runs that were left to a cluster, the newest first.
pub async fn left(workplace: &Workplace, somewhere: &Somewhere) -> Result<Vec<LeftOutlook>, WorkflowError> {
    let runs = reach(workplace, somewhere).await?;
    let jobs = runs.containers(label::RUN).await?;
    let mut all = Vec::new();
    for kept in runs.kept().await? {
        let of_run = jobs.iter().filter(|job| job.labels.get(label::RUN) == Some(&kept.run));
        let trial = LeftTrial::read(&kept.content).map(|left| left.trial);
        all.push(LeftOutlook {
            followed: kept.labels.contains_key(label::OWNER),
            mission: labelled(&kept.labels, label::MISSION),
            began: began(&kept.labels),
            tests: trial.as_ref().map_or(0, |trial| trial.expected.len()),
            image: trial.map(|trial| trial.reference).unwrap_or_default(),
            pods: of_run.clone().count(),
            running: of_run.filter(|job| job.running).count(),
            id: kept.run,
        });
    }
    all.sort_by(|a, b| b.id.cmp(&a.id));
    Ok(all)
}

/// What there is of runs on a cluster, and what of it goes: what calls that were killed have left, as far as this process can
/// know, and what is named or too old.
pub async fn held_there(
    workplace: &Workplace,
    somewhere: &Somewhere,
    keep: &KeepThere,
) -> Result<Vec<HeldRun>, WorkflowError> {
    let runs = reach(workplace, somewhere).await?;
    let left = runs.kept().await?;
    let mut jobs = BTreeMap::<String, Vec<Found>>::new();
    for job in runs.containers(label::RUN).await? {
        jobs.entry(labelled(&job.labels, label::RUN)).or_default().push(job);
    }
    for left in &left {
        jobs.entry(left.run.clone()).or_default();
    }
    let asking = Owner::current();
    let held = jobs.into_iter().map(|(run, jobs)| {
        let left = left.iter().find(|left| left.run == run);
        let labels = left
            .map(|left| &left.labels)
            .or_else(|| jobs.first().map(|job| &job.labels));
        let labels = labels.cloned().unwrap_or_default();
        HeldRun {
            stays: stays(&run, (left, &labels), &jobs, keep, &asking),
            mission: labelled(&labels, label::MISSION),
            began: began(&labels),
            jobs: jobs.len(),
            run,
        }
    });
    let mut held = held.collect::<Vec<_>>();
    held.sort_by(|a, b| (a.stays.is_some(), &b.run).cmp(&(b.stays.is_some(), &a.run)));
    Ok(held)
}

/// Removes what goes.
pub async fn prune_there(workplace: &Workplace, somewhere: &Somewhere, held: &[HeldRun]) -> Result<(), WorkflowError> {
    let runs = reach(workplace, somewhere).await?;
    for held in held.iter().filter(|held| held.stays.is_none()) {
        trial::discard(runs.as_ref(), &held.run).await?;
    }
    Ok(())
}

/// Why a run stays; `None` where it goes.
fn stays(
    run: &str,
    (left, labels): (Option<&LeftRun>, &BTreeMap<String, String>),
    jobs: &[Found],
    keep: &KeepThere,
    asking: &Owner,
) -> Option<&'static str> {
    let named = keep.runs.iter().any(|named| run.starts_with(named.as_str()));
    let is_old = keep.younger.is_some_and(|limit| {
        let age = began(labels).map(|began| Timestamp::now().duration_since(began).unsigned_abs());
        age.is_some_and(|age| age >= limit)
    });
    let abandoned = trial::is_abandoned(labels, asking);
    let followed = left.is_some() && labels.contains_key(label::OWNER) && !abandoned;
    match () {
        () if named => None,
        () if !keep.runs.is_empty() => Some("not asked for"),
        () if followed => Some("a floe follows it"),
        () if left.is_some() && is_old => None,
        () if left.is_some() => Some("detached (--run or --older removes it)"),
        () if abandoned => None,
        () if is_old && !jobs.iter().any(|job| job.running) => None,
        () => Some("its call may go on"),
    }
}

async fn reach(workplace: &Workplace, somewhere: &Somewhere) -> Result<std::sync::Arc<dyn LeftRuns>, WorkflowError> {
    let Somewhere { context, settings } = somewhere;
    cluster::reach(workplace, context.as_deref(), settings.as_deref()).await
}

fn labelled(labels: &BTreeMap<String, String>, name: &str) -> String {
    labels.get(name).cloned().unwrap_or_default()
}

fn began(labels: &BTreeMap<String, String>) -> Option<Timestamp> {
    labels.get(label::STARTED)?.parse().ok()
}
