//! Packages put into an environment's specs or taken out of them: edited, solved, and then written together or not at all.

mod draft;
mod error;

use std::path::{Path, PathBuf};

pub use self::error::SpecifyError;

use self::draft::Draft;
use super::lock::{self, Solver};
use super::{Interrupts, Locked, WorkflowError, Workplace};
use crate::envs::Upgrade;
use crate::fault::{Explained as _, Place};
use crate::plan;
use crate::reference::{EnvironmentName, MissionName};
use crate::repository;
use crate::spec::edit::{Edited, PackageKind};
use crate::spec::env;

/// What is to become of an environment's specs.
#[derive(Debug, Clone)]
pub struct Specify {
    /// The mission; where none is named, the one that settings name or the only one that has the environment.
    pub mission: Option<MissionName>,
    /// The environment.
    pub environment: EnvironmentName,
    /// The change.
    pub change: Change,
    /// Who installs the packages; where nobody says, what lists them already, else what the environment is made of.
    pub kind: Option<PackageKind>,
    /// The spec file to edit, by its name in the environment's directory.
    pub file: Option<String>,
    /// What need not stay as it is frozen.
    pub upgrade: Upgrade,
    /// Whether nothing is to be written.
    pub dry_run: bool,
}

/// What is put in or taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These requirements are put in.
    Add(Vec<String>),
    /// These packages are taken out, by their names.
    Remove(Vec<String>),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Specified {
    /// The mission.
    pub mission: MissionName,
    /// The edits, each with the file relative to the repository, in the order in which they were asked for.
    pub edits: Vec<(PathBuf, Edited)>,
    /// The frozen spec that was solved for it.
    pub locked: Locked,
}

/// Changes the specs of an environment, solves them, and writes specs, frozen spec and lock together. What is frozen stays
/// where it fits. `uv` is the program that solves pip lists.
pub fn specify(
    workplace: &Workplace,
    wanted: &Specify,
    uv: Option<PathBuf>,
    interrupts: &Interrupts,
) -> Result<Specified, WorkflowError> {
    let repository = &workplace.repository;
    let mission = mission(workplace, wanted)?;
    // Nothing of it is read, and nothing written, before it has been looked at.
    repository.inspect(repository::mission(&mission))?;
    let directory = repository.environments(&mission).join(wanted.environment.as_str());
    let files = env::load(&directory)?;
    let solver = Solver::new(workplace, uv)?;
    let shared = plan::shared_specs(repository)?;
    let mut draft = Draft::of(repository, &files, &shared)?;
    match &wanted.change {
        Change::Add(requirements) => {
            if let (None, Some(frozen)) = (files.floating().next(), &files.frozen) {
                let path = repository.relative(frozen).to_owned();
                return Err(SpecifyError::OnlyFrozen { path }.into());
            }
            let by_itself = lock::installs(workplace, &files)?;
            for requirement in requirements {
                draft.add(&files, wanted, by_itself, requirement.trim())?;
            }
        }
        Change::Remove(names) => {
            for name in names {
                draft.remove(&files, wanted, &shared, name.trim())?;
            }
        }
    }
    let definitions = draft.definitions()?;
    let copied = definitions.path(repository.relative(&directory));
    let solution = env::load(&copied)
        .map_err(WorkflowError::from)
        .and_then(|files| solver.solve(&definitions, &files, &wanted.upgrade))
        .map_err(|error| told(&error, definitions.root(), repository.root()))?;
    if !wanted.dry_run {
        let mut written = draft.texts.clone().into_iter().collect::<Vec<_>>();
        written.extend(solution.files()?);
        let write = || {
            crate::spec::draft::sweep(&directory);
            crate::spec::draft::replace(&written)
        };
        interrupts.write_whole(write).map_err(WorkflowError::Interrupted)??;
        solution.remember(workplace)?;
    }
    Ok(Specified {
        mission,
        edits: draft.edits,
        locked: solution.locked,
    })
}

/// The mission that is meant: the named one, else among those that have the environment the one that the settings name, else
/// the only one.
pub(super) fn mission(workplace: &Workplace, wanted: &Specify) -> Result<MissionName, WorkflowError> {
    let (repository, name) = (&workplace.repository, &wanted.environment);
    let has = |mission: &MissionName| repository.environments(mission).join(name.as_str()).is_dir();
    let absent = |mission: MissionName| SpecifyError::NoEnvironment {
        known: repository.environment_names(&mission),
        name: name.clone(),
        mission,
    };
    let set = workplace.settings.mission.clone();
    if let Some(mission) = &wanted.mission {
        return if has(mission) {
            Ok(mission.clone())
        } else {
            Err(absent(mission.clone()).into())
        };
    }
    if let Some(mission) = set.clone().filter(has) {
        return Ok(mission);
    }
    let mut missions = repository.missions();
    missions.retain(has);
    match (missions.len(), set) {
        (1, _) => Ok(missions.remove(0)),
        (0, Some(mission)) => Err(absent(mission).into()),
        (0, None) => Err(SpecifyError::Nowhere { name: name.clone() }.into()),
        _ => Err(SpecifyError::SeveralMissions {
            name: name.clone(),
            missions,
        }
        .into()),
    }
}

/// An error about the copy, told of the repository itself.
fn told(error: &WorkflowError, copy: &Path, repository: &Path) -> WorkflowError {
    let copy = format!("{}/", copy.display());
    let of_repository = |text: String| text.replace(&copy, "");
    let place = error.place().map(|place| Place {
        path: repository.join(of_repository(place.path.display().to_string())),
        line: place.line,
    });
    let hint = error.hint().map(&of_repository);
    SpecifyError::Unsolved {
        message: format!("{} (nothing was written)", of_repository(error.to_string())),
        hint,
        kind: error.kind(),
        place,
    }
    .into()
}
