//! What floe keeps on disks, and what of it nobody needs any more.
//!
//! Only what carries floe's own labels, or lies in `.floe/`, is ever named or removed. An image that is what a mission's files
//! come to now stays, and so does what it extends. An engine may serve several repositories, of whose files nothing is known
//! here: images of missions that this one does not have stay unless they are named.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{WorkflowError, Workplace};
use crate::builder::rootfs;
use crate::engine::{Container, Engine, HeldImage, SharedProgram};
use crate::image::label;
use crate::plan::Base;
use crate::process::Owner;
use crate::reference::{Digest, MissionName};
use crate::run::log;
use crate::run::store::{self, LOG};
use crate::run::whereabouts;
use crate::state::FileError;
use crate::trial;

/// What is to stay.
#[derive(Debug, Clone, Default)]
pub struct Keep {
    /// The missions that images are looked at of; all, if empty.
    pub missions: Vec<MissionName>,
    /// Images and runs that are younger.
    pub younger: Option<Duration>,
    /// So many of the newest runs; all, if nothing says how many or how old.
    pub runs: Option<usize>,
    /// Whether what missions share stays: images that those of other repositories may extend.
    pub shared: bool,
    /// Whether floe's caches in `.floe/` stay.
    pub caches: bool,
}

/// Something that floe keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Held {
    /// What kind of thing it is.
    pub kind: HeldKind,
    /// Its name.
    pub name: String,
    /// The mission that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mission: Option<String>,
    /// The bytes that its removal frees; of an image, those that no other shares.
    pub bytes: u64,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<Timestamp>,
    /// Why it stays; `None` where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stays: Option<&'static str>,
    #[serde(skip)]
    what: What,
}

/// A kind of what floe keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldKind {
    /// An image.
    Image,
    /// A container of a call that was killed.
    Container,
    /// A volume of floe's own program.
    Volume,
    /// The directory of a test run.
    Run,
    /// What was downloaded.
    Cache,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Image { id: Digest, tags: Vec<String> },
    Container(String),
    Volume(String),
    Directory(PathBuf),
}

/// Everything that floe keeps here, and whether it goes. `engine` is left out where none answers.
pub async fn held(workplace: &Workplace, keep: &Keep) -> Result<(Vec<Held>, Option<u64>), WorkflowError> {
    let mut held = Vec::new();
    let engine = workplace.engine().await?;
    let holdings = engine.holdings().await?;
    let needed = needed(workplace, engine).await?;
    let missions = workplace.repository.missions();
    let now = Timestamp::now();
    let is_young = |made: Option<Timestamp>| {
        let age = made.map(|made| now.duration_since(made).unsigned_abs());
        keep.younger.is_some_and(|limit| age.is_some_and(|age| age < limit))
    };
    let own =
        |image: &&HeldImage| image.labels.contains_key(label::INPUT_DIGEST) || image.labels.contains_key(label::FREEZE);
    for image in holdings.images.iter().filter(own) {
        let mission = image.labels.get(label::MISSION).cloned();
        let named = |name: &&MissionName| Some(name.as_str()) == mission.as_deref();
        let asked = keep.missions.is_empty() || keep.missions.iter().any(|name| named(&name));
        let known = missions.iter().chain(&keep.missions).any(|name| named(&name));
        let stays = match () {
            () if !asked => Some("not asked for"),
            () if needed.contains(&image.id) => Some("what the files come to now"),
            () if image.containers > 0 => Some("a container is of it"),
            () if mission.is_some() && !known => Some("a mission of another repository"),
            () if mission.is_none() && keep.shared => Some("other repositories may extend it (--shared)"),
            () if is_young(image.created) => Some("young"),
            () => None,
        };
        let id = image.id.short().to_owned();
        held.push(Held {
            kind: HeldKind::Image,
            name: image
                .tags
                .iter()
                .find(|tag| *tag != "<none>:<none>")
                .cloned()
                .unwrap_or(id),
            mission,
            bytes: image.own,
            made: image.created,
            stays,
            what: What::Image {
                id: image.id.clone(),
                tags: image.tags.iter().filter(|tag| is_tag(tag)).cloned().collect(),
            },
        });
    }
    held.extend(containers(engine).await?);
    let agent = SharedProgram::of(&workplace.agent)?.name;
    for volume in holdings
        .volumes
        .into_iter()
        .filter(|volume| volume.labels.contains_key(label::AGENT))
    {
        let stays = match () {
            () if volume.name == agent => Some("this floe's own program"),
            () if volume.containers > 0 => Some("a container has it"),
            () => None,
        };
        held.push(Held {
            kind: HeldKind::Volume,
            name: volume.name.clone(),
            mission: None,
            bytes: volume.size,
            made: None,
            stays,
            what: What::Volume(volume.name),
        });
    }
    held.extend(runs(workplace, keep, is_young)?);
    held.extend(caches(workplace, keep));
    // What goes first, the largest of each kind before the others.
    held.sort_by_key(|held| (held.stays.is_some(), held.kind, std::cmp::Reverse(held.bytes)));
    Ok((held, Some(holdings.cache)))
}

