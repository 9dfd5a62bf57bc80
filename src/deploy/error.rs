//! Why a stage is not changed.

use std::path::PathBuf;

use super::gate::Withheld;
use crate::deployment::DeploymentError;
use crate::fault::{Explained, Kind, Place, TRY_AGAIN};
use crate::git::GitError;
use crate::git::remote::RemoteError;
use crate::reference::{DeploymentName, Digest, StageName};
use crate::state::FileError;

/// Why a stage is not changed, or what it runs is not known.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A deployment is not declared well.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// git refused or failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file of floe's own state cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A gate refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A branch could not be pushed.
    #[error("{branch} is not pushed, and nothing was changed: {source}")]
    Push {
        /// The branch.
        branch: String,
        /// Why.
        source: RemoteError,
    },
    /// A stage is not deployed, checked or destroyed.
    #[error(transparent)]
    Withheld(#[from] Withheld),
}

/// What a gate refuses, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The branch that a stage's files live on is not there.
    #[error("stage {stage}: there is no branch {branch}, neither here nor at origin")]
    NoBranch {
        /// The stage.
        stage: StageName,
        /// Its branch.
        branch: String,
    },
    /// The branch here and the one of `origin` went different ways.
    #[error("stage {stage}: the branch {branch} here and origin/{branch} went different ways")]
    Parted {
        /// The stage.
        stage: StageName,
        /// Its branch.
        branch: String,
    },
    /// Nobody has committed the deployment's files as they are.
    #[error("{} is not committed", .paths.first().map(|path| path.display().to_string()).unwrap_or_default())]
    Uncommitted {
        /// The files.
        paths: Vec<PathBuf>,
    },
    /// No file of a stage names an image.
    #[error("stage {stage} names no image: {field} is in none of its files")]
    NoImage {
        /// The stage.
        stage: StageName,
        /// The field that should hold it.
        field: String,
    },
    /// A stage names an image by a tag alone, which may move.
    #[error("stage {stage} names {image} by a tag, which may mean another image tomorrow")]
    Unpinned {
        /// The stage.
        stage: StageName,
        /// What it names.
        image: String,
    },
    /// The fields of a stage hold different images.
    #[error("stage {stage} runs different images: {one} in {field}, {other} in {other_field}")]
    Mixed {
        /// The stage.
        stage: StageName,
        /// A field.
        field: String,
        /// What it holds.
        one: String,
        /// Another one.
        other_field: String,
        /// What that holds.
        other: String,
    },
    /// An image is named for a stage that takes what the stage before it runs.
    #[error("{stage} takes the image that {before} runs, and no other")]
    OutOfOrder {
        /// The stage.
        stage: StageName,
        /// The one before it.
        before: StageName,
    },
    /// The image is recalled.
    #[error("{digest} is recalled: {reason}")]
    Recalled {
        /// The image.
        digest: Digest,
        /// Why.
        reason: String,
        /// What to use in its place.
        instead: Option<String>,
    },
    /// The registry does not have the image.
    #[error("{image} is not in its registry")]
    Missing {
        /// The image.
        image: String,
    },
    /// The stage before was not checked with the image.
    #[error("stage {before} was not checked with {digest}")]
    Unchecked {
        /// The deployment.
        deployment: DeploymentName,
        /// The stage before.
        before: StageName,
        /// The image.
        digest: Digest,
    },
    /// The stage before was checked, and failed.
    #[error("the check of stage {before} failed with {digest}: {reason}")]
    CheckFailed {
        /// The deployment.
        deployment: DeploymentName,
        /// The stage before.
        before: StageName,
        /// The image.
        digest: Digest,
        /// What failed.
        reason: String,
    },
    /// A stage ran no other image before.
    #[error("stage {stage} ran no other image than {image}, as far as git knows")]
    NothingBefore {
        /// The stage.
        stage: StageName,
        /// What it runs.
        image: String,
    },
    /// After the edit the stage would run something else than was meant.
    #[error("{field} would hold {found} after the edit of {}", .path.display())]
    Overridden {
        /// The field.
        field: String,
        /// What it would hold.
        found: String,
        /// The file that was edited.
        path: PathBuf,
    },
    /// There is a branch of the promotion's name with something else.
    #[error("there is a branch {branch} already")]
    BranchTaken {
        /// The branch.
        branch: String,
    },
    /// There is a branch of the promotion's name with something else, where it is to be pushed.
    #[error("origin has a branch {branch} already, with another change")]
    BranchTakenThere {
        /// The branch.
        branch: String,
    },
    /// There is nowhere to push to.
    #[error("there is no remote origin to push to")]
    NoOrigin,
    /// The first stage was given no image, and none is known.
    #[error("{deployment} has no mission whose image could go into its first stage, {stage}")]
    NoMission {
        /// The deployment.
        deployment: DeploymentName,
        /// Its first stage.
        stage: StageName,
    },
}

