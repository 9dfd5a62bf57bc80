//! Promoting: the image that the stage before runs goes into a stage's files, past every gate, as a commit.

use std::path::PathBuf;

use bytes::Bytes;

use super::push::registry;
use super::{WorkflowError, Workplace, checked};
use crate::attest::{self, Keys};
use crate::deploy::{self, Cause, Known, Promotion, PullRequest, Refusal, Target, Tree};
use crate::deployment::{Deployment, Held, Stage};
use crate::reference::{ImageReference, ImageTag};
use crate::registry::Registry as _;
use crate::sbom;
use crate::state;

/// What to promote.
#[derive(Debug, Clone, Copy)]
pub struct Promote<'a> {
    /// The image, `REPOSITORY:TAG@DIGEST`, for the first stage; otherwise that of the stage before counts.
    pub image: Option<&'a str>,
    /// How far to go.
    pub extent: Extent,
}

/// How far a promotion or a rollback goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Nothing is done; what would be is said.
    Plan,
    /// A commit is made on a branch of its own.
    Commit,
    /// The branch is pushed to `origin`, too.
    Push,
}

/// What became of a promotion or a rollback.
#[derive(Debug, Clone)]
pub enum Moved {
    /// The stage has the image already.
    Already(Target),
    /// This would be done.
    Planned(Box<Promotion>, String),
    /// It was committed.
    Committed {
        /// What was done.
        promotion: Box<Promotion>,
        /// The commit.
        commit: String,
        /// Whether `origin` has it, too.
        pushed: bool,
        /// The file with the text of the pull request.
        text: PathBuf,
    },
}

/// Promotes into a stage.
pub async fn promote(
    workplace: &Workplace,
    deployment: &Deployment,
    stage: &Stage,
    options: Promote<'_>,
) -> Result<Moved, WorkflowError> {
    let root = workplace.repository.root();
    let (target, before) = match deployment.before(stage) {
        Some(before) => {
            if options.image.is_some() {
                let (stage, before) = (stage.name.clone(), before.name.clone());
                return Err(Refusal::OutOfOrder { stage, before }.into());
            }
            let target = running(workplace, deployment, before)?;
            (target, Some(before))
        }
        None => (pushed(workplace, deployment, stage, options.image).await?, None),
    };
    let Some(promotion) = deploy::plan(root, deployment, stage, target.clone(), Cause::Promote)? else {
        return Ok(Moved::Already(target));
    };
    deploy::admit(&target.digest, &deploy::recalled(root)?)?;
    let image = proven(workplace, &target, promotion.before.as_ref()).await?;
    let mut checked = None;
    if let Some(before) = before {
        let last = checked::last(workplace, &target, &deployment.name, &before.name).await?;
        deploy::passed(last.as_ref(), &deployment.name, &before.name, &target.digest)?;
        checked = last.map(|last| (&before.name, last));
    }
    let facts = PullRequest {
        deployment,
        stage,
        promotion: &promotion,
        cause: Cause::Promote,
        image,
        checked: checked.as_ref().map(|(before, checked)| (*before, checked)),
    };
    carry_out(workplace, promotion.clone(), facts.text(), options.extent)
}

/// Makes the commit of a promotion and writes the text of its pull request, or says what would be done.
pub(super) fn carry_out(
    workplace: &Workplace,
    promotion: Promotion,
    text: String,
    extent: Extent,
) -> Result<Moved, WorkflowError> {
    let promotion = Box::new(promotion);
    if extent == Extent::Plan {
        return Ok(Moved::Planned(promotion, text));
    }
    let path = workplace.state.promotion(&promotion.branch);
    let was_there = path.exists();
    state::write_text(&path, &text)?;
    let pushed = extent == Extent::Push;
    let made = deploy::commit(workplace.repository.root(), &promotion, pushed);
    if made.is_err() && !was_there {
        // There is nothing that it would be the text of.
        let _ = std::fs::remove_file(&path);
    }
    let commit = made?;
    Ok(Moved::Committed {
        promotion,
        commit,
        pushed,
        text: path,
    })
}

/// The image that a stage's files name, which must be pinned.
fn running(workplace: &Workplace, deployment: &Deployment, stage: &Stage) -> Result<Target, WorkflowError> {
    let root = workplace.repository.root();
    let tip = deploy::tip(root, stage)?;
    let values = deploy::config(root, Tree::Commit(&tip), deployment, stage)?.values;
    let held = deploy::image(&values, deployment, stage)?.ok_or_else(|| Refusal::NoImage {
        stage: stage.name.clone(),
        field: deployment.images[0].to_string(),
    })?;
    pinned(&held).ok_or_else(|| {
        let (stage, image) = (stage.name.clone(), held.reference());
        Refusal::Unpinned { stage, image }.into()
    })
}

