//! Pushing: where images go, with what credentials, and what happens where no registry is set.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::choose::demand;
use super::{Interrupts, WorkflowError, Workplace, temporary};
use crate::attest::Keys;
use crate::builder::Built;
use crate::dsse::SigningKey;
use crate::engine::Credentials;
use crate::event::Event;
use crate::gate::{self, Subject};
use crate::git;
use crate::inventory;
use crate::layers::{Packing, Shelf};
use crate::plan::{BuildPlan, FrozenFile};
use crate::publish::{self, Published, Request};
use crate::reference::{ImageTag, MissionName, RegistryHost};
use crate::registry::Remote;
use crate::repository::Repository;
use crate::spec::changes::Changes;
use crate::spec::frozen::Frozen;
use crate::state::FileError;

/// What became of an image that was to be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// It stays on this machine under this tag, since no registry is set.
    Stays(ImageTag),
    /// The registry has it.
    Arrived(ImageTag, Published),
}

/// Pushes the images of `missions`, as they were built. Without a registry there is nowhere to push to.
pub async fn push(
    workplace: &Workplace,
    missions: &[MissionName],
    interrupts: &Interrupts,
    mut pushed: impl FnMut(&Built, Pushed),
) -> Result<(), WorkflowError> {
    if workplace.settings.registry.is_none() {
        return Err(WorkflowError::NoRegistry);
    }
    let plan = workplace.plan(missions)?;
    let built = workplace.built(&plan).await?;
    for mission in missions {
        let image = super::workplace::image_of(&plan, &built, mission);
        publish::evidence(&image.role, &image.id, &demand(workplace, mission)?, &workplace.state)?;
    }
    admitted(workplace, missions).await?;
    let key = signing_key(workplace)?;
    for mission in missions {
        let image = super::workplace::image_of(&plan, &built, mission);
        pushed(
            image,
            one(workplace, &plan, mission, image, key.as_ref(), interrupts).await?,
        );
    }
    Ok(())
}

/// Pushes the image of one mission, if it has evidence. Without a registry the image stays where it is.
pub(super) async fn one(
    workplace: &Workplace,
    plan: &BuildPlan,
    mission: &MissionName,
    image: &Built,
    key: Option<&SigningKey>,
    interrupts: &Interrupts,
) -> Result<Pushed, WorkflowError> {
    let demand = demand(workplace, mission)?;
    let settings = &workplace.settings;
    let Some(base) = &settings.registry else {
        publish::evidence(&image.role, &image.id, &demand, &workplace.state)?;
        return Ok(Pushed::Stays(image.reference.clone()));
    };
    let target = base.tag(mission, &image.reference.tag);
    publish::evidence(&image.role, &image.id, &demand, &workplace.state)?;
    let index = plan
        .images
        .iter()
        .position(|image| image.role.mission() == Some(mission));
    let index = index.expect("a plan for missions holds an image of each");
    let (engine, display) = (workplace.engine().await?, workplace.display());
    let Workplace { repository, state, .. } = workplace;
    let file = inventory::bill(plan, index, image, repository, engine, state, &workplace.agent).await?;
    let bill = fs::read(&file).map_err(FileError::of(&file))?;
    let (registry, credentials) = registry(workplace, &base.host())?;
    let packing = packing(workplace);
    let request = Request {
        role: &image.role,
        id: &image.id,
        demand: &demand,
        target: target.clone(),
        tags: &settings.tags,
        credentials,
        sbom: Some(&bill),
        key,
        packing: packing.as_ref(),
        agent: &workplace.agent,
        pauses: publish::PAUSES,
    };
    let sending = async {
        let frozen = &plan.images[index].frozen;
        pass_gates(workplace, mission, image, frozen, &file).await?;
        let published = publish::publish(request, engine, &registry, state, display.as_ref()).await?;
        Ok(Pushed::Arrived(target, published))
    };
    tokio::select! {
        sent = sending => sent,
        // The gates' programs end with it, and the next push goes on with what has arrived.
        how = interrupts.first() => {
            temporary::sweep(engine).await;
            Err(WorkflowError::Interrupted(how))
        }
    }
}

