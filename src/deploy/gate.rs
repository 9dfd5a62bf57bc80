//! Why a stage is not deployed, checked or destroyed.

use super::guard::Guarded;
use crate::reference::StageName;

/// What keeps a stage from being deployed, checked or destroyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// The account in use is not the one that the stage belongs to.
    #[error("stage {stage} belongs to {expected:?}, and the account in use is {found:?}")]
    OtherAccount {
        /// The stage.
        stage: StageName,
        /// What shows the right account.
        expected: String,
        /// What was shown.
        found: String,
        /// The line that shows it.
        command: String,
    },
    /// Which account is in use cannot be told.
    #[error("stage {stage}: which account is in use is not known: {reason}")]
    AccountUnknown {
        /// The stage.
        stage: StageName,
        /// Why.
        reason: String,
        /// The line that should tell it.
        command: String,
    },
    /// Another state of the files is checked out than the one of the stage.
    #[error("the files of stage {stage} live on {branch}, and what is checked out is another state of them")]
    Elsewhere {
        /// The stage.
        stage: StageName,
        /// Its branch.
        branch: String,
    },
    /// A reconciler cannot see what is not pushed.
    #[error("origin does not have {branch} as it is here, and stage {stage} is deployed from there")]
    NotPushed {
        /// The stage.
        stage: StageName,
        /// The branch.
        branch: String,
    },
    /// The plan that shows what is guarded cannot be read.
    #[error("the guard's plan is none that `tofu show -json` prints: {reason}")]
    NoPlan {
        /// Why.
        reason: String,
    },
    /// Guarded resources would be replaced or destroyed.
    #[error("stage {stage}: {}", listed(.resources))]
    Unsupervised {
        /// The stage.
        stage: StageName,
        /// The resources.
        resources: Vec<Guarded>,
    },
    /// Nobody typed the stage's name.
    #[error("{why}; {}", .typed.as_ref().map_or_else(|| "its name was not typed".to_owned(), |typed| format!("{typed:?} was typed")))]
    Unnamed {
        /// The stage.
        stage: StageName,
        /// Why its name is asked for.
        why: String,
        /// What was typed.
        typed: Option<String>,
    },
    /// A protected stage is never destroyed.
    #[error("stage {stage} is protected: floe never destroys it")]
    Protected {
        /// The stage.
        stage: StageName,
    },
    /// The stage's driver can destroy nothing.
    #[error("stage {stage} has no way to be destroyed: its driver is {driver}")]
    NoWayDown {
        /// The stage.
        stage: StageName,
        /// The driver.
        driver: &'static str,
    },
    /// The stage runs another image than its files name.
    #[error("stage {stage} runs {found}, and its files name {wanted}")]
    RunsOther {
        /// The stage.
        stage: StageName,
        /// What runs.
        found: String,
        /// What its files name.
        wanted: String,
        /// The deployment.
        deployment: String,
    },
}

fn listed(resources: &[Guarded]) -> String {
    let listed = resources.iter().map(ToString::to_string).collect::<Vec<_>>();
    format!("{}, which must be supervised", listed.join(", "))
}

impl Withheld {
    /// What a person can do about it.
    #[must_use]
    pub fn way_out(&self) -> String {
        match self {
            Self::OtherAccount { command, expected, .. } => {
                format!("log in to the right account, until `{command}` prints {expected}")
            }
            Self::AccountUnknown { command, .. } => {
                format!("log in, and see that this line works here: {command}")
            }
            Self::Elsewhere { branch, .. } => {
                format!("`git switch {branch}`, and `git pull` where origin has more")
            }
            Self::NotPushed { branch, .. } => format!("`git push origin {branch}`"),
            Self::NoPlan { .. } => {
                "`guard.plan` is a line that prints a plan as JSON, e.g. tofu plan -out=p >&2 && tofu show -json p"
                    .to_owned()
            }
            Self::Unsupervised { .. } => {
                "choose a time when users can wait, stay with it, and add --supervised; --plan shows all of it"
                    .to_owned()
            }
            Self::Unnamed { stage, .. } => format!("type {stage} when asked, or give --confirm {stage}"),
            Self::Protected { .. } => {
                "where that is really meant, take `protected` out of deployment.yml by a reviewed commit".to_owned()
            }
            Self::NoWayDown { .. } => "give the driver `command` a `destroy` line, or take it down by hand".to_owned(),
            Self::RunsOther { deployment, stage, .. } => {
                format!("`floe wait {deployment} {stage}` waits until it is rolled out")
            }
        }
    }
}