impl Explained for DeployError {
    fn kind(&self) -> Kind {
        match self {
            Self::Deployment(error) => error.kind(),
            Self::Git(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::Push { source, .. } => source.kind(),
            Self::Refused(_) | Self::Withheld(_) => Kind::Refused,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Deployment(error) => error.hint(),
            Self::Git(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Push { source, .. } => Some(match source.kind() {
                Kind::Temporary => TRY_AGAIN.to_owned(),
                _ => "without --push the branch stays here, to be pushed by hand".to_owned(),
            }),
            Self::Refused(refusal) => Some(refusal.way_out()),
            Self::Withheld(withheld) => Some(withheld.way_out()),
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Deployment(error) => error.place(),
            _ => None,
        }
    }
}

impl Refusal {
    /// What a person can do about it.
    #[must_use]
    pub fn way_out(&self) -> String {
        match self {
            Self::NoBranch { branch, .. } => format!("`git fetch origin {branch}` gets it, if it is there"),
            Self::Parted { branch, .. } => {
                format!("bring them together: `git switch {branch}` and `git pull --rebase`")
            }
            Self::Uncommitted { paths } => {
                let more = paths.len().saturating_sub(1);
                let others = if more == 0 {
                    String::new()
                } else {
                    format!(" ({more} more are not either)")
                };
                format!("commit or stash it first{others}: what is promoted and deployed is what git knows")
            }
            Self::NoImage { .. } => "write the field once by hand, as a text or as a map with name and tag".to_owned(),
            Self::Unpinned { stage, .. } => {
                format!("promote into {stage} first: floe writes the digest behind the tag")
            }
            Self::Mixed { .. } => {
                "promote into the stage once: floe writes the same image to all of its fields".to_owned()
            }
            Self::OutOfOrder { before, .. } => format!("promote it into {before} first, and check it there"),
            Self::Recalled {
                instead: Some(instead), ..
            } => format!("use {instead} instead"),
            Self::Recalled { .. } => "build and test a new one".to_owned(),
            Self::Missing { .. } => "push it first; `floe wait DEPLOYMENT STAGE` waits until it is there".to_owned(),
            Self::Unchecked { deployment, before, .. } => {
                format!("`floe check {deployment} {before}` runs the tests of the stage")
            }
            Self::CheckFailed { deployment, before, .. } => {
                format!("mend it, promote the new image into {before}, and run `floe check {deployment} {before}`")
            }
            Self::NothingBefore { .. } => "`--to DIGEST` names the image to go back to".to_owned(),
            Self::Overridden { .. } => {
                "another file of the stage decides what it holds: `floe config DEPLOYMENT STAGE` tells which".to_owned()
            }
            Self::BranchTaken { branch } => {
                format!("somebody promotes already, or did: review it, or remove it by `git branch -D {branch}`")
            }
            Self::BranchTakenThere { branch } => {
                format!("review that one first, or remove it by `git push origin --delete {branch}`")
            }
            Self::NoOrigin => "`git remote add origin ADDRESS` names it".to_owned(),
            Self::NoMission { .. } => "`--image REPOSITORY@DIGEST` names the image".to_owned(),
        }
    }
}
