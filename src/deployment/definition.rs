//! `deployment.yml`: read, and checked as far as the file itself tells.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use serde::Deserialize;

use super::layout::{self, Layout};
use super::{DeploymentError, Stage};
use crate::fault::Place;
use crate::reference::{DeploymentName, MissionName};
use crate::values::Field;

/// A deployment, as `deployment.yml` declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its name, which is that of its directory.
    pub name: DeploymentName,
    /// The mission whose image it runs. Several deployments may run the same.
    pub mission: Option<MissionName>,
    /// The fields of values that hold the image.
    pub images: Vec<Field>,
    /// The directory of the chart that its hubs are releases of.
    pub chart: PathBuf,
    /// Patterns of files that all its stages share, beside the values, from the root of the repository.
    pub files: Vec<String>,
    /// Its stages in their order. There is at least one.
    pub stages: Vec<Stage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    mission: Option<MissionName>,
    #[serde(default = "singleuser")]
    images: Vec<Field>,
    #[serde(default = "hub")]
    chart: PathBuf,
    #[serde(default)]
    files: Vec<String>,
    stages: Vec<Stage>,
}

/// Where a chart of Zero to JupyterHub has the image of users.
fn singleuser() -> Vec<Field> {
    vec!["singleuser.image".parse().expect("it names a field")]
}

fn hub() -> PathBuf {
    PathBuf::from("hub")
}

/// The deployment `name` of the repository at `root`, as its files lie there.
pub fn load(root: &Path, name: &str) -> Result<Deployment, DeploymentError> {
    let name = DeploymentName::from_str(name).map_err(DeploymentError::Name)?;
    let path = Layout(&name).definition();
    match fs::read_to_string(root.join(&path)) {
        Ok(text) => parse(&text, &path, name),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DeploymentError::NoDeployment {
            name,
            path,
            known: layout::list(root),
        }),
        Err(source) => Err(DeploymentError::Read { path, source }),
    }
}

/// Reads the text of a `deployment.yml`; `path` is what errors name.
pub fn parse(text: &str, path: &Path, name: DeploymentName) -> Result<Deployment, DeploymentError> {
    let malformed = |line, reason: String| DeploymentError::Malformed {
        place: Place::of(path, line),
        reason,
    };
    let written = serde_yaml::from_str::<Written>(text).map_err(|error| {
        let line = error.location().map(|location| location.line());
        malformed(line, error.to_string())
    })?;
    let wrong = |reason: String| Err(malformed(None, reason));
    if written.stages.is_empty() {
        return wrong("a deployment has at least one stage".to_owned());
    }
    if written.images.is_empty() {
        return wrong("`images` names no field that holds the image".to_owned());
    }
    let leaves =
        |path: &Path| path.is_absolute() || path.components().any(|part| part == std::path::Component::ParentDir);
    if leaves(&written.chart) {
        return wrong("`chart` is a directory below the root of the repository".to_owned());
    }
    let mut stages = written.stages;
    for index in 0..stages.len() {
        let (before, rest) = stages.split_at_mut(index);
        let stage = &mut rest[0];
        if before.iter().any(|other| other.name == stage.name) {
            return wrong(format!("there are two stages called {}", stage.name));
        }
        match &stage.from {
            None => stage.from = before.last().map(|other| other.name.clone()),
            Some(from) if before.iter().any(|other| other.name == *from) => {}
            Some(from) => {
                let stage = &stage.name;
                return wrong(format!("stage {stage} comes from {from}, which is no stage above it"));
            }
        }
    }
    Ok(Deployment {
        name,
        mission: written.mission,
        images: written.images,
        chart: written.chart,
        files: written.files,
        stages,
    })
}

impl Deployment {
    /// The stage of this name.
    pub fn stage(&self, name: &str) -> Result<&Stage, DeploymentError> {
        let stage = self.stages.iter().find(|stage| stage.name.as_str() == name);
        stage.ok_or_else(|| DeploymentError::NoStage {
            deployment: self.name.clone(),
            stage: name.to_owned(),
            known: self.stages.iter().map(|stage| stage.name.clone()).collect(),
        })
    }

    /// The stage that a stage takes its image from; none for the first.
    #[must_use]
    pub fn before(&self, stage: &Stage) -> Option<&Stage> {
        let from = stage.from.as_ref()?;
        self.stages.iter().find(|other| other.name == *from)
    }
}
