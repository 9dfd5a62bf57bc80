//! Which form a mission's image takes, and what its environments come to as stages.

use std::path::{Path, PathBuf};

use super::{PlanError, Solved, layers};
use crate::compose::{self, Body, ComposeError, Facts, Renderer, Stage};
use crate::image;
use crate::reference::MissionName;
use crate::repository::{self, Repository};
use crate::spec::env::{self, EnvironmentFiles, Lists, NO_COMMON, SpecError, Step};
use crate::spec::frozen::Frozen;

/// A mission's own part of its Dockerfile, and the environments whose spec files it holds.
pub(super) struct Mission {
    pub body: Body,
    pub environments: Vec<Environment>,
    /// Whether they are made of frozen specs.
    pub frozen: bool,
    /// The stages that solve them, where that can be done before the build.
    pub solving: Option<Vec<Stage>>,
}

/// The spec files of an environment, and what they list.
pub(super) struct Environment {
    pub files: EnvironmentFiles,
    pub lists: Lists,
    /// The frozen spec that they were solved to, in a floating build.
    pub solved: Option<PathBuf>,
}

/// Reads the mission `name`: its own Dockerfile in one of three forms, else its environments. `solved` holds what floating
/// specs were solved to, if that is to be built from.
pub(super) fn load(
    repository: &Repository,
    name: &MissionName,
    mut frozen: bool,
    solved: Option<&Solved>,
    renderer: &dyn Renderer,
) -> Result<Mission, PlanError> {
    let (root, directory) = (repository.root(), repository::mission(name));
    let own = |file: &str| Some(directory.join(file)).filter(|path| root.join(path).exists());
    let found = environments(&repository.environments(name));
    let solved = solved.filter(|_| !frozen);
    let mut solving = None;
    let (environments, body) = match (
        own("Dockerfile.custom"),
        own("Dockerfile.custom.tera"),
        own("Dockerfile"),
    ) {
        (Some(first), Some(second), _) => return Err(ComposeError::Ambiguous { first, second }.into()),
        (Some(custom), ..) => {
            let environments = with_specs(found)?;
            require_frozen(&environments, frozen)?;
            (environments, Body::Custom(compose::load(root, custom)?))
        }
        (_, Some(template), _) => {
            let mut environments = with_specs(found)?;
            let source = compose::load(root, template)?;
            // What makes the environments of another template is its own affair.
            if let Some(solved) = solved.filter(|_| source.text.contains("env_stages")) {
                solving = Some(solving_stages(&environments)?);
                frozen = take_solved(&mut environments, solved, repository);
            }
            let facts = Facts {
                mission: name.to_string(),
                frozen,
            };
            let text = compose::render(&source, &facts, &stages(&environments, frozen)?, renderer)?;
            (environments, Body::Rendered(text))
        }
        (.., Some(complete)) => (Vec::new(), Body::OptedOut(compose::load(root, complete)?)),
        _ => {
            let mut environments = found.into_iter().collect::<Result<Vec<_>, _>>()?;
            if environments.is_empty() {
                let misnamed = repository.misnamed(name);
                return Err(ComposeError::Nothing {
                    path: directory,
                    misnamed,
                }
                .into());
            }
            if let Some(solved) = solved {
                solving = Some(solving_stages(&environments)?);
                frozen = take_solved(&mut environments, solved, repository);
            }
            let stages = stages(&environments, frozen)?;
            (environments, Body::Generated(stages))
        }
    };
    Ok(Mission {
        body,
        environments,
        frozen,
        solving,
    })
}

/// Puts what floating specs were solved to in the place of frozen ones, if it is there for all environments.
fn take_solved(environments: &mut [Environment], solved: &Solved, repository: &Repository) -> bool {
    let places = environments.iter().map(|environment| {
        let files = &environment.files;
        let place = Frozen::yml_path(&files.directory, files.name.as_str());
        let found = solved.find(repository.relative(&place))?;
        Some((place, found))
    });
    let Some(places) = places.collect::<Option<Vec<_>>>() else {
        return false;
    };
    for (environment, (place, found)) in environments.iter_mut().zip(places) {
        environment.files.frozen = Some(place);
        environment.solved = Some(found);
    }
    true
}

