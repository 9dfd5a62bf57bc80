//! `floe freeze --solve`: new frozen specs in seconds, from the floating ones alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::freeze::shown;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::config::{BaseImage, Site};
use crate::envs::conda::Config;
use crate::envs::{self, Installer, Start, Tools, Unsolved};
use crate::event::Event;
use crate::freeze;
use crate::plan::{self, FrozenFile};
use crate::reference::MissionName;
use crate::repository;
use crate::spec::SpecError;
use crate::spec::env::{self, EnvironmentFiles};
use crate::spec::frozen::Frozen;

/// Solves the environments of `missions` and writes their frozen specs.
pub fn command(session: &Session, missions: &[MissionName]) -> Result<(), Failure> {
    let plan = session.plan(missions)?;
    let display = session.display();
    let base = base(session)?;
    let tools = tools(session)?;
    let site = site(&session.settings.site);
    let shared = plan::shared_specs(&session.repository)?;
    let mut written = Vec::new();
    let files = plan.images.iter().filter(|image| image.mission.is_some());
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
        let files = env::load(session.repository.path(&file.path).parent().unwrap_or(Path::new("")))?;
        let unsolved = Unsolved {
            name: &file.environment,
            files: recipe(&files, &shared),
            start: start(session, &files, base.as_ref(), file)?,
            site: &site,
        };
        let frozen = envs::solve(&tools, &unsolved, display.as_ref())?;
        written.extend(freeze::keep(&session.repository, file, frozen, true)?);
    }
    output::say(
        "solved, not built: only a build shows that packages install, that what comes as sources asks for what it says \
         here, and that conda packages are what pip packages ask for",
    );
    output::result(&shown(&written))
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
    session: &Session,
    files: &EnvironmentFiles,
    base: Option<&'a Frozen>,
    file: &FrozenFile,
) -> Result<Start<'a>, Failure> {
    let base_python = base.and_then(|base| base.python.as_deref());
    let configured = !session.settings.site.conda_channels.is_empty();
    match (base, base_python) {
        (_, _) if files.create.is_some() && configured => Ok(Start::Conda),
        (Some(base), Some(_)) if files.create.is_none() => Ok(Start::Copy(base)),
        (_, Some(python)) => Ok(Start::Venv(python)),
        (Some(_), None) if files.create.is_some() => Ok(Start::Conda),
        (Some(_), None) => {
            let message = format!(
                "{} is a copy of a base environment of conda packages, which only a build can solve with what is added",
                file.environment
            );
            Err(Failure::new(ExitCode::Invalid, message)
                .hint("`floe build --use-frozen 0`, or give it a yml of its own"))
        }
        (None, _) if session.settings.base_image != BaseImage::Debian && files.create.is_some() => Ok(Start::Conda),
        (None, _) => Err(SpecError::NotFrozen {
            path: repository::base_frozen(),
        }
        .into()),
    }
}

fn base(session: &Session) -> Result<Option<Frozen>, Failure> {
    let path = session.repository.path(repository::base_frozen());
    Ok(path.exists().then(|| Frozen::load(&path)).transpose()?)
}

fn tools(session: &Session) -> Result<Tools, Failure> {
    let program = output::program("uv").ok_or_else(|| {
        Failure::new(ExitCode::Invalid, "uv is not installed, which solves pip lists")
            .hint("install it, e.g. by `pip install uv`, or freeze a built image by `floe build --use-frozen 0`")
    })?;
    let site = &session.settings.site;
    let mirror = site.conda_mirror.as_deref().map(url::Url::parse).transpose();
    Ok(Tools {
        pip: Installer::Uv { program, cache: None },
        conda: Config {
            channels: site.conda_channels.clone(),
            alias: mirror.map_err(|error| Failure::new(ExitCode::Invalid, format!("CONDA_MIRROR: {error}")))?,
            certificates: site.ca.clone(),
            cache: Some(session.repository.path(".floe/cache/conda")),
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
