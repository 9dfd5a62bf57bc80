//! What the environments of missions hold: from the frozen specs of the working tree or of a commit, or from what an image says.

mod error;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

pub use self::error::PackagesError;
use super::{WorkflowError, Workplace};
use crate::config::BaseImage;
use crate::git;
use crate::imprint::Imprint;
use crate::inventory;
use crate::packages::{self, Asked, Before, Environment};
use crate::plan::{self, PlanError};
use crate::reference::{EnvironmentName, MissionName};
use crate::repository::{self, Repository};
use crate::spec::SpecError;
use crate::spec::env::{self, EnvironmentFiles};
use crate::spec::frozen::Frozen;

/// Which environments are looked at.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Those of these missions; of all, if there is none.
    pub missions: Vec<MissionName>,
    /// Those of these names; all, if there is none.
    pub environments: Vec<EnvironmentName>,
}

impl Scope {
    fn holds(&self, environment: &Environment) -> bool {
        let of_mission = match &environment.mission {
            Some(mission) => self.missions.is_empty() || self.missions.contains(mission),
            // What all missions share belongs to each.
            None => true,
        };
        of_mission && (self.environments.is_empty() || self.environments.contains(&environment.name))
    }
}

/// The environments that the files of the repository define, as they are now.
pub fn packages(workplace: &Workplace, scope: &Scope) -> Result<Vec<Environment>, WorkflowError> {
    of_files(&workplace.repository, &workplace.settings.base_image, scope)
}

/// The environments that the files of the repository defined in a commit.
pub fn packages_of_commit(
    workplace: &Workplace,
    commit: &str,
    scope: &Scope,
) -> Result<Vec<Environment>, WorkflowError> {
    let root = workplace.repository.root();
    let unknown = || PackagesError::NoCommit(commit.to_owned());
    let known = git::commit(root, commit).ok_or_else(unknown)?;
    let failed = |error: git::GitError| PackagesError::Commit {
        commit: commit.to_owned(),
        reason: error.to_string(),
    };
    let missions = git::names_in_commit(root, &known, Path::new(repository::MISSIONS)).map_err(failed)?;
    let missions = missions.iter().filter_map(|name| name.parse::<MissionName>().ok());
    let mut paths = missions
        .map(|mission| repository::environments(&mission))
        .collect::<Vec<_>>();
    paths.extend([repository::COMMON_ENV, repository::BASE].map(PathBuf::from));
    let scratch = tempfile::tempdir().map_err(crate::state::FileError::of(&std::env::temp_dir()))?;
    git::files_of_commit(root, &known, &paths, scratch.path()).map_err(failed)?;
    let then = Repository::at(scratch.path());
    of_files(&then, &workplace.settings.base_image, scope)
}

/// The environments with what they were before the last change of their frozen specs, as far as git knows. `at` is the commit
/// that they are of; `None` for the working tree.
pub fn with_before(
    workplace: &Workplace,
    environments: Vec<Environment>,
    at: Option<&str>,
) -> Vec<(Environment, Option<Before>)> {
    let root = workplace.repository.root();
    let mut known = BTreeMap::<String, Vec<Environment>>::new();
    let mut paired = Vec::new();
    for environment in environments {
        let path = frozen_path(&environment);
        let commit = match at {
            None => git::before(root, &path),
            Some(at) => {
                let history = git::history(root, at, &[path], 1).unwrap_or_default();
                history
                    .first()
                    .and_then(|last| git::commit(root, &format!("{}^", last.commit)))
            }
        };
        let Some(commit) = commit else {
            paired.push((environment, None));
            continue;
        };
        if !known.contains_key(&commit) {
            // What cannot be read of it says nothing.
            let then = packages_of_commit(workplace, &commit, &Scope::default()).unwrap_or_default();
            known.insert(commit.clone(), then);
        }
        let is_same = |other: &&Environment| (&other.mission, &other.name) == (&environment.mission, &environment.name);
        let before = known[&commit]
            .iter()
            .find(is_same)
            .filter(|other| other.unknown.is_none());
        let before = before.map(|found| Before {
            commit: commit.clone(),
            environment: found.clone(),
        });
        paired.push((environment, before));
    }
    paired
}

/// Where the frozen spec of an environment is kept, relative to the repository.
fn frozen_path(environment: &Environment) -> PathBuf {
    match (&environment.source, &environment.mission) {
        (Some(source), _) => source.clone(),
        (None, Some(mission)) => {
            let name = environment.name.as_str();
            Frozen::yml_path(&repository::environments(mission).join(name), name)
        }
        (None, None) => repository::base_frozen(),
    }
}