/// An image that is named by its digest.
pub(super) fn pinned(held: &Held) -> Option<Target> {
    let digest = held.digest.clone()?;
    // Whoever wrote the digest alone gets its first digits as the tag that people see.
    let tag = held.tag.clone().unwrap_or_else(|| digest.short().to_owned());
    Some(Target {
        tag: ImageTag {
            repository: held.repository.clone(),
            tag,
        },
        digest,
    })
}

/// The image for a first stage: the one that is named, or the mission's as it was built and pushed.
async fn pushed(
    workplace: &Workplace,
    deployment: &Deployment,
    stage: &Stage,
    image: Option<&str>,
) -> Result<Target, WorkflowError> {
    if let Some(image) = image {
        return named(workplace, image).await;
    }
    let Some(mission) = &deployment.mission else {
        return Err(Refusal::NoMission {
            deployment: deployment.name.clone(),
            stage: stage.name.clone(),
        }
        .into());
    };
    let base = workplace.settings.registry.as_ref().ok_or(WorkflowError::NoRegistry)?;
    let plan = workplace.plan(std::slice::from_ref(mission))?;
    let built = workplace.built(&plan).await?;
    let image = super::workplace::image_of(&plan, &built, mission);
    let tag = base.tag(mission, &image.reference.tag);
    let (registry, _) = registry(workplace, &base.host())?;
    let found = registry.manifest(&tag.reference()).await?;
    match found.filter(|manifest| manifest.is(&image.id)) {
        Some(manifest) => Ok(Target {
            tag,
            digest: manifest.digest,
        }),
        None => Err(Refusal::Missing { image: tag.to_string() }.into()),
    }
}

/// The image of this name, whose digest is looked up where none is given.
async fn named(workplace: &Workplace, image: &str) -> Result<Target, WorkflowError> {
    let reference = image.parse::<ImageReference>()?;
    let (registry, _) = registry(workplace, &reference.registry())?;
    let found = registry.manifest(&reference).await?;
    let missing = || Refusal::Missing {
        image: image.to_owned(),
    };
    let digest = found.ok_or_else(missing)?.digest;
    let named = image.split_once('@').map_or(image, |(named, _)| named);
    let (repository, tag) = match named.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag.to_owned()),
        _ => (named, digest.short().to_owned()),
    };
    Ok(Target {
        tag: ImageTag {
            repository: repository.to_owned(),
            tag,
        },
        digest,
    })
}

/// Refuses an image that its registry does not have, or of which no evidence there says that it passed its tests. Returns
/// what is known of it, and of the one before it.
pub(super) async fn proven(
    workplace: &Workplace,
    target: &Target,
    before: Option<&Held>,
) -> Result<Known, WorkflowError> {
    let reference = target.reference()?;
    let (registry, _) = registry(workplace, &reference.registry())?;
    let manifest = registry.manifest(&reference).await?;
    let manifest = manifest.ok_or_else(|| Refusal::Missing {
        image: reference.to_string(),
    })?;
    let keys = Keys::of(workplace.settings.signing.verify.as_deref())?;
    let proof = attest::proof(&registry, &reference, &keys).await?;
    let bill = attest::bill(&registry, &reference, &keys).await?;
    let before = match before.and_then(pinned) {
        Some(before) => earlier(workplace, &before, &keys).await,
        None => None,
    };
    let (size, old) = before.unzip();
    let packages = bill
        .zip(old.flatten())
        .and_then(|(now, old)| sbom::differences(&old, &now));
    Ok(Known {
        tested: Some((proof.statement.tests().count(), proof.statement.run().to_owned())),
        signer: proof.signer.map(|key| key.short().to_owned()),
        size: (size, Some(manifest.size)),
        packages,
    })
}

/// The size of an earlier image, and its bill of materials. What is gone, or in a registry that does not answer, is not
/// known: it decides nothing.
async fn earlier(workplace: &Workplace, image: &Target, keys: &Keys) -> Option<(u64, Option<Bytes>)> {
    let reference = image.reference().ok()?;
    let (registry, _) = registry(workplace, &reference.registry()).ok()?;
    let manifest = registry.manifest(&reference).await.ok()??;
    let bill = attest::bill(&registry, &reference, keys).await.ok()?;
    Some((manifest.size, bill))
}
