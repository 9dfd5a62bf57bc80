//! A promotion as data: which image goes into which file of which branch. Nothing is written before it is carried out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{DeployError, Refusal};
use super::standing::{self, Tree};
use crate::deployment::{Deployment, DeploymentError, Held, Layout, Stage, edits, held};
use crate::git::remote::{self, RemoteError};
use crate::git::{self, NewCommit};
use crate::reference::{Digest, ImageReference, ImageTag, ReferenceError};
use crate::values;

/// An image that a stage is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its repository and a tag of it, for people.
    pub tag: ImageTag,
    /// The digest, which decides.
    pub digest: Digest,
}

impl Target {
    /// The reference by which it is pulled.
    pub fn reference(&self) -> Result<ImageReference, ReferenceError> {
        format!("{}@{}", self.tag.repository, self.digest).parse()
    }
}

/// What a promotion or a rollback changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// The commit that the stage's files are taken from.
    pub parent: String,
    /// What the stage runs before, if its files name an image.
    pub before: Option<Held>,
    /// What it runs afterwards.
    pub target: Target,
    /// The file that is edited, below the root.
    pub path: PathBuf,
    /// Its text before.
    pub old: String,
    /// Its text afterwards.
    pub new: String,
    /// The branch that the commit is made on.
    pub branch: String,
    /// What the commit says.
    pub message: String,
}

/// Why an image goes into a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It goes forward.
    Promote,
    /// It comes back.
    RollBack,
}

impl Cause {
    /// The word of the command line for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::RollBack => "rollback",
        }
    }
}

/// Plans to have `stage` run `target`. `None` if it does already.
pub fn plan(
    root: &Path,
    deployment: &Deployment,
    stage: &Stage,
    target: Target,
    cause: Cause,
) -> Result<Option<Promotion>, DeployError> {
    let layout = Layout(&deployment.name);
    let paths = git::uncommitted(root, &[layout.directory(), deployment.chart.clone()])?;
    if !paths.is_empty() {
        return Err(Refusal::Uncommitted { paths }.into());
    }
    let parent = standing::tip(root, stage)?;
    let tree = Tree::Commit(&parent);
    // What several fields hold may differ before: they hold the same afterwards.
    let merged = standing::config(root, tree, deployment, stage)?.values;
    let before = deployment
        .images
        .iter()
        .find_map(|field| held(&merged, field).transpose())
        .transpose()?;
    let path = layout.config(&stage.name);
    let old = tree.read(root, std::slice::from_ref(&path))?.remove(0);
    let old = old.ok_or_else(|| DeploymentError::FieldAbsent {
        path: path.clone(),
        field: deployment.images[0].clone(),
    })?;
    let file: Arc<Path> = Arc::from(path.as_path());
    let own = values::read(&old, &file).map_err(DeploymentError::from)?;
    let mut all = Vec::new();
    for field in &deployment.images {
        all.extend(edits(&own, &path, field, &target.tag, &target.digest)?);
    }
    let new = values::edited(&old, &file, &all).map_err(DeploymentError::from)?;
    if new == old {
        return Ok(None);
    }
    let edited = values::read(&new, &file).map_err(DeploymentError::from)?;
    // The name may stand in another file of the stage, and a secret may have the last word.
    let mut layers = standing::layers(root, tree, deployment, stage)?;
    layers.own[1] = edited;
    let merged = values::merged(&layers.chart, &layers.own).values;
    for field in &deployment.images {
        let found = held(&merged, field)?;
        let right = found.as_ref().is_some_and(|held| {
            held.repository == target.tag.repository && held.digest.as_ref() == Some(&target.digest)
        });
        if !right {
            return Err(Refusal::Overridden {
                field: field.to_string(),
                found: found.map_or_else(|| "nothing".to_owned(), |held| held.reference()),
                path,
            }
            .into());
        }
    }
    let branch = format!(
        "floe/{}/{}-{}-{}",
        cause.word(),
        deployment.name,
        stage.name,
        target.digest.short()
    );
    let message = message(deployment, stage, before.as_ref(), &target, cause);
    Ok(Some(Promotion {
        parent,
        before,
        target,
        path,
        old,
        new,
        branch,
        message,
    }))
}

fn message(deployment: &Deployment, stage: &Stage, before: Option<&Held>, target: &Target, cause: Cause) -> String {
    let (name, stage_name, tag) = (&deployment.name, &stage.name, &target.tag.tag);
    let subject = match cause {
        Cause::Promote => format!("{name}: promote {tag} to {stage_name}"),
        Cause::RollBack => format!("{name}: roll {stage_name} back to {tag}"),
    };
    let was = before.map_or_else(|| "no image".to_owned(), Held::reference);
    let why = match (&stage.from, cause) {
        (Some(from), Cause::Promote) => format!("It is what {from} runs."),
        (None, Cause::Promote) => "It is what was pushed.".to_owned(),
        (_, Cause::RollBack) => format!("It is what {stage_name} ran before."),
    };
    format!(
        "{subject}\n\n{why}\n\nImage: {}@{}\nBefore: {was}\n",
        target.tag, target.digest
    )
}

/// Makes the commit of a promotion, on its own branch. Returns its hash. What is checked out stays as it is.
///
/// With `push` the branch goes to `origin` first: one that is not taken there is not made here either, and a call that is
/// killed leaves nothing that the next one would stumble over.
pub fn commit(root: &Path, promotion: &Promotion, push: bool) -> Result<String, DeployError> {
    let branch = &promotion.branch;
    if git::has_branch(root, branch) {
        return Err(Refusal::BranchTaken { branch: branch.clone() }.into());
    }
    let made = git::commit_beside(
        root,
        &NewCommit {
            parent: &promotion.parent,
            files: &[(promotion.path.clone(), promotion.new.clone())],
            message: &promotion.message,
        },
    )?;
    let hash = if push { pushed(root, branch, made)? } else { made };
    git::make_branch(root, branch, &hash)?;
    if push {
        git::standing::remember(root, branch, &hash)?;
    }
    Ok(hash)
}

/// Pushes a commit to a branch of `origin`. Returns the commit that the branch is at: one that makes the same change may be
/// there already, by another machine or a call that was killed.
fn pushed(root: &Path, branch: &str, commit: String) -> Result<String, DeployError> {
    let failed = |source: RemoteError| DeployError::Push {
        branch: branch.to_owned(),
        source,
    };
    let address = git::standing::pushed_to(root).ok_or(Refusal::NoOrigin)?;
    match remote::push(root, &address, &commit, branch, &[]) {
        Ok(()) => Ok(commit),
        Err(RemoteError::Moved { .. }) => {
            let there = remote::fetch(root, &address, branch, &[]).map_err(failed)?;
            let same = there.filter(|there| git::is_the_same_change(root, there, &commit));
            let branch = branch.to_owned();
            Ok(same.ok_or(Refusal::BranchTakenThere { branch })?)
        }
        Err(error) => Err(failed(error)),
    }
}
