//! The values of a stage, and the deployments that there are.

use std::path::PathBuf;

use super::shared::shared;
use super::{WorkflowError, Workplace};
use crate::deploy::{self, Tree};
use crate::deployment::{self, Deployment, Stage};
use crate::git;
use crate::values::Merged;

/// The merged values of a stage.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The values, and what a person may not have meant.
    pub merged: Merged,
    /// What does not hold of the stage's secrets, as they are committed.
    pub faults: Vec<String>,
    /// The file whose values are secrets, below the root.
    pub secrets: PathBuf,
    /// The commit that the files are of; `None` for those of the working tree.
    pub commit: Option<String>,
}

/// The deployment of this name.
pub fn deployment(workplace: &Workplace, name: &str) -> Result<Deployment, WorkflowError> {
    Ok(deployment::load(workplace.repository.root(), name)?)
}

/// The deployments of these names; all, if none is named.
pub fn deployments(workplace: &Workplace, names: &[String]) -> Result<Vec<Deployment>, WorkflowError> {
    if names.is_empty() {
        let known = deployment::list(workplace.repository.root());
        return known.iter().map(|name| deployment(workplace, name.as_str())).collect();
    }
    names.iter().map(|name| deployment(workplace, name)).collect()
}

/// The values of a stage: those in the working tree, or those on the stage's own branch where another one is checked out.
pub fn config(workplace: &Workplace, deployment: &Deployment, stage: &Stage) -> Result<Configuration, WorkflowError> {
    let root = workplace.repository.root();
    let elsewhere = stage.branch.is_some() && stage.branch != git::standing::branch(root);
    let commit = if elsewhere {
        Some(deploy::tip(root, stage)?)
    } else {
        None
    };
    let tree = commit.as_deref().map_or(Tree::Here, Tree::Commit);
    let [_, _, _, secrets] = deploy::files(deployment, stage);
    let index = deployment.stages.iter().position(|other| other.name == stage.name);
    let faults = shared(workplace, deployment, false)?;
    Ok(Configuration {
        faults: index
            .and_then(|index| faults.into_iter().nth(index))
            .unwrap_or_default(),
        merged: deploy::known_config(root, tree, deployment, stage)?,
        secrets,
        commit,
    })
}
