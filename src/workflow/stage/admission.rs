//! The gates before a stage is deployed: what its files name must be there, tested and meant.

use super::{OpenStage, Wanted};
use crate::attest::{self, Keys};
use crate::deploy::{self, DeployError, Refusal, Withheld};
use crate::deployment::{Driver, Reach};
use crate::git;
use crate::registry::Registry as _;
use crate::workflow::WorkflowError;
use crate::workflow::push::registry;

impl OpenStage<'_> {
    /// Passes the image that the stage's files name through all gates.
    pub(super) async fn admitted(&self) -> Result<Wanted, WorkflowError> {
        self.files_are_meant()?;
        let wanted = self.wanted()?;
        deploy::admit(&wanted.digest, &deploy::recalled(self.root())?).map_err(DeployError::from)?;
        self.or_interrupted(self.image_is_there(&wanted)).await??;
        self.or_interrupted(self.image_has_evidence(&wanted)).await??;
        Ok(wanted)
    }

    /// What would be deployed is what git knows of the stage: its commit is checked out, and its files are as that left them.
    fn files_are_meant(&self) -> Result<(), DeployError> {
        let (root, stage) = (self.root(), self.stage());
        let tip = deploy::tip(root, stage)?;
        let changed = git::changed_since(root, "HEAD")?;
        let reaches = self.deployment.reaches()?;
        let is_ours = |path: &&std::path::PathBuf| match reaches.of(path, self.index) {
            Reach::Own | Reach::Shared | Reach::KeptAway => true,
            Reach::Nothing => false,
        };
        let paths = changed.iter().filter(is_ours).cloned().collect::<Vec<_>>();
        if !paths.is_empty() {
            return Err(Refusal::Uncommitted { paths }.into());
        }
        let head = git::commit(root, "HEAD");
        if head.as_ref() != Some(&tip) {
            return Err(Withheld::Elsewhere {
                stage: stage.name.clone(),
                branch: stage.branch.clone().unwrap_or_else(|| "HEAD".to_owned()),
            }
            .into());
        }
        if let Driver::Git(_) = stage.driver {
            let branch = stage.branch.clone().or_else(|| git::standing::branch(root));
            let branch = branch.unwrap_or_else(|| "HEAD".to_owned());
            let there = git::commit(root, &format!("refs/remotes/origin/{branch}"));
            if there != head {
                return Err(Withheld::NotPushed {
                    stage: stage.name.clone(),
                    branch,
                }
                .into());
            }
        }
        Ok(())
    }

    /// The registry has the image: what is deployed before it is pushed fails late, and looks like a fault of the change.
    pub(super) async fn image_is_there(&self, wanted: &Wanted) -> Result<(), WorkflowError> {
        let reference = wanted.pinned()?;
        let (registry, _) = registry(self.workplace, &reference.registry())?;
        match registry.manifest(&reference).await? {
            Some(_) => Ok(()),
            None => Err(DeployError::from(Refusal::Missing {
                image: reference.to_string(),
            })
            .into()),
        }
    }

    /// The image passed its tests, by the evidence in its registry.
    async fn image_has_evidence(&self, wanted: &Wanted) -> Result<(), WorkflowError> {
        let reference = wanted.pinned()?;
        let (registry, _) = registry(self.workplace, &reference.registry())?;
        let keys = Keys::of(self.workplace.settings.signing.verify.as_deref())?;
        attest::proof(&registry, &reference, &keys).await?;
        Ok(())
    }
}