/// The environments below `directory`, in name order.
fn environments(directory: &Path) -> Vec<Result<Environment, SpecError>> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect::<Vec<_>>();
    found.sort();
    found.iter().map(|directory| environment(directory)).collect()
}

fn environment(directory: &Path) -> Result<Environment, SpecError> {
    let files = env::load(directory)?;
    let lists = Lists::read(&files.floating().cloned().collect::<Vec<_>>())?;
    Ok(Environment {
        files,
        lists,
        solved: None,
    })
}

/// Those that have spec files. A directory with tests alone belongs to an environment that a Dockerfile makes its own way.
fn with_specs(found: Vec<Result<Environment, SpecError>>) -> Result<Vec<Environment>, SpecError> {
    found
        .into_iter()
        .filter(|found| !matches!(found, Err(SpecError::Empty { .. })))
        .collect()
}

/// What a Dockerfile of the mission's own does with frozen specs is its affair, but they must be there.
fn require_frozen(environments: &[Environment], frozen: bool) -> Result<(), SpecError> {
    environments
        .iter()
        .filter(|_| frozen)
        .try_for_each(|environment| env::recipe(&environment.files, true).map(drop))
}

fn stages(environments: &[Environment], frozen: bool) -> Result<Vec<Stage>, SpecError> {
    let stages = environments.iter().map(|environment| stage(environment, frozen));
    let mut stages = stages.collect::<Result<Vec<_>, _>>()?;
    if frozen {
        let numbers = environments.iter().map(packages).collect::<Vec<_>>();
        for (stage, layers) in stages.iter_mut().zip(layers::numbers(&numbers)) {
            stage.layers = layers;
        }
    }
    Ok(stages)
}

/// How many packages the environment's frozen spec names. One that cannot be read is told by who installs it.
fn packages(environment: &Environment) -> usize {
    let path = environment.solved.as_ref().or(environment.files.frozen.as_ref());
    let frozen = path.and_then(|path| Frozen::load(path).ok());
    frozen.map_or(0, |frozen| frozen.conda.len() + frozen.pip.len())
}

/// The stage of one environment: it copies the files that its recipe reads and no others, so that nothing else can make
/// the builder run it again.
fn stage(Environment { files, lists, solved }: &Environment, frozen: bool) -> Result<Stage, SpecError> {
    let commands = env::recipe(files, frozen)?;
    let mut read = if frozen {
        let lock = files.frozen.as_deref().map(Frozen::lock_path);
        let lock = lock.filter(|lock| solved.is_some() || lock.is_file());
        files.frozen.iter().cloned().chain(lock).collect()
    } else {
        lists.files.clone()
    };
    let title = files.directory.join("kernel.name");
    read.extend(Some(title).filter(|title| title.exists()));
    copying(files, &read, &commands)
}

/// The stages that solve the environments.
fn solving_stages(environments: &[Environment]) -> Result<Vec<Stage>, SpecError> {
    let stages = environments.iter().map(|Environment { files, lists, .. }| {
        let marker = Some(files.directory.join(NO_COMMON)).filter(|_| files.no_common);
        let read = lists.files.iter().cloned().chain(marker).collect::<Vec<_>>();
        copying(files, &read, &[])
    });
    stages.collect()
}

/// The stage of an environment that reads these files and runs these commands.
fn copying(files: &EnvironmentFiles, read: &[PathBuf], commands: &[Step]) -> Result<Stage, SpecError> {
    // The build's context is the mission's directory, in which the environments are.
    let environments = files.directory.parent().unwrap_or(&files.directory);
    let in_context = |path: &PathBuf| {
        let below = path.strip_prefix(environments).map_err(|_| SpecError::Malformed {
            path: path.clone(),
            line: None,
            message: "a list names it, and it is outside of environments/, which is all that an image gets".to_owned(),
        })?;
        Ok(format!("{}/{}", repository::ENVIRONMENTS, below.display()))
    };
    Ok(Stage {
        environment: files.name.clone(),
        files: read.iter().map(in_context).collect::<Result<_, SpecError>>()?,
        commands: commands.iter().map(|step| image::program(&step.to_string())).collect(),
        layers: 1,
    })
}
