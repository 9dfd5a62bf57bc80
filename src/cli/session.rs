//! What the commands of one call share: where they work, and how they hear of interrupts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::args::Global;
use super::failure::{ExitCode, Failure};
use super::logins::login;
use super::template::Apart;
use super::{hidden, output, signals};
use crate::config::{self, BaseImage, Settings, setup_env};
use crate::engine::{self, Cluster, Directions, Engine, EngineError, EngineName, JobSettings, LeftRuns, Surroundings};
use crate::event::Sink;
use crate::report::terminal::Terminal;
use crate::repository::{self, Repository};
use crate::state::State;
use crate::workflow::{Connect, Interrupts, Workplace};

/// One call of floe.
pub struct Session {
    /// Where it works.
    pub workplace: Workplace,
    /// How it hears of interrupts.
    pub interrupts: Interrupts,
}

/// What a flag sets, by the name of the setting.
pub type Flag = (&'static str, String);

impl Session {
    /// Finds the repository and resolves the settings.
    pub fn open(global: &Global, flags: &[Flag]) -> Result<Self, Failure> {
        let directory = directory(global)?;
        let repository = Repository::around(&directory).ok_or_else(|| {
            let message = format!("{} lies in no repository with missions/", directory.display());
            Failure::new(ExitCode::Invalid, message)
                .hint("change to one, name it with --directory, or make one: `floe init`")
        })?;
        Self::of(repository, global, flags)
    }

    /// Finds the repository of deployments, and resolves its settings.
    pub fn open_deployments(global: &Global, flags: &[Flag]) -> Result<Self, Failure> {
        let directory = directory(global)?;
        let repository = Repository::of_deployments_around(&directory).ok_or_else(|| {
            let message = format!("{} lies in no repository with deployments/", directory.display());
            Failure::new(ExitCode::Invalid, message).hint("change to one, or name it with --directory")
        })?;
        Self::of(repository, global, flags)
    }

    /// Finds the repository of missions, or else that of deployments, and resolves its settings.
    pub fn open_with_deployments(global: &Global, flags: &[Flag]) -> Result<Self, Failure> {
        let directory = directory(global)?;
        match Repository::around(&directory) {
            None if Repository::of_deployments_around(&directory).is_some() => Self::open_deployments(global, flags),
            _ => Self::open(global, flags),
        }
    }

    /// Resolves the settings of the repository, if there is one, for what needs none: without one, floe's own state is
    /// kept in the directory itself.
    pub fn open_anywhere(global: &Global, flags: &[Flag]) -> Result<Self, Failure> {
        let directory = directory(global)?;
        let repository = Repository::around(&directory).unwrap_or_else(|| Repository::at(directory));
        Self::of(repository, global, flags)
    }

    /// The same, without a word of what somebody may have meant otherwise.
    pub fn open_quietly(global: &Global) -> Result<Self, Failure> {
        let repository = place(global)?;
        let sources = Sources::read(&repository, global, &[])?;
        Self::with(repository, &sources)
    }

    fn of(repository: Repository, global: &Global, flags: &[Flag]) -> Result<Self, Failure> {
        output::within(repository.clone());
        let sources = Sources::read(&repository, global, flags)?;
        for doubt in sources.doubts() {
            output::warn(&doubt);
        }
        Self::with(repository, &sources)
    }

    fn with(repository: Repository, sources: &Sources) -> Result<Self, Failure> {
        // The one provider of cryptography; a second call of this in one process is harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        output::within(repository.clone());
        let interrupts = signals::listen()?;
        let settings = sources.settings()?;
        let state = State::of(repository.root());
        // Only a repository of missions needs what they share.
        let repository = if repository.path(repository::MISSIONS).is_dir() {
            repository.completed(&state.carried(), settings.base_image == BaseImage::Debian)?
        } else {
            repository
        };
        let hidden = hidden::of(&settings);
        output::hide(hidden.clone());
        let agent = std::env::current_exe()
            .map_err(|error| Failure::new(ExitCode::Internal, format!("floe's own program: {error}")))?;
        let workplace = Workplace {
            state,
            repository,
            agent: agent.clone(),
            renderer: Box::new(Apart { program: agent }),
            hidden,
            display: Box::new(move || -> Arc<dyn Sink> {
                Arc::new(Terminal::new(Box::new(io::stderr()), output::style()))
            }),
            login,
            connect: Box::new(Daemon {
                directions: directions(&settings),
                kubeconfigs: kubeconfigs(),
            }),
            connected: OnceCell::new(),
            settings,
        };
        Ok(Self { workplace, interrupts })
    }
}

/// What sets the settings of a call, before they are parsed.
pub struct Sources {
    flags: BTreeMap<&'static str, String>,
    file: BTreeMap<String, setup_env::Assignment>,
}

impl Sources {
    /// Reads what sets the settings in `repository`.
    pub fn read(repository: &Repository, global: &Global, flags: &[Flag]) -> Result<Self, Failure> {
        let mut all = global.settings();
        all.extend(flags.iter().cloned());
        Ok(Self {
            flags: all,
            file: read_setup_env(&repository.path(repository::SETUP_ENV), &variable)?,
        })
    }

    /// What somebody may have meant otherwise, a sentence each.
    pub fn doubts(&self) -> Vec<String> {
        let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let named = variables.chain(self.file.keys().cloned()).collect::<BTreeSet<_>>();
        let misspelt = config::misspelt(named.iter().map(String::as_str)).into_iter();
        let misspelt = misspelt.map(|(name, meant)| format!("{name} is no setting; is {meant} meant?"));
        let original = config::original(self.file.keys().map(String::as_str)).into_iter();
        let original = original.map(|(name, here)| {
            let line = self.file[name].line;
            format!("setup-env:{line}: {name} is a setting of the original framework; here it is {here}")
        });
        misspelt.chain(original).collect()
    }

    /// Every setting as it stands.
    pub fn all(&self) -> Vec<config::Sourced> {
        config::sourced(&self.flags, variable, &self.file)
    }

    /// The settings, parsed.
    pub fn settings(&self) -> Result<Settings, config::ConfigError> {
        config::resolve(&self.flags, variable, &self.file)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The engine that the settings name.
struct Daemon {
    directions: Directions,
    kubeconfigs: Vec<PathBuf>,
}

#[async_trait]
impl Connect for Daemon {
    async fn connect(&self) -> Result<Arc<dyn Engine>, EngineError> {
        engine::connect(&self.directions).await
    }

    async fn engine(&self, name: &EngineName) -> Result<Arc<dyn Engine>, EngineError> {
        engine::connect(&self.directions.to(name)).await
    }

    async fn cluster(&self, context: Option<&str>, jobs: JobSettings) -> Result<Arc<dyn LeftRuns>, EngineError> {
        let surroundings = Surroundings {
            files: self.kubeconfigs.clone(),
            context: context.map(str::to_owned),
            jobs,
        };
        Ok(Arc::new(Cluster::connect(&surroundings).await?))
    }
}

/// The files that say where clusters are, as kubectl finds them.
fn kubeconfigs() -> Vec<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").filter(|named| !named.is_empty());
    let named = named.map(|named| std::env::split_paths(&named).collect());
    named.unwrap_or_else(|| {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        home.map(|home| home.join(".kube/config")).into_iter().collect()
    })
}

/// What leads to the engine: the settings, and where Docker's own client and engines without root keep their files.
fn directions(settings: &Settings) -> Directions {
    let path = |name: &str| {
        std::env::var_os(name)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    Directions {
        host: settings.docker_host.clone(),
        context: settings.docker_context.clone(),
        tls: settings.docker_tls_verify,
        certificates: settings.docker_cert_path.clone(),
        client: path("DOCKER_CONFIG").or_else(|| path("HOME").map(|home| home.join(".docker"))),
        runtime: path("XDG_RUNTIME_DIR"),
        podman: output::program("podman"),
    }
}

/// The repository around the directory that the call is for; the directory itself where there is none.
pub fn place(global: &Global) -> Result<Repository, Failure> {
    let directory = directory(global)?;
    Ok(Repository::around(&directory).unwrap_or_else(|| Repository::at(directory)))
}

/// The repository around the directory that the call is for, if it is in one.
pub fn repository(global: &Global) -> Result<Option<Repository>, Failure> {
    Ok(Repository::around(&directory(global)?))
}

/// The directory that the call is for.
pub fn directory(global: &Global) -> Result<PathBuf, Failure> {
    let directory = match &global.directory {
        Some(directory) => directory.clone(),
        None => std::env::current_dir().map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?,
    };
    Ok(std::path::absolute(&directory).unwrap_or(directory))
}

/// More than this is no `setup-env`, in bytes.
const LONGEST_SETUP_ENV: u64 = 1 << 20;

fn read_setup_env(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, setup_env::Assignment>, Failure> {
    // Whoever wrote the repository may have written this, too.
    let about = std::fs::metadata(path);
    if about.is_ok_and(|about| !about.is_file() || about.len() > LONGEST_SETUP_ENV) {
        let message = format!("{} is no file of settings that somebody wrote", path.display());
        return Err(Failure::new(ExitCode::Invalid, message));
    }
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
