//! Where the files of deployments lie below the root of a repository.

use std::path::{Path, PathBuf};

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::{Deployment, DeploymentError};
use crate::fault::Place;
use crate::reference::{DeploymentName, StageName};
use crate::repository::DEPLOYMENTS;

/// What declares a deployment, in its directory.
pub const FILE: &str = "deployment.yml";

/// The images that must not be promoted.
pub const RECALLED: &str = "deployments/recalled.yml";

/// The deployments of the repository at `root`, in the order of their names: directories with a `deployment.yml`.
#[must_use]
pub fn list(root: &Path) -> Vec<DeploymentName> {
    let entries = std::fs::read_dir(root.join(DEPLOYMENTS))
        .into_iter()
        .flatten()
        .flatten();
    let mut names = entries
        .filter(|entry| entry.path().join(FILE).is_file())
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect::<Vec<_>>();
    names.sort();
    names
}

/// The paths of one deployment.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a>(pub &'a DeploymentName);

impl Layout<'_> {
    /// Its directory.
    #[must_use]
    pub fn directory(self) -> PathBuf {
        Path::new(DEPLOYMENTS).join(self.0.as_str())
    }

    /// What declares it.
    #[must_use]
    pub fn definition(self) -> PathBuf {
        self.directory().join(FILE)
    }

    /// The values that its stages share.
    #[must_use]
    pub fn common(self) -> PathBuf {
        self.directory().join("config/common.yaml")
    }

    /// The values of a stage.
    #[must_use]
    pub fn config(self, stage: &StageName) -> PathBuf {
        self.directory().join(format!("config/{stage}.yaml"))
    }

    /// The secrets of a stage, encrypted by sops.
    #[must_use]
    pub fn secrets(self, stage: &StageName) -> PathBuf {
        self.directory().join(format!("secrets/{stage}.yaml"))
    }
}

/// Whom a changed file of the repository reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The stage, which it belongs to.
    Own,
    /// The stage, as all that share it.
    Shared,
    /// Not the stage, which keeps what is shared away, though it is shared.
    KeptAway,
    /// Not the stage.
    Nothing,
}

impl Deployment {
    /// Tells which of its stages changed files reach.
    pub fn reaches(&self) -> Result<Reaches<'_>, DeploymentError> {
        let set = |patterns: &[String]| -> Result<GlobSet, DeploymentError> {
            let mut set = GlobSetBuilder::new();
            for pattern in patterns {
                let glob = Glob::new(pattern.trim_end_matches('/')).map_err(|error| DeploymentError::Malformed {
                    place: Place::of(&Layout(&self.name).definition(), None),
                    reason: error.to_string(),
                })?;
                set.add(glob);
                // A directory stands for what is in it.
                if let Ok(within) = Glob::new(&format!("{}/**", pattern.trim_end_matches('/'))) {
                    set.add(within);
                }
            }
            set.build().map_err(|error| DeploymentError::Malformed {
                place: Place::of(&Layout(&self.name).definition(), None),
                reason: error.to_string(),
            })
        };
        let layout = Layout(&self.name);
        let mut own = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let mut patterns = stage.files.clone();
            for path in [layout.config(&stage.name), layout.secrets(&stage.name)] {
                patterns.push(globset::escape(&path.to_string_lossy()));
            }
            own.push(set(&patterns)?);
        }
        let mut shared = self.files.clone();
        for path in [layout.definition(), layout.common(), self.chart.clone()] {
            shared.push(globset::escape(&path.to_string_lossy()));
        }
        Ok(Reaches {
            deployment: self,
            own,
            shared: set(&shared)?,
        })
    }
}

/// Tells which stages of a deployment changed files reach.
pub struct Reaches<'a> {
    deployment: &'a Deployment,
    own: Vec<GlobSet>,
    shared: GlobSet,
}

impl Reaches<'_> {
    /// How a changed file reaches the stage with this number.
    #[must_use]
    pub fn of(&self, path: &Path, stage: usize) -> Reach {
        if self.own[stage].is_match(path) {
            return Reach::Own;
        }
        let others = self.own.iter().any(|own| own.is_match(path));
        match (
            !others && self.shared.is_match(path),
            self.deployment.stages[stage].shared,
        ) {
            (false, _) => Reach::Nothing,
            (true, true) => Reach::Shared,
            (true, false) => Reach::KeptAway,
        }
    }
}