/// Removes what goes. Returns how many bytes that freed.
pub async fn prune(workplace: &Workplace, held: &[Held]) -> Result<u64, WorkflowError> {
    let engine = workplace.engine().await?;
    let mut freed = 0;
    // Containers first, whose images and volumes may go, too; and missions' images before what they extend.
    let mut going = held.iter().filter(|held| held.stays.is_none()).collect::<Vec<_>>();
    going.sort_by_key(|held| (held.kind != HeldKind::Container, held.mission.is_none()));
    for held in going {
        match &held.what {
            What::Image { id, tags } => {
                for tag in tags {
                    engine.remove_tag(tag).await?;
                }
                if tags.is_empty() {
                    engine.remove_image(id).await?;
                }
            }
            What::Container(id) => engine.remove(&Container { id: id.clone() }).await?,
            What::Volume(name) => engine.remove_volume(name).await?,
            What::Directory(path) => fs::remove_dir_all(path).map_err(FileError::of(path))?,
        }
        freed += held.bytes;
    }
    Ok(freed)
}

/// Whether this is a tag, and not the engine's word for none.
fn is_tag(text: &str) -> bool {
    !text.contains("<none>")
}

/// The images that the files of all missions come to now, with all that they extend.
async fn needed(workplace: &Workplace, engine: &dyn Engine) -> Result<BTreeSet<Digest>, WorkflowError> {
    let mut needed = BTreeSet::new();
    let missions = workplace.repository.missions();
    let mut plans = Vec::new();
    for mission in missions.chunks(1).chain([&[][..]]) {
        // One whose definition is broken has images that may be wanted again: what it was last built from stays.
        if let Ok(plan) = workplace.plan(mission) {
            plans.push(plan);
        }
    }
    for plan in &plans {
        if let Base::Rootfs(base) = &plan.base
            && let Some(image) = engine.image(&rootfs::tag(base).to_string()).await?
        {
            needed.insert(image.id);
        }
        for image in &plan.images {
            let Some(inputs) = workplace.state.inputs(&image.role) else {
                continue;
            };
            let last = image.role.tag(inputs.digest().short()).to_string();
            needed.extend(engine.image(&last).await?.map(|image| image.id));
        }
    }
    Ok(needed)
}

/// The containers of calls, and whether those have ended, as far as this process can know.
async fn containers(engine: &dyn Engine) -> Result<Vec<Held>, WorkflowError> {
    let owner = Owner::current();
    let found = engine.containers(label::OWNER).await?.into_iter();
    let held = found.map(|found| Held {
        kind: HeldKind::Container,
        name: match found.labels.get(label::RUN) {
            Some(run) => run.clone(),
            // As people know it from `docker ps`.
            None => found.id.chars().take(12).collect(),
        },
        mission: found.labels.get(label::MISSION).cloned(),
        bytes: 0,
        made: found.labels.get(label::STARTED).and_then(|text| text.parse().ok()),
        stays: (!trial::is_abandoned(&found.labels, &owner)).then_some("its call may go on"),
        what: What::Container(found.id),
    });
    Ok(held.collect())
}

fn runs(
    workplace: &Workplace,
    keep: &Keep,
    is_young: impl Fn(Option<Timestamp>) -> bool,
) -> Result<Vec<Held>, WorkflowError> {
    let limited = keep.runs.is_some() || keep.younger.is_some();
    let directories = store::all(&workplace.state.runs_directory())?;
    let held = directories.into_iter().enumerate().map(|(index, directory)| {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let made = fs::metadata(directory.join(LOG))
            .and_then(|about| about.modified())
            .ok();
        let made = made.and_then(|made| Timestamp::try_from(made).ok());
        let stays = match () {
            () if log::is_written(&directory.join(LOG)) => Some("it goes on"),
            () if whereabouts::is_away(&directory) => Some("it was left to a cluster"),
            () if !limited => Some("nothing says how many are enough"),
            () if keep.runs.is_some_and(|number| index < number) => Some("one of the newest"),
            () if is_young(made) => Some("young"),
            () => None,
        };
        Held {
            kind: HeldKind::Run,
            mission: name.split('-').nth(1).map(str::to_owned),
            bytes: bytes_below(&directory),
            name,
            made,
            stays,
            what: What::Directory(directory),
        }
    });
    Ok(held.collect())
}

fn caches(workplace: &Workplace, keep: &Keep) -> Option<Held> {
    let directory = workplace.state.cache();
    directory.is_dir().then(|| Held {
        kind: HeldKind::Cache,
        name: workplace.repository.relative(&directory).display().to_string(),
        mission: None,
        bytes: bytes_below(&directory),
        made: None,
        stays: keep.caches.then_some("what it saves is downloaded or made again"),
        what: What::Directory(directory),
    })
}

/// The bytes of all files below a directory.
fn bytes_below(directory: &Path) -> u64 {
    let files = walkdir::WalkDir::new(directory).into_iter().flatten();
    let files = files.filter_map(|entry| entry.metadata().ok());
    files.filter(fs::Metadata::is_file).map(|about| about.len()).sum()
}
