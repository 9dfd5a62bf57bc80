//! What a call of `floe all` would do: which images, environments and tests are up to date, why the others are not, and what
//! the changes since a commit touch.

use std::path::PathBuf;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use serde::Serialize;

use super::choose::{Asked, choose, demand_of};
use super::{WorkflowError, Workplace};
use crate::builder::survey::{Standing, Surveyed, survey};
use crate::engine::{Engine, Images};
use crate::event::Event;
use crate::git;
use crate::memo::{Fingerprint, Memo};
use crate::plan::{BuildPlan, ImagePlan};
use crate::publish::{self, PublishError};
use crate::reference::{EnvironmentName, MissionName, Role};
use crate::repository;
use crate::run::evidence::Demand;
use crate::state::Task;

/// What would be done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outlook {
    /// The commit since which changes count, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What all missions share: the base image, if floe makes it, and the common image.
    pub shared: Vec<Part>,
    /// The missions, those alone that are touched where a commit was named.
    pub missions: Vec<MissionOutlook>,
    /// How many missions the changes since the commit leave alone.
    pub untouched: usize,
}

/// What would become of a mission.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MissionOutlook {
    /// The mission.
    pub mission: MissionName,
    /// The changed files that touch it, relative to the repository; none where no commit was named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub touched_by: Vec<PathBuf>,
    /// Its image.
    pub image: Part,
    /// Its environments.
    pub environments: Vec<Part>,
    /// Its tests.
    pub tests: Part,
}

/// An image, an environment or the tests of a mission.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Part {
    /// What it is, e.g. `common`, `roman-cal`, `16 tests`.
    pub name: String,
    /// Whether it is as it should be.
    pub state: Freshness,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many seconds it took when it was last done here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// Whether something is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freshness {
    /// Nothing would be done.
    UpToDate,
    /// It would be built, or run.
    Stale,
    /// Its files have not changed, and no engine says more.
    Unknown,
}

impl Part {
    fn new(name: impl Into<String>, state: Freshness, reason: Option<String>) -> Self {
        Self {
            name: name.into(),
            state,
            reason,
            seconds: None,
        }
    }
}

impl MissionOutlook {
    /// Whether `floe all` has something to do for it.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.image.state != Freshness::UpToDate || self.tests.state != Freshness::UpToDate
    }
}

/// What `floe all` would do for these missions; with `since`, for those of them that changes since that commit touch.
pub async fn outlook(
    workplace: &Workplace,
    missions: &[MissionName],
    since: Option<&str>,
) -> Result<Outlook, WorkflowError> {
    let plan = workplace.plan(missions)?;
    let changed = since.map(|name| changed(workplace, name)).transpose()?;
    let engine = match workplace.engine().await {
        Ok(engine) => Some(engine),
        Err(error) => {
            let text = format!("whether images are there is not known: {error}");
            workplace.display().emit(Event::Warning { text });
            None
        }
    };
    let surveyed = survey(&plan, engine.map(images), &workplace.state).await?;
    let mut outlook = Outlook {
        since: since.map(str::to_owned),
        shared: Vec::new(),
        missions: Vec::new(),
        untouched: 0,
    };
    let missions = plan.images.iter().zip(&surveyed).filter_map(|(image, surveyed)| {
        let mission = image.role.mission();
        if mission.is_none() {
            outlook.shared.push(part(workplace, surveyed));
        }
        Some((mission?, image, surveyed))
    });
    let missions = missions.collect::<Vec<_>>();
    let memo = workplace.memo();
    let one = |(mission, image, surveyed): &(&MissionName, &ImagePlan, &Surveyed)| {
        let touched_by = changed.as_deref().map(|changed| touching(&plan, image, changed));
        if touched_by.as_ref().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        Ok(Some(MissionOutlook {
            mission: (*mission).clone(),
            touched_by: touched_by.unwrap_or_default(),
            image: part(workplace, surveyed),
            environments: environments(workplace, mission, surveyed),
            tests: tests(workplace, &memo, mission, surveyed)?,
        }))
    };
    for mission in missions.par_iter().map(one).collect::<Vec<Result<_, WorkflowError>>>() {
        match mission? {
            Some(mission) => outlook.missions.push(mission),
            None => outlook.untouched += 1,
        }
    }
    Ok(outlook)
}

fn images(engine: &dyn Engine) -> &dyn Images {
    engine
}

/// A file that is another than it was, and whether there is one now.
struct Changed {
    path: PathBuf,
    exists: bool,
}

fn changed(workplace: &Workplace, since: &str) -> Result<Vec<Changed>, WorkflowError> {
    let changed = git::changed_since(workplace.repository.root(), since).map_err(|error| WorkflowError::Since {
        reason: error.to_string(),
    })?;
    let changed = changed.into_iter().map(|path| Changed {
        exists: workplace.repository.path(&path).symlink_metadata().is_ok(),
        path,
    });
    Ok(changed.collect())
}

