//! What a stage ran before, from git's history.

use std::path::Path;

use super::error::DeployError;
use super::standing::{self, Tree};
use crate::deployment::{Deployment, Held, Stage};
use crate::git;
use crate::reference::Digest;

/// More commits of one stage than this are not looked through.
const MOST_COMMITS: usize = 500;

/// An image that a stage ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The image.
    pub image: Held,
    /// Its digest.
    pub digest: Digest,
    /// The commit that brought it.
    pub commit: String,
    /// When that was made, in seconds since 1970.
    pub time: i64,
}

/// The images that a stage ran, by the commits up to `tip`, the last one first, until `enough` says so. Only what was
/// named by a digest counts; one that was there for several commits comes once, with the first of them.
pub fn images(
    root: &Path,
    deployment: &Deployment,
    stage: &Stage,
    tip: &str,
    enough: impl Fn(&[Ran]) -> bool,
) -> Result<Vec<Ran>, DeployError> {
    let files = standing::files(deployment, stage);
    let mut ran: Vec<Ran> = Vec::new();
    for past in git::history(root, tip, &files, MOST_COMMITS)? {
        // What was no valid file then ran nowhere.
        let values = standing::config(root, Tree::Commit(&past.commit), deployment, stage);
        let image = values.and_then(|merged| standing::image(&merged.values, deployment, stage));
        let Ok(Some(image)) = image else {
            continue;
        };
        let Some(digest) = image.digest.clone() else {
            continue;
        };
        match ran.last_mut() {
            Some(last) if last.digest == digest => (last.commit, last.time) = (past.commit, past.time),
            _ => {
                if enough(&ran) {
                    break;
                }
                ran.push(Ran {
                    image,
                    digest,
                    commit: past.commit,
                    time: past.time,
                });
            }
        }
    }
    Ok(ran)
}
