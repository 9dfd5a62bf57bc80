//! What a stage's check said of an image, as it is remembered on this machine.

use serde::{Deserialize, Serialize};

use super::error::{DeployError, Refusal};
use crate::reference::{DeploymentName, Digest, StageName};
use crate::state::{self, State};

/// What the check of a stage said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The image that the stage ran.
    pub digest: Digest,
    /// Each test, and why it failed if it did.
    pub tests: Vec<CheckedTest>,
    /// What should have been tested and was not, with the reason, a sentence each. It decides nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untested: Vec<String>,
    /// When it ended, in seconds since 1970.
    pub time: i64,
}

/// A test of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedTest {
    /// What was tested.
    pub name: String,
    /// Why it failed; `None` if it passed.
    pub failed: Option<String>,
}

impl Checked {
    /// Why the check failed; `None` if everything passed, and something did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        if self.tests.is_empty() {
            return Some("nothing was tested".to_owned());
        }
        let failed = self
            .tests
            .iter()
            .find_map(|test| Some((&test.name, test.failed.as_ref()?)));
        failed.map(|(name, reason)| format!("{name}: {reason}"))
    }

    /// Remembers it as the last check of a stage with its image.
    pub fn write(&self, memory: &State, deployment: &DeploymentName, stage: &StageName) -> Result<(), DeployError> {
        let path = memory.check(deployment.as_str(), stage.as_str(), &self.digest);
        Ok(state::write(&path, self)?)
    }

    /// The last check of a stage with an image, if this machine remembers one.
    pub fn read(
        memory: &State,
        deployment: &DeploymentName,
        stage: &StageName,
        digest: &Digest,
    ) -> Result<Option<Self>, DeployError> {
        Ok(state::read(&memory.check(deployment.as_str(), stage.as_str(), digest))?)
    }
}

/// Refuses an image with which a stage was not checked, or failed.
pub fn passed(
    checked: Option<&Checked>,
    deployment: &DeploymentName,
    before: &StageName,
    digest: &Digest,
) -> Result<(), Refusal> {
    let (deployment, before, digest) = (deployment.clone(), before.clone(), digest.clone());
    match checked.filter(|checked| checked.digest == digest) {
        None => Err(Refusal::Unchecked {
            deployment,
            before,
            digest,
        }),
        Some(checked) => match checked.failure() {
            None => Ok(()),
            Some(reason) => Err(Refusal::CheckFailed {
                deployment,
                before,
                digest,
                reason,
            }),
        },
    }
}
