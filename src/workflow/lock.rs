//! New frozen specs in seconds, from the floating ones and what is frozen already.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{Interrupts, SpecifyError, WorkflowError, Workplace, solve};
use crate::config::{BaseImage, Settings, Site};
use crate::envs::conda::Config;
use crate::envs::{self, Askers, Installer, Kept, Start, Tools, Unsolved, Upgrade};
use crate::event::Event;
use crate::freeze::{self, Written};
use crate::plan::{self, FrozenFile};
use crate::reference::{EnvironmentName, MissionName};
use crate::repository::{self, Repository};
use crate::spec::SpecError;
use crate::spec::draft;
use crate::spec::edit::PackageKind;
use crate::spec::env::{self, EnvironmentFiles};
use crate::spec::frozen::{Frozen, Outline};

/// What is to be locked, and how.
#[derive(Debug, Clone)]
pub struct LockOptions {
    /// The environments; all of the missions where none is named.
    pub environments: Vec<EnvironmentName>,
    /// What need not stay as it is frozen.
    pub upgrade: Upgrade,
    /// Whether nothing is to be written.
    pub dry_run: bool,
}

/// A frozen spec that was solved again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The frozen spec, relative to the repository.
    pub path: PathBuf,
    /// What is new in it; `None` where it stays as it is.
    pub written: Option<Written>,
    /// What asks for each package, by its name as names are compared: other packages, and the names of lists.
    pub asked_by: Askers,
    /// The packages that the environment comes to hold, by such names.
    pub holds: BTreeSet<String>,
}

