//! Imports of what was added to a mission's specs since the image that a stage ran before, in the image that it runs now.
//!
//! Which commits the two images were built from, their labels say. So the packages are those that people asked for, not the
//! many that came with them.

use std::time::Duration;

use super::{OpenStage, StageError, Wanted};
use crate::deploy::{self, CheckedTest, Ran};
use crate::event::Event;
use crate::fault::{Explained as _, Kind};
use crate::image::label;
use crate::quantity::Limit;
use crate::reference::{ImageReference, MissionName};
use crate::workflow::added::{Added, SpecsAt, added};
use crate::workflow::foreign::here;
use crate::workflow::imports::{Subject, of_image};
use crate::workflow::push::registry;
use crate::workflow::{Asked, End, Observed, WorkflowError};

/// What the imports are called among the tests of a check.
pub(super) const NAME: &str = "imports of what was added";

/// More packages than these are counted.
const MOST_NAMED: usize = 10;

/// What came of the imports.
pub(super) enum Imported {
    /// They are a test of the check.
    Tested(CheckedTest),
    /// They were not run, for this reason.
    Untested(String),
    /// There was nothing to import, or the deployment names no mission.
    Nothing,
}

/// What was added to the specs of an image.
enum Arrivals {
    Known(Vec<Added>),
    Unknown(String),
}

impl OpenStage<'_> {
    /// Imports what was added, within `limit`.
    pub(super) async fn imported(&self, wanted: &Wanted, limit: Duration) -> Result<Imported, WorkflowError> {
        let Some(mission) = self.deployment.mission.clone() else {
            return Ok(Imported::Nothing);
        };
        let found = self.or_interrupted(self.arrivals(&mission, wanted)).await??;
        let added = match found {
            Arrivals::Known(added) if added.is_empty() => return Ok(Imported::Nothing),
            Arrivals::Known(added) => added,
            Arrivals::Unknown(reason) => return Ok(Imported::Untested(reason)),
        };
        if let Err(error) = self.or_interrupted(self.workplace.engine()).await? {
            return Ok(Imported::Untested(error.to_string()));
        }
        let reference = wanted.pinned()?;
        let image = self.or_interrupted(here(self.workplace, &reference)).await??;
        let mut asked = Asked::default();
        asked.options.run_timeout = Some(Limit(limit));
        let subject = Subject {
            mission: &mission,
            id: &image.id,
            name: reference.as_str(),
        };
        let name = format!("{NAME}: {}", named(&added));
        let failed = match of_image(self.workplace, subject, &added, &asked, self.interrupts).await {
            Ok(run) => match &run.end {
                End::Interrupted(how) => return Err(StageError::Interrupted(*how).into()),
                End::Broken(error) => return Ok(Imported::Untested(error.to_string())),
                End::Complete => failure(&run),
            },
            // Nothing of it is a module.
            Err(WorkflowError::Nothing(_)) => return Ok(Imported::Nothing),
            Err(error) if error.kind() == Kind::Refused => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        let test = CheckedTest { name, failed };
        self.told(&test);
        Ok(Imported::Tested(test))
    }

    /// What was added to the specs of the image that the stage runs, since those of the one that it ran before. Nothing, if it
    /// ran none before: all that a first image holds was tested before it was pushed.
    async fn arrivals(&self, mission: &MissionName, wanted: &Wanted) -> Result<Arrivals, WorkflowError> {
        let repository = &self.workplace.repository;
        if !repository.missions().contains(mission) {
            return Ok(Arrivals::Unknown(format!(
                "mission {mission} is not in this repository"
            )));
        }
        let tip = deploy::tip(self.root(), self.stage())?;
        let both = |ran: &[Ran]| ran.len() > 1;
        let ran = deploy::images(self.root(), &self.deployment, self.stage(), &tip, both)?;
        let now = match self.specs_of(&wanted.pinned()?).await? {
            Ok(specs) => specs,
            Err(reason) => return Ok(Arrivals::Unknown(reason)),
        };
        let before = match ran.iter().find(|ran| ran.digest != wanted.digest) {
            None => return Ok(Arrivals::Known(Vec::new())),
            Some(ran) => {
                let reference = format!("{}@{}", ran.image.repository, ran.digest).parse::<ImageReference>()?;
                match self.specs_of(&reference).await? {
                    Ok(specs) => specs,
                    Err(reason) => return Ok(Arrivals::Unknown(reason)),
                }
            }
        };
        if let SpecsAt::Commit(commit) = &before {
            self.workplace.display().emit(Event::Note {
                text: format!("imports of what was added since {commit}, which it ran before"),
            });
        }
        // A commit that this clone does not have, or specs that cannot be read: nothing is wrong with the image.
        Ok(match added(repository, mission, &before, &now) {
            Ok(added) => Arrivals::Known(added),
            Err(error) => Arrivals::Unknown(error.to_string()),
        })
    }

    /// The commit whose specs an image was built from, or why that is not known.
    async fn specs_of(&self, image: &ImageReference) -> Result<Result<SpecsAt, String>, WorkflowError> {
        let (registry, _) = registry(self.workplace, &image.registry())?;
        let Some(labels) = registry.labels(image).await? else {
            return Ok(Err(format!("{image} is no longer in its registry")));
        };
        Ok(match labels.get(label::COMMIT) {
            Some(commit) => Ok(SpecsAt::Commit(commit.clone())),
            None => Err(format!("{image} does not say which commit it was built from")),
        })
    }
}

/// The packages, by the environments that they were added to.
fn named(added: &[Added]) -> String {
    let packages = added.iter().flat_map(|added| {
        let packages = added.packages.iter();
        packages.map(|package| format!("{} in {}", package.name, added.environment))
    });
    let packages = packages.collect::<Vec<_>>();
    let first = packages[..packages.len().min(MOST_NAMED)].join(", ");
    match packages.len().checked_sub(MOST_NAMED) {
        None | Some(0) => first,
        Some(more) => format!("{first} and {more} more"),
    }
}

/// Why a run did not pass: the first reason.
fn failure(run: &Observed) -> Option<String> {
    if run.passed() {
        return None;
    }
    let problem = run.outcome.problems.first().cloned();
    let failed = run.outcome.failures().next();
    let failed = failed.map(|(test, cause)| format!("{}: {}", test.id, cause.message));
    Some(
        failed
            .or(problem)
            .unwrap_or_else(|| "its report is not whole".to_owned()),
    )
}