/// The environments that an image says it holds. Where it says of which commit it is, and this repository has that, its files say
/// who asked for the packages.
pub async fn packages_of_image(
    workplace: &Workplace,
    reference: &str,
    scope: &Scope,
) -> Result<Vec<Environment>, WorkflowError> {
    let (imprint, mut environments) = told(workplace, reference).await?;
    // Whatever image it is, it is one mission's, if that of any.
    environments.retain(|environment| scope.holds(environment));
    let build = imprint.build.as_ref();
    if let Some((build, commit)) = build.and_then(|build| Some((build, build.commit.as_deref()?)))
        && git::commit(workplace.repository.root(), commit).is_some()
    {
        let scope = Scope {
            missions: vec![build.mission.clone()],
            environments: Vec::new(),
        };
        // A commit whose files cannot be read says nothing, and that is all.
        let of_commit = packages_of_commit(workplace, commit, &scope).unwrap_or_default();
        for environment in &mut environments {
            let mut same = of_commit.iter().filter(|other| other.name == environment.name);
            // The mission's own, where it has one of that name, else what the common image brings.
            if let Some(found) = same.next_back() {
                environment.asked.clone_from(&found.asked);
            }
        }
    }
    Ok(environments)
}

/// What an image says of itself.
pub async fn told(workplace: &Workplace, reference: &str) -> Result<(Imprint, Vec<Environment>), WorkflowError> {
    let engine = workplace.engine().await?;
    let missing = || PackagesError::NoImage(reference.to_owned());
    let image = engine.image(reference).await?.ok_or_else(missing)?;
    let told = inventory::told(&image, engine).await?;
    let silent = |reason| PackagesError::Silent {
        image: reference.to_owned(),
        reason,
    };
    Ok(told.map_err(silent)?)
}

fn of_files(repository: &Repository, base_image: &BaseImage, scope: &Scope) -> Result<Vec<Environment>, WorkflowError> {
    let known = repository.missions();
    if let Some(name) = scope.missions.iter().find(|name| !known.contains(name)) {
        let name = name.clone();
        return Err(PlanError::UnknownMission { name, known }.into());
    }
    repository.inspect(repository::COMMON)?;
    let shared = plan::shared_specs(repository)?;
    let mut brought = shared.clone();
    let requirements = repository.path(repository::BASE).join("requirements.txt");
    brought.extend((*base_image == BaseImage::Debian && requirements.is_file()).then_some(requirements));
    let of_shared = packages::asked(&shared, repository)?;
    let of_base = packages::asked(&brought, repository)?;
    let mut due = vec![(None, EnvironmentName::base())];
    for mission in known
        .into_iter()
        .filter(|name| scope.missions.is_empty() || scope.missions.contains(name))
    {
        repository.inspect(repository::mission(&mission))?;
        let names = repository.environment_names(&mission);
        due.extend(names.into_iter().map(|name| (Some(mission.clone()), name)));
    }
    let found = due.into_par_iter().map(|(mission, name)| {
        let Some(mission) = mission else {
            return of_common(repository, &of_base).map(Some);
        };
        of_mission(repository, mission, name, &of_shared, &of_base)
    });
    let found = found.collect::<Vec<_>>().into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(found
        .into_iter()
        .flatten()
        .filter(|environment| scope.holds(environment))
        .collect())
}

/// The base environment, as the common image brings it.
fn of_common(repository: &Repository, asked: &[Asked]) -> Result<Environment, WorkflowError> {
    let path = repository.path(repository::base_frozen());
    let frozen = path.is_file().then_some(&*path);
    read(repository, None, EnvironmentName::base(), frozen, asked.to_vec())
}

/// An environment of a mission; `None` where its directory holds nothing that says what it is.
fn of_mission(
    repository: &Repository,
    mission: MissionName,
    name: EnvironmentName,
    of_shared: &[Asked],
    of_base: &[Asked],
) -> Result<Option<Environment>, WorkflowError> {
    let directory = repository.environments(&mission).join(name.as_str());
    if !directory.is_dir() {
        return Ok(None);
    }
    let files = match env::load(&directory) {
        Ok(files) => files,
        // Tests alone belong to what a Dockerfile makes its own way.
        Err(SpecError::Empty { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut asked = packages::asked(files.floating(), repository)?;
    asked.extend_from_slice(brought(&files, of_shared, of_base));
    read(repository, Some(mission), name, files.frozen.as_deref(), asked).map(Some)
}

/// What an environment has beside what its own files ask for: a copy has what the base environment has.
fn brought<'a>(files: &EnvironmentFiles, of_shared: &'a [Asked], of_base: &'a [Asked]) -> &'a [Asked] {
    match (&files.create, files.no_common) {
        (None, _) => of_base,
        (Some(_), false) => of_shared,
        (Some(_), true) => &[],
    }
}

fn read(
    repository: &Repository,
    mission: Option<MissionName>,
    name: EnvironmentName,
    frozen: Option<&Path>,
    asked: Vec<Asked>,
) -> Result<Environment, WorkflowError> {
    let mut environment = Environment {
        mission,
        name,
        source: frozen.map(|path| repository.relative(path).to_owned()),
        unknown: None,
        packages: Vec::new(),
        asked,
        size: None,
    };
    match frozen.map(Frozen::load) {
        Some(Ok(frozen)) => environment.packages = packages::of_frozen(&frozen),
        None => environment.unknown = Some("it is not frozen".to_owned()),
        // Somebody else wrote it, and it says less than all.
        Some(Err(error @ SpecError::Floating { .. })) => {
            let root = format!("{}/", repository.root().display());
            environment.unknown = Some(error.to_string().replace(&root, ""));
        }
        Some(Err(error)) => return Err(error.into()),
    }
    Ok(environment)
}
