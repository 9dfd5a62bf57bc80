//! What stages of deployments run, and how that changes: the gates, the edit, the commit.

mod checked;
mod error;
mod gate;
mod guard;
mod past;
mod promotion;
mod pull_request;
mod recalled;
mod shared;
mod standing;

pub use self::checked::{Checked, CheckedTest, passed};
pub use self::error::{DeployError, Refusal};
pub use self::gate::Withheld;
pub use self::guard::{Guarded, guarded};
pub use self::past::{Ran, images};
pub use self::promotion::{Cause, Promotion, Target, commit, plan};
pub use self::pull_request::{Known, PullRequest};
pub use self::recalled::{Recall, admit, recalled};
pub use self::shared::{Secrets, shared};
pub use self::standing::{Tree, config, files, image, known_config, tip};

#[cfg(test)]
mod tests;
