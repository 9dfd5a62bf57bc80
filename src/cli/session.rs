//! What the commands of one call share: where they work, and how they hear of interrupts.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::args::Global;
use super::failure::{ExitCode, Failure};
use super::{hidden, output, signals};
use crate::config::{self, setup_env};
use crate::engine::client::Docker;
use crate::engine::{Credentials, Engine, EngineError};
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
    pub fn open_anywhere(global: &Global, flags: &[Flag]) -> Result<Self, Failure> {
        let directory = directory(global)?;
        let repository = Repository::around(&directory).unwrap_or_else(|| Repository::at(directory));
        Self::of(repository, global, flags)
    }

    fn of(repository: Repository, global: &Global, flags: &[Flag]) -> Result<Self, Failure> {
        // The one provider of cryptography; a second call of this in one process is harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let interrupts = signals::listen()?;
        let environment = |name: &str| std::env::var(name).ok();
        let file = read_setup_env(&repository.path(repository::SETUP_ENV), &environment)?;
        let mut all = global.settings();
        all.extend(flags.iter().cloned());
        let settings = config::resolve(&all, environment, &file)?;
        let hidden = hidden::of(&settings);
        output::hide(hidden.clone());
        let agent = std::env::current_exe()
            .map_err(|error| Failure::new(ExitCode::Internal, format!("floe's own program: {error}")))?;
        let (color, verbose) = (global.color, global.verbose);
        let workplace = Workplace {
            state: State::of(repository.root()),
            repository,
            agent,
            hidden,
            display: Box::new(move || -> Arc<dyn Sink> {
                let style = output::style(color, verbose);
                Arc::new(Terminal::new(Box::new(io::stderr()), style))
            }),
            login,
            connect: Box::new(Daemon {
                host: settings.docker_host.clone(),
            }),
            connected: OnceCell::new(),
            settings,
        };
        Ok(Self { workplace, interrupts })
    }
}

/// The engine that the settings name.
struct Daemon {
    host: Option<String>,
}

#[async_trait]
impl Connect for Daemon {
    async fn connect(&self) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::new(Docker::connect(self.host.as_deref()).await?))
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
fn login(reference: &str) -> Option<Credentials> {
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
