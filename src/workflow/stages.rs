//! What would become of the stages of deployments: which of them the changes since a commit reach, and which run what the
//! stage before them runs.

use std::path::PathBuf;

use serde::Serialize;

use super::config::deployments;
use super::status::{Behind, status};
use super::{Freshness, WorkflowError, Workplace};
use crate::deployment::Reach;
use crate::git;
use crate::reference::{DeploymentName, StageName};

/// What would become of a stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StageOutlook {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The stage.
    pub stage: StageName,
    /// Whether it is as it should be.
    pub state: Freshness,
    /// Why not; or why changes leave it alone that reach others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The changed files that reach it; none where no commit was named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub touched_by: Vec<PathBuf>,
}

/// Looks at all stages. Where a commit is named, at those that changes since then reach, and at those that are kept away
/// from changes of files that stages share.
pub async fn stages(workplace: &Workplace, since: Option<&str>) -> Result<Vec<StageOutlook>, WorkflowError> {
    let root = workplace.repository.root();
    if !workplace.repository.has_deployments() {
        return Ok(Vec::new());
    }
    let deployments = deployments(workplace, &[])?;
    let mut found = Vec::new();
    let Some(since) = since else {
        for stage in status(workplace, &deployments, false).await?.stages {
            let (state, reason) = match (stage.faults.into_iter().next(), stage.behind) {
                (Some(fault), _) => (Freshness::Stale, Some(fault)),
                (None, Behind::Differs) => (
                    Freshness::Stale,
                    Some("runs another image than the stage before it".to_owned()),
                ),
                (None, Behind::Same) => (Freshness::UpToDate, None),
                (None, Behind::First | Behind::Unknown) => (Freshness::Unknown, None),
            };
            found.push(StageOutlook {
                deployment: stage.deployment,
                stage: stage.stage,
                state,
                reason,
                touched_by: Vec::new(),
            });
        }
        return Ok(found);
    };
    let changed = git::changed_since(root, since).map_err(|error| WorkflowError::Since {
        reason: error.to_string(),
    })?;
    for deployment in &deployments {
        let reach = deployment.reaches()?;
        for (index, stage) in deployment.stages.iter().enumerate() {
            let how = changed
                .iter()
                .map(|path| (path, reach.of(path, index)))
                .collect::<Vec<_>>();
            let touching = how
                .iter()
                .filter(|(_, reach)| matches!(reach, Reach::Own | Reach::Shared));
            let touched_by = touching.map(|(path, _)| (*path).clone()).collect::<Vec<_>>();
            let kept_away = how.iter().any(|(_, reach)| *reach == Reach::KeptAway);
            let reason = match (touched_by.is_empty(), kept_away) {
                (true, false) => continue,
                (true, true) => "shared files changed, which do not reach it".to_owned(),
                (false, _) => "touched".to_owned(),
            };
            let state = if touched_by.is_empty() {
                Freshness::UpToDate
            } else {
                Freshness::Stale
            };
            found.push(StageOutlook {
                deployment: deployment.name.clone(),
                stage: stage.name.clone(),
                state,
                reason: Some(reason),
                touched_by,
            });
        }
    }
    Ok(found)
}
