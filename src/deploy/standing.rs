//! What a stage runs, as its files say it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{DeployError, Refusal};
use crate::chart;
use crate::deployment::{Deployment, DeploymentError, Held, Layout, Stage, held};
use crate::git::{self, Tip};
use crate::values::{self, Layer, Merged, Node, Remark, Value};

/// The state of a repository's files that is meant.
#[derive(Debug, Clone, Copy)]
pub enum Tree<'a> {
    /// What lies in the working tree.
    Here,
    /// What a commit holds.
    Commit(&'a str),
}

impl Tree<'_> {
    /// The texts of the files at `paths` below `root`; `None` for each that is not there.
    pub fn read(&self, root: &Path, paths: &[PathBuf]) -> Result<Vec<Option<String>>, DeployError> {
        match self {
            Self::Here => {
                let read = |path: &PathBuf| {
                    git::file_here(root, path).map_err(|source| {
                        let path = path.clone();
                        DeploymentError::Read { path, source }.into()
                    })
                };
                paths.iter().map(read).collect()
            }
            Self::Commit(commit) => Ok(git::files_in_commit(root, commit, paths)?),
        }
    }
}

/// The values in a file's text; an empty map if there is no such file.
fn values(path: &Path, text: Option<&String>) -> Result<Node, DeployError> {
    let text = text.map_or("", String::as_str);
    Ok(values::read(text, &Arc::from(path)).map_err(DeploymentError::from)?)
}

/// The commit that holds the files of a stage now.
pub fn tip(root: &Path, stage: &Stage) -> Result<String, DeployError> {
    let branch = || stage.branch.clone().unwrap_or_else(|| "HEAD".to_owned());
    match git::tip(root, stage.branch.as_deref()) {
        Tip::Commit(commit) => Ok(commit),
        Tip::None => Err(Refusal::NoBranch {
            stage: stage.name.clone(),
            branch: branch(),
        }
        .into()),
        Tip::Parted => Err(Refusal::Parted {
            stage: stage.name.clone(),
            branch: branch(),
        }
        .into()),
    }
}

/// The files that the values of a stage come from, the later over the earlier: the chart's, those that all stages share,
/// its own, and its secrets.
#[must_use]
pub fn files(deployment: &Deployment, stage: &Stage) -> [PathBuf; 4] {
    let layout = Layout(&deployment.name);
    [
        deployment.chart.join("values.yaml"),
        layout.common(),
        layout.config(&stage.name),
        layout.secrets(&stage.name),
    ]
}

/// What the values of a stage are merged from.
pub struct Layers {
    /// The chart's own values.
    pub chart: Layer,
    /// Those that all stages share, those of the stage, and its secrets, the later over the earlier.
    pub own: [Node; 3],
}

/// The merged values of a stage. Those of its secrets are as they are written: encrypted.
pub fn config(root: &Path, tree: Tree<'_>, deployment: &Deployment, stage: &Stage) -> Result<Merged, DeployError> {
    let layers = layers(root, tree, deployment, stage)?;
    Ok(values::merged(&layers.chart, &layers.own))
}

/// The same, where keys that nobody knows are found by what the chart knows, as it lies in the working tree. Where that is not
/// known they are found by their names alone.
pub fn known_config(
    root: &Path,
    tree: Tree<'_>,
    deployment: &Deployment,
    stage: &Stage,
) -> Result<Merged, DeployError> {
    let layers = layers(root, tree, deployment, stage)?;
    let mut merged = values::merged(&layers.chart, &layers.own);
    if let Some(chart) = chart::load(&root.join(&deployment.chart)) {
        let by_name = |remark: &Remark| matches!(remark, Remark::Unknown { field, .. } if chart.judges(field));
        merged.remarks.retain(|remark| !by_name(remark));
        let files = std::iter::once(&layers.chart.values).chain(&layers.own);
        merged.remarks.extend(files.flat_map(|file| chart.unknown(file)));
    }
    Ok(merged)
}

/// Reads what the values of a stage are merged from.
pub fn layers(root: &Path, tree: Tree<'_>, deployment: &Deployment, stage: &Stage) -> Result<Layers, DeployError> {
    let mut paths = files(deployment, stage).to_vec();
    paths.push(deployment.chart.join("Chart.yaml"));
    let texts = tree.read(root, &paths)?;
    let read = |index: usize| values(&paths[index], texts[index].as_ref());
    let mut secrets = read(3)?;
    if let Value::Map(entries) = &mut secrets.value {
        // What sops keeps of its own.
        entries.retain(|entry| entry.key != "sops");
    }
    Ok(Layers {
        chart: Layer {
            values: read(0)?,
            children: chart::dependencies(&read(4)?)
                .iter()
                .map(|dependency| dependency.key().to_owned())
                .collect(),
        },
        own: [read(1)?, read(2)?, secrets],
    })
}

/// The image of a stage by its values: the same in all fields that hold one. `None` if no field holds any.
pub fn image(values: &Node, deployment: &Deployment, stage: &Stage) -> Result<Option<Held>, DeployError> {
    let mut found: Option<(Held, String)> = None;
    for field in &deployment.images {
        let Some(held) = held(values, field)? else {
            continue;
        };
        match &found {
            None => found = Some((held, field.to_string())),
            Some((first, _)) if first.repository == held.repository && first.digest == held.digest => {}
            Some((first, of)) => {
                return Err(Refusal::Mixed {
                    stage: stage.name.clone(),
                    field: of.clone(),
                    one: first.reference(),
                    other_field: field.to_string(),
                    other: held.reference(),
                }
                .into());
            }
        }
    }
    Ok(found.map(|(held, _)| held))
}
