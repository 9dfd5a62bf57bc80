//! New frozen specs in seconds, from the floating ones alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{WorkflowError, Workplace};
use crate::config::{BaseImage, Site};
use crate::envs::conda::Config;
use crate::envs::{self, Installer, Start, Tools, Unsolved};
use crate::event::Event;
use crate::freeze::{self, Written};
use crate::plan::{self, FrozenFile};
use crate::reference::MissionName;
use crate::repository;
use crate::spec::SpecError;
use crate::spec::env::{self, EnvironmentFiles};
use crate::spec::frozen::Frozen;

/// Solves the environments of `missions` and writes their frozen specs. `uv` is the program that solves pip lists.
/// Returns what changed.
pub fn solve(
    workplace: &Workplace,
    missions: &[MissionName],
    uv: Option<PathBuf>,
) -> Result<Vec<Written>, WorkflowError> {
    let plan = workplace.plan(missions)?;
    let display = workplace.display();
    let base = base(workplace)?;
    let tools = tools(workplace, uv)?;
    let site = site(&workplace.settings.site);
    let shared = plan::shared_specs(&workplace.repository)?;
    let mut written = Vec::new();
    let files = plan.images.iter().filter(|image| image.role.mission().is_some());
    for file in files.flat_map(|image| &image.frozen) {
        if file.environment.is_base() {
            display.emit(Event::Warning {
                text: format!(
                    "{} is left as it is: only an image tells what base holds",
                    file.path.display()
                ),
            });
            continue;
        }
        let files = env::load(workplace.repository.path(&file.path).parent().unwrap_or(Path::new("")))?;
        let unsolved = Unsolved {
            name: &file.environment,
            files: recipe(&files, &shared),
            start: start(workplace, &files, base.as_ref(), file)?,
            site: &site,
        };
        let frozen = envs::solve(&tools, &unsolved, display.as_ref())?;
        written.extend(freeze::keep(&workplace.repository, file, frozen, true)?);
    }
    Ok(written)
}

/// The spec files of a floating build, in the order of its recipe. A copy of the base environment has what is shared.
fn recipe(files: &EnvironmentFiles, shared: &[PathBuf]) -> Vec<PathBuf> {
    let shared = shared.iter().filter(|_| !files.no_common && files.create.is_some());
    files
        .create
        .iter()
        .chain(shared)
        .chain(&files.updates)
        .cloned()
        .collect()
}

/// What the environment begins with, which depends on the base environment where it is a copy or a venv.
fn start<'a>(
    workplace: &Workplace,
    files: &EnvironmentFiles,
    base: Option<&'a Frozen>,
    file: &FrozenFile,
) -> Result<Start<'a>, WorkflowError> {
    let base_python = base.and_then(|base| base.python.as_deref());
    let configured = !workplace.settings.site.conda_channels.is_empty();
    match (base, base_python) {
        (_, _) if files.create.is_some() && configured => Ok(Start::Conda),
        (Some(base), Some(_)) if files.create.is_none() => Ok(Start::Copy(base)),
        (_, Some(python)) => Ok(Start::Venv(python)),
        (Some(_), None) if files.create.is_some() => Ok(Start::Conda),
        (Some(_), None) => Err(WorkflowError::CopyOfConda {
            name: file.environment.clone(),
            path: file.path.clone(),
        }),
        (None, _) if workplace.settings.base_image != BaseImage::Debian && files.create.is_some() => Ok(Start::Conda),
        (None, _) => Err(SpecError::NotFrozen {
            path: repository::base_frozen(),
        }
        .into()),
    }
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