/// Solves the environments of `missions` and writes their frozen specs. `uv` is the program that solves pip lists.
pub fn lock(
    workplace: &Workplace,
    missions: &[MissionName],
    options: &LockOptions,
    uv: Option<PathBuf>,
    interrupts: &Interrupts,
) -> Result<Vec<Locked>, WorkflowError> {
    let repository = &workplace.repository;
    let mut wanted = Vec::new();
    for mission in missions {
        repository.inspect(repository::mission(mission))?;
        let known = repository.environment_names(mission);
        for name in &options.environments {
            if !known.contains(name) && !name.is_base() {
                let (mission, name) = (mission.clone(), name.clone());
                return Err(SpecifyError::NoEnvironment { mission, name, known }.into());
            }
        }
        let chosen = |name: &&EnvironmentName| options.environments.is_empty() || options.environments.contains(name);
        let directories = known.iter().filter(chosen);
        let directories = directories.map(|name| repository.environments(mission).join(name.as_str()));
        // Each image has a base environment; few missions have specs of their own for it.
        wanted.extend(directories.filter(|directory| directory.is_dir()));
    }
    let solver = Solver::new(workplace, uv)?;
    let mut solutions = Vec::new();
    if !options.environments.iter().any(EnvironmentName::is_base) {
        solver.tell_stale_base(missions)?;
    }
    let own_base = wanted.iter().any(|directory| directory.ends_with("base"));
    if options.environments.iter().any(EnvironmentName::is_base) && !own_base {
        solutions.push(solver.base(repository, &options.upgrade)?);
    }
    for directory in &wanted {
        match env::load(directory) {
            Ok(files) => solutions.push(solver.solve(repository, &files, &options.upgrade)?),
            // Tests alone, of an environment that a Dockerfile makes its own way.
            Err(SpecError::Empty { .. }) if options.environments.is_empty() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if let Upgrade::These(names) = &options.upgrade {
        let held = |name: &&String| solutions.iter().any(|solution| solution.locked.holds.contains(*name));
        if let Some(name) = names.iter().find(|name| !held(name)) {
            return Err(SpecifyError::NotHeld { name: name.clone() }.into());
        }
    }
    if !options.dry_run {
        let files = solutions.iter().map(Solution::files).collect::<Result<Vec<_>, _>>()?;
        let write = || {
            for directory in &wanted {
                draft::sweep(directory);
            }
            draft::replace(&files.concat())
        };
        interrupts.write_whole(write).map_err(WorkflowError::Interrupted)??;
        for solution in &solutions {
            solution.remember(workplace)?;
        }
    }
    Ok(solutions.into_iter().map(|solution| solution.locked).collect())
}

/// What an environment comes to, not yet written.
pub(super) struct Solution {
    pub locked: Locked,
    frozen: Frozen,
    /// Where its frozen spec belongs.
    path: PathBuf,
    /// Whether it is the one that all missions share.
    is_base: bool,
}

impl Solution {
    /// The files that are to be written, in their order, with their texts; none where nothing is new.
    pub fn files(&self) -> Result<Vec<(PathBuf, String)>, SpecError> {
        if self.locked.written.is_none() {
            return Ok(Vec::new());
        }
        if let Some(parent) = self.path.parent() {
            let failed = |source| SpecError::Read {
                path: parent.to_owned(),
                source,
            };
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        self.frozen.files(&self.path)
    }

    /// Keeps it for the next floating build, which need not solve the same again. The base environment is built as it is
    /// frozen in any case.
    pub fn remember(&self, workplace: &Workplace) -> Result<(), WorkflowError> {
        let (Some(specs), false) = (&self.frozen.specs, self.is_base) else {
            return Ok(());
        };
        let base = workplace.repository.path(repository::base_frozen());
        let base = Outline::read(&base).ok().and_then(|outline| outline.key);
        let origin = solve::origin(specs, base.as_ref(), &workplace.settings);
        Ok(workplace.solved().keep(&self.locked.path, &self.frozen, &origin)?)
    }
}

/// What solves the environments of a repository.
pub(super) struct Solver<'a> {
    workplace: &'a Workplace,
    tools: Tools,
    site: BTreeMap<String, String>,
    base: Option<Frozen>,
}

impl<'a> Solver<'a> {
    pub fn new(workplace: &'a Workplace, uv: Option<PathBuf>) -> Result<Self, WorkflowError> {
        Ok(Self {
            workplace,
            tools: tools(workplace, uv)?,
            site: site(&workplace.settings.site),
            base: base(workplace)?,
        })
    }

    /// Warns of a base environment that is not frozen from the lists as they are, which its copies would begin with.
    fn tell_stale_base(&self, missions: &[MissionName]) -> Result<(), WorkflowError> {
        let repository = &self.workplace.repository;
        let shared = plan::shared_specs(repository)?;
        let file = plan::floating_base(repository, &shared, &self.workplace.settings)?;
        if file.stale
            && self
                .base
                .as_ref()
                .is_some_and(|base| base.specs.is_some() && base.python.is_some())
        {
            let mission = missions.first().map_or("MISSION", MissionName::as_str);
            let text = format!(
                "{} is stale: the lists that all environments share have changed since; `floe lock {mission} --env base` \
                 solves it",
                file.path.display()
            );
            self.workplace.display().emit(Event::Warning { text });
        }
        Ok(())
    }

    /// Solves an environment as `definitions`, the repository or a copy of it, define it. What the repository itself has
    /// frozen stays, less what is to be upgraded.
    pub fn solve(
        &self,
        definitions: &Repository,
        files: &EnvironmentFiles,
        upgrade: &Upgrade,
    ) -> Result<Solution, WorkflowError> {
        let shared = plan::shared_specs(definitions)?;
        let file = plan::floating(definitions, files, &shared)?;
        let unsolved = Unsolved {
            name: &files.name,
            files: env::in_order(files, &shared),
            also: None,
            start: start(&self.workplace.settings, self.base.as_ref(), files)?,
            site: &self.site,
        };
        self.solution(&file, &unsolved, upgrade)
    }

    /// Solves the base environment, which begins as it is frozen: only an image tells what its base image brings.
    pub fn base(&self, definitions: &Repository, upgrade: &Upgrade) -> Result<Solution, WorkflowError> {
        let shared = plan::shared_specs(definitions)?;
        let file = plan::floating_base(definitions, &shared, &self.workplace.settings)?;
        let Some(base) = self.base.as_ref().filter(|base| base.python.is_some()) else {
            return Err(SpecifyError::BaseUnknown { path: file.path }.into());
        };
        let debian = self.workplace.settings.base_image == BaseImage::Debian;
        let of_image = definitions.path(repository::BASE).join("requirements.txt");
        let unsolved = Unsolved {
            name: &file.environment,
            files: shared,
            also: Some(of_image).filter(|list| debian && list.is_file()),
            start: Start::Copy(base),
            site: &self.site,
        };
        self.solution(&file, &unsolved, upgrade)
    }

    fn solution(
        &self,
        file: &FrozenFile,
        unsolved: &Unsolved<'_>,
        upgrade: &Upgrade,
    ) -> Result<Solution, WorkflowError> {
        let repository = &self.workplace.repository;
        let path = repository.path(&file.path);
        let earlier = match Frozen::load(&path) {
            Ok(earlier) => Some(earlier),
            Err(_) if *upgrade == Upgrade::All => None,
            Err(SpecError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let kept = Kept {
            earlier: earlier.as_ref(),
            upgrade,
        };
        let solved = envs::solve(&self.tools, unsolved, kept, self.workplace.display().as_ref())?;
        let (frozen, written) = freeze::compared(file, earlier.as_ref(), solved.frozen, true);
        Ok(Solution {
            locked: Locked {
                path: file.path.clone(),
                written,
                asked_by: solved.asked_by,
                holds: frozen.names().collect(),
            },
            frozen,
            // What was read may be floe's own; what is written is the repository's.
            path: repository.root().join(&file.path),
            is_base: file.shared,
        })
    }
}

/// What the environment begins with, which depends on the base environment where it is a copy or a venv.
fn start<'a>(
    settings: &Settings,
    base: Option<&'a Frozen>,
    files: &EnvironmentFiles,
) -> Result<Start<'a>, WorkflowError> {
    let base_python = base.and_then(|base| base.python.as_deref());
    let configured = !settings.site.conda_channels.is_empty();
    let created = files.create.is_some() && !files.name.is_base();
    match (base, base_python) {
        (_, _) if created && configured => Ok(Start::Conda),
        (Some(base), Some(_)) if !created => Ok(Start::Copy(base)),
        (_, Some(python)) => Ok(Start::Venv(python)),
        (Some(_), None) if created => Ok(Start::Conda),
        (Some(_), None) => Err(WorkflowError::CopyOfConda {
            name: files.name.clone(),
            path: files.directory.join(format!("{}-frozen.yml", files.name)),
        }),
        (None, _) if settings.base_image != BaseImage::Debian && created => Ok(Start::Conda),
        (None, _) => Err(SpecError::NotFrozen {
            path: repository::base_frozen(),
        }
        .into()),
    }
}

/// Who installs what is added to an environment, unless somebody says.
pub(super) fn installs(workplace: &Workplace, files: &EnvironmentFiles) -> Result<PackageKind, WorkflowError> {
    let base = base(workplace)?;
    Ok(match start(&workplace.settings, base.as_ref(), files)? {
        Start::Conda => PackageKind::Conda,
        Start::Venv(_) | Start::Copy(_) => PackageKind::Pip,
    })
}

fn base(workplace: &Workplace) -> Result<Option<Frozen>, WorkflowError> {
    let path = workplace.repository.path(repository::base_frozen());
    Ok(path.exists().then(|| Frozen::load(&path)).transpose()?)
}

fn tools(workplace: &Workplace, uv: Option<PathBuf>) -> Result<Tools, WorkflowError> {
    let program = uv.ok_or(WorkflowError::NoUv)?;
    let site = &workplace.settings.site;
    let mirror = site.conda_mirror.as_deref().map(url::Url::parse).transpose();
    Ok(Tools {
        pip: Installer::Uv { program, cache: None },
        conda: Config {
            channels: site.conda_channels.clone(),
            alias: mirror?,
            certificates: site.ca.clone(),
            cache: Some(workplace.repository.path(".floe/cache/conda")),
            ..Config::default()
        },
        cache: None,
    })
}

/// What uv is told of the site.
fn site(site: &Site) -> BTreeMap<String, String> {
    let mut variables = site.proxies.clone();
    variables.extend(
        site.ca
            .iter()
            .map(|ca| ("SSL_CERT_FILE".to_owned(), ca.display().to_string())),
    );
    variables.extend(
        site.pip_index
            .iter()
            .map(|url| ("UV_DEFAULT_INDEX".to_owned(), url.clone())),
    );
    variables
}