/// The changed files that the image of a mission, or what it extends, is made from.
fn touching(plan: &BuildPlan, image: &ImagePlan, changed: &[Changed]) -> Vec<PathBuf> {
    let mut images = vec![image];
    while let Some(index) = images.last().and_then(|image| image.extends) {
        images.push(&plan.images[index]);
    }
    let reads = |changed: &&Changed| images.iter().any(|image| image.reads(&changed.path, changed.exists));
    changed
        .iter()
        .filter(reads)
        .map(|changed| changed.path.clone())
        .collect()
}

fn part(workplace: &Workplace, surveyed: &Surveyed) -> Part {
    let name = match &surveyed.role {
        Role::Mission(mission) => mission.to_string(),
        role => role.to_string(),
    };
    let (state, reason) = match &surveyed.standing {
        Standing::UpToDate { .. } => (Freshness::UpToDate, None),
        Standing::Stale { reason } => (Freshness::Stale, Some(reason.clone())),
        Standing::Unknown => (Freshness::Unknown, None),
    };
    Part {
        seconds: workplace.state.duration(&Task::Build(&surveyed.role)),
        ..Part::new(name, state, reason)
    }
}

/// The environments of a mission, by which of their files are others than those that the image was last built from.
fn environments(workplace: &Workplace, mission: &MissionName, surveyed: &Surveyed) -> Vec<Part> {
    let names = workplace.repository.environment_names(mission).into_iter();
    let one = |name: EnvironmentName| {
        let directory = format!("{}/{name}/", repository::ENVIRONMENTS);
        let tests = format!("{directory}tests/");
        let own = surveyed.changed.as_ref().map(|changed| {
            let own = changed
                .iter()
                .filter(|path| path.starts_with(&directory) && !path.starts_with(&tests));
            own.map(|path| path[directory.len()..].to_owned()).collect::<Vec<_>>()
        });
        let (state, reason) = match (&surveyed.standing, own) {
            (Standing::UpToDate { .. }, _) => (Freshness::UpToDate, None),
            (_, None) => (Freshness::Stale, Some("not built before".to_owned())),
            (Standing::Stale { .. }, Some(own)) if !own.is_empty() => (Freshness::Stale, Some(own.join(", "))),
            (Standing::Stale { .. }, Some(_)) => (Freshness::UpToDate, None),
            (Standing::Unknown, _) => (Freshness::Unknown, None),
        };
        Part::new(name.to_string(), state, reason)
    };
    names.filter(|name| !name.is_base()).map(one).collect()
}

/// The tests of a mission, and whether its image has passed them.
fn tests(
    workplace: &Workplace,
    memo: &Memo,
    mission: &MissionName,
    surveyed: &Surveyed,
) -> Result<Part, WorkflowError> {
    let demand = match remembered(workplace, memo, mission) {
        Ok(demand) => demand,
        Err(WorkflowError::Nothing(nothing)) => {
            return Ok(Part::new("no tests", Freshness::Stale, Some(nothing.to_string())));
        }
        Err(error) => return Err(error),
    };
    let name = match demand.tests.len() {
        1 => "1 test".to_owned(),
        number => format!("{number} tests"),
    };
    let (state, reason) = match &surveyed.standing {
        Standing::UpToDate { id, .. } => match publish::evidence(&surveyed.role, id, &demand, &workplace.state) {
            Ok(_) => (Freshness::UpToDate, None),
            Err(error) => (Freshness::Stale, Some(lacking(&error))),
        },
        Standing::Stale { .. } => (Freshness::Stale, Some("the image is built first".to_owned())),
        Standing::Unknown => (Freshness::Unknown, None),
    };
    Ok(Part {
        seconds: workplace.state.duration(&Task::Tests(mission)),
        ..Part::new(name, state, reason)
    })
}

/// What the image of a mission must have passed, from the memo where no file of the environments is another.
fn remembered(workplace: &Workplace, memo: &Memo, mission: &MissionName) -> Result<Demand, WorkflowError> {
    let directory = workplace.repository.environments(mission);
    let mut fingerprint = Fingerprint::new("the tests of a mission");
    fingerprint.part("server", &[u8::from(workplace.settings.test_server)]);
    fingerprint.part("directory", directory.as_os_str().as_encoded_bytes());
    fingerprint.tree(&directory);
    let name = format!("tests-{mission}");
    if let Some(demand) = memo.recall(&name, &fingerprint) {
        return Ok(demand);
    }
    let choice = choose(workplace, mission, &Asked::default())?;
    let stays_inside = choice.defined.stays_inside(&directory);
    let demand = demand_of(choice);
    if stays_inside {
        memo.keep(&name, &fingerprint, &demand);
    }
    Ok(demand)
}

/// What the tests of an image lack, in few words.
fn lacking(error: &PublishError) -> String {
    match error {
        PublishError::Untested { .. } => "the image has not passed them".to_owned(),
        PublishError::Redefined { .. } => "their files changed since the image passed them".to_owned(),
        PublishError::Lacking { tests, .. } => format!("the image has not passed {} of them", tests.len()),
        other => other.to_string(),
    }
}
