//! What the commands of one call share: the repository, its settings, the engine, the display.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Global, Missions};
use super::failure::{ExitCode, Failure};
use super::{output, secrets};
use crate::builder::{self, Built, site};
use crate::compose::Mounts;
use crate::config::{self, Settings, setup_env};
use crate::engine::Credentials;
use crate::engine::client::Docker;
use crate::event::Sink;
use crate::git;
use crate::plan::{self, BuildPlan};
use crate::reference::MissionName;
use crate::report::redact::{Redacted, Secrets};
use crate::report::terminal::Terminal;
use crate::repository::{self, Repository};
use crate::state::State;

/// One call of floe on a repository.
pub struct Session {
    /// The repository.
    pub repository: Repository,
    /// The settings.
    pub settings: Settings,
    /// floe's own state.
    pub state: State,
    /// The options of the command line that every command takes.
    pub global: Global,
    /// What nothing shows.
    secrets: Secrets,
}

impl Session {
    /// Finds the repository and resolves the settings.
    pub fn open(global: Global, flags: &BTreeMap<&'static str, String>) -> Result<Self, Failure> {
        let directory = directory(&global)?;
        let repository = Repository::around(&directory).ok_or_else(|| {
            let message = format!(
                "{} lies in no repository with missions/ and common/",
                directory.display()
            );
            Failure::new(ExitCode::Invalid, message).hint("change to one, or name it with --directory")
        })?;
        Self::of(repository, global, flags)
    }

    /// Resolves the settings of the repository, if there is one, for what needs none: without one, floe's own state is
    /// kept in the directory itself.
    pub fn open_anywhere(global: Global, flags: &BTreeMap<&'static str, String>) -> Result<Self, Failure> {
        let directory = directory(&global)?;
        Self::of(
            Repository::around(&directory).unwrap_or_else(|| Repository::at(directory)),
            global,
            flags,
        )
    }

    fn of(repository: Repository, global: Global, flags: &BTreeMap<&'static str, String>) -> Result<Self, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        let file = read_setup_env(&repository.path(repository::SETUP_ENV), &environment)?;
        let mut all = global.settings();
        all.extend(flags.iter().map(|(name, value)| (*name, value.clone())));
        let settings = config::resolve(&all, environment, &file)?;
        let secrets = secrets::of(&settings);
        output::hide(secrets.clone());
        Ok(Self {
            secrets,
            state: State::of(repository.root()),
            repository,
            settings,
            global,
        })
    }

    /// The missions that a command is for: those named, all, or the one that the settings name.
    pub fn missions(&self, selection: &Missions) -> Result<Vec<MissionName>, Failure> {
        if selection.all_missions {
            let all = self.repository.missions();
            if all.is_empty() {
                return Err(Failure::new(ExitCode::NothingRan, "missions/ holds no mission"));
            }
            return Ok(all);
        }
        if selection.missions.is_empty() {
            return Ok(vec![self.mission(None)?]);
        }
        selection.missions.iter().map(|name| Ok(name.parse()?)).collect()
    }

    /// One mission: the named one, or the one that the settings name.
    pub fn mission(&self, name: Option<&str>) -> Result<MissionName, Failure> {
        match (name, &self.settings.mission) {
            (Some(name), _) => Ok(name.parse()?),
            (None, Some(mission)) => Ok(mission.clone()),
            (None, None) => {
                let known = self.repository.missions();
                let known = known.iter().map(MissionName::as_str).collect::<Vec<_>>().join(", ");
                Err(Failure::new(ExitCode::Usage, "no mission is named").hint(format!(
                    "name one of {known}, set MISSION in setup-env, or take --all-missions"
                )))
            }
        }
    }

    /// Plans the images of `missions`.
    pub fn plan(&self, missions: &[MissionName]) -> Result<BuildPlan, Failure> {
        let agent = std::env::current_exe()
            .map_err(|error| Failure::new(ExitCode::Internal, format!("floe's own program: {error}")))?;
        Ok(plan::load(
            &self.repository,
            missions,
            &self.settings,
            &agent,
            &self.mounts(),
        )?)
    }

    /// What every `RUN` gets from this site.
    #[must_use]
    pub fn mounts(&self) -> Mounts {
        Mounts::for_secrets(site::secret_ids(&self.settings.site))
    }

    /// How plans are carried out here.
    pub fn options(&self, plan: &BuildPlan, no_cache: bool) -> Result<builder::Options, Failure> {
        let commits = plan.images.iter().filter_map(|image| {
            let commit = git::last_commit(self.repository.root(), &image.paths)?;
            Some((image.name.clone(), commit))
        });
        let credentials = match &plan.base {
            plan::Base::Reference(reference) => credentials(reference),
            plan::Base::Rootfs(_) => None,
        };
        Ok(builder::Options {
            no_cache,
            commits: commits.collect(),
            credentials,
            ..self.site_options()?
        })
    }

    /// What every build gets from this site.
    pub fn site_options(&self) -> Result<builder::Options, Failure> {
        Ok(builder::Options {
            secrets: site::secrets(&self.settings.site)?,
            proxies: site::proxies(&self.settings.site),
            retries: builder::RETRIES.to_vec(),
            ..builder::Options::default()
        })
    }

    /// The container engine.
    pub async fn engine(&self) -> Result<Docker, Failure> {
        Ok(Docker::connect(self.settings.docker_host.as_deref()).await?)
    }

    /// The display on standard error.
    #[must_use]
    pub fn display(&self) -> Arc<dyn Sink> {
        let style = output::style(self.global.color, self.global.verbose);
        self.guarded(Arc::new(Terminal::new(Box::new(io::stderr()), style)))
    }

    /// The sink, without the secrets that are known here.
    #[must_use]
    pub fn guarded(&self, sink: Arc<dyn Sink>) -> Arc<dyn Sink> {
        Redacted::guard(self.secrets.clone(), sink)
    }
}

/// The repository around the directory that the call is for, if it is in one.
pub fn repository(global: &Global) -> Result<Option<Repository>, Failure> {
    Ok(Repository::around(&directory(global)?))
}

/// The directory that the call is for.
fn directory(global: &Global) -> Result<PathBuf, Failure> {
    let directory = match &global.directory {
        Some(directory) => directory.clone(),
        None => std::env::current_dir().map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?,
    };
    Ok(std::path::absolute(&directory).unwrap_or(directory))
}

fn read_setup_env(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, setup_env::Assignment>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(setup_env::parse(path, &text, environment).map_err(config::ConfigError::from)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(source) => Err(config::ConfigError::Read {
            path: path.to_owned(),
            source,
        }
        .into()),
    }
}

/// What `docker login` has stored for the registry of `reference`.
#[must_use]
pub fn credentials(reference: &str) -> Option<Credentials> {
    let host = reference
        .split_once('/')
        .map(|(host, _)| host)
        .filter(|host| host.contains(['.', ':']) || *host == "localhost");
    let server = host.unwrap_or("https://index.docker.io/v1/");
    match docker_credential::get_credential(server).ok()? {
        docker_credential::DockerCredential::UsernamePassword(username, password) => {
            Some(Credentials { username, password })
        }
        docker_credential::DockerCredential::IdentityToken(_) => None,
    }
}

/// The image of `mission` among what was built or found.
pub fn image_of<'a>(built: &'a [Built], mission: &MissionName) -> Result<&'a Built, Failure> {
    let name = format!("mission {mission}");
    built
        .iter()
        .find(|image| image.name == name)
        .ok_or_else(|| Failure::new(ExitCode::Internal, format!("{name} is not in the plan")))
}