/// Lets the site's own gates look at an image that is to be pushed, and at its bill of materials.
async fn pass_gates(
    workplace: &Workplace,
    mission: &MissionName,
    image: &Built,
    frozen: &[FrozenFile],
    bill: &Path,
) -> Result<(), WorkflowError> {
    let Workplace {
        repository, settings, ..
    } = workplace;
    if settings.gates.is_empty() {
        return Ok(());
    }
    let changes = tempfile::Builder::new()
        .prefix("floe-changes-")
        .suffix(".json")
        .tempfile();
    let changes = changes.map_err(FileError::of(&std::env::temp_dir()))?;
    let text = changes_of(repository, mission, frozen).to_string();
    fs::write(changes.path(), text).map_err(FileError::of(changes.path()))?;
    let subject = Subject {
        id: &image.id,
        reference: &image.reference.to_string(),
        mission,
        sbom: bill,
        changes: changes.path(),
        evidence: &workplace.state.evidence(&image.id),
    };
    let limit = settings.gate_timeout.map_or(Duration::MAX, |limit| limit.0);
    gate::pass(
        &settings.gates,
        subject,
        limit,
        repository.root(),
        workplace.display().as_ref(),
    )
    .await?;
    Ok(())
}

/// How the environments of a mission differ from what was frozen before, by the environment's name.
fn changes_of(repository: &Repository, mission: &MissionName, files: &[FrozenFile]) -> serde_json::Value {
    let mut environments = serde_json::Map::new();
    for file in files {
        let Ok(now) = Frozen::load(&repository.path(&file.path)) else {
            continue;
        };
        let before = before(repository, file).unwrap_or_default();
        let changes = Changes::between(&before, &now).to_json();
        let changes = serde_json::from_str(&changes).unwrap_or_default();
        environments.insert(file.environment.to_string(), changes);
    }
    serde_json::json!({"mission": mission, "environments": environments})
}

/// What was frozen before.
fn before(repository: &Repository, file: &FrozenFile) -> Option<Frozen> {
    let [yml, lock] = file.files();
    let commit = git::before(repository.root(), &yml)?;
    let text = |path: &Path| git::file_in_commit(repository.root(), &commit, path).ok().flatten();
    Frozen::parse(&yml, &text(&yml)?, text(&lock).as_deref()).ok()
}

/// Asks the registry whether it would take a push of each of `missions`, which is better known before hours of work than
/// after them. Without a registry there is nothing to ask.
pub(super) async fn admitted(workplace: &Workplace, missions: &[MissionName]) -> Result<(), WorkflowError> {
    let Some(base) = &workplace.settings.registry else {
        return Ok(());
    };
    let (registry, _) = registry(workplace, &base.host())?;
    for mission in missions {
        registry.admits(&base.tag(mission, "").repository).await?;
    }
    Ok(())
}

/// What signs evidence here, if anything does. To open it takes a moment, so that it is done once. Evidence that the gates of
/// this very site would not believe is told.
pub(super) fn signing_key(workplace: &Workplace) -> Result<Option<SigningKey>, WorkflowError> {
    let signing = &workplace.settings.signing;
    let key = signing
        .key
        .as_deref()
        .map(|path| SigningKey::read(path, &signing.password))
        .transpose()?;
    let required = Keys::of(signing.verify.as_deref())?.verify;
    if required.is_some() && required != key.as_ref().map(SigningKey::public) {
        let how = if key.is_some() {
            "is of another pair of keys"
        } else {
            "is not set"
        };
        let text =
            format!("gates will not believe the evidence of what is pushed: VERIFY_KEY is set, and SIGNING_KEY {how}");
        workplace.display().emit(Event::Warning { text });
    }
    Ok(key)
}

/// How floe pushes layers from here, if it does.
pub(super) fn packing(workplace: &Workplace) -> Option<Packing> {
    workplace.settings.compression.map(|compression| Packing {
        compression,
        shelf: Shelf::at(workplace.state.layers()),
    })
}

/// The registry at `host` as this site reaches it, and the credentials for it.
pub(super) fn registry(
    workplace: &Workplace,
    host: &RegistryHost,
) -> Result<(Remote, Option<Credentials>), WorkflowError> {
    let credentials = (workplace.login)(host);
    let ca = workplace.certificates()?;
    Ok((Remote::new(host, credentials.clone(), ca.as_deref())?, credentials))
}
