//! The settings: every variable that floe reads, resolved and parsed.
//!
//! Order of precedence: command-line flag, environment variable, `setup-env`, default. [`declared`] is the one list of the
//! variables; of `setup-env`, a file of the shell, [`setup_env`] reads the safe part of the language and refuses the rest.

mod builds;
mod commands;
pub mod declared;
mod misspelt;
mod secrets;
pub mod setup_env;
mod sourced;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::address;
use crate::fault::{Explained, Kind, Place};
use crate::layers::Compression;
use crate::mount::Mount;
use crate::quantity::{self, Limit, Size};
use crate::reference::{ImageReference, MissionName, OwnTag, ReferenceError, RegistryPath};
use crate::suite::options::{RunOptions, VariableError, number};
pub use builds::BuildSettings;
pub use misspelt::{misspelt, original};
pub use secrets::SecretsSettings;
use setup_env::{Assignment, SetupEnvError};
pub use sourced::{Sourced, sourced};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag.
    Flag,
    /// An environment variable.
    Environment,
    /// A line of `setup-env`.
    SetupEnv {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// The built-in default.
    Default,
}

/// The settings of one call, resolved and parsed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The mission that commands take when none is named.
    pub mission: Option<MissionName>,
    /// Whether frozen specs are built.
    pub use_frozen: bool,
    /// How images are built.
    pub build: BuildSettings,
    /// What the common image extends.
    pub base_image: BaseImage,
    /// Where images are pushed.
    pub registry: Option<RegistryPath>,
    /// What else pushed images are called there, each once.
    pub tags: Vec<OwnTag>,
    /// How floe compresses the layers of images that it pushes; without it the engine pushes.
    pub compression: Option<Compression>,
    /// What signs evidence, and what evidence must be signed by.
    pub signing: Signing,
    /// The site's own gates before a push, by their shell commands.
    pub gates: Vec<String>,
    /// How long each of them may take.
    pub gate_timeout: Option<Limit>,
    /// What builds need to reach the outside world.
    pub site: Site,
    /// How tests are run.
    pub run: RunOptions,
    /// How long results of tests stand for tests that nothing has changed for; `None`: all tests run.
    pub carry: Option<Limit>,
    /// How much memory a container of tests may take; `None`: as much as the engine lets it.
    pub container_memory: Option<Size>,
    /// Whether the server of an image is tested.
    pub test_server: bool,
    /// How long a server may take until it answers.
    pub server_timeout: Option<Limit>,
    /// The directory that people's containers have as the home directory.
    pub home_mount: Option<PathBuf>,
    /// What else they have of this machine.
    pub data_mounts: Vec<Mount>,
    /// The engine's address.
    pub docker_host: Option<String>,
    /// The context of Docker's client that names the engine, where there is no address.
    pub docker_context: Option<String>,
    /// Whether an engine at a TCP address is spoken to by TLS.
    pub docker_tls_verify: bool,
    /// The directory of the certificates for that.
    pub docker_cert_path: Option<PathBuf>,
    /// Where secrets are.
    pub secrets: SecretsSettings,
}

/// The names of all settings.
pub fn names() -> impl Iterator<Item = &'static str> {
    declared::SETTINGS.iter().map(|setting| setting.name)
}

/// What the common image extends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseImage {
    /// The base that floe makes from Debian's packages.
    Debian,
    /// An image that the engine has or can pull.
    Reference(ImageReference),
}

/// What signs evidence, and what evidence must be signed by.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Signing {
    /// The file of the private key.
    pub key: Option<PathBuf>,
    /// The password that opens it.
    pub password: String,
    /// The file of the public key that gates require.
    pub verify: Option<PathBuf>,
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password is nobody's to see.
        let mut shown = f.debug_struct("Signing");
        shown
            .field("key", &self.key)
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}

/// What builds need to reach the outside world from this site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// A PEM bundle of the certificates to trust.
    pub ca: Option<PathBuf>,
    /// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, those that are set.
    pub proxies: BTreeMap<String, String>,
    /// The Python package index.
    pub pip_index: Option<String>,
    /// The conda channels of specs that name none.
    pub conda_channels: Vec<String>,
    /// What serves the channels of <https://conda.anaconda.org> here.
    pub conda_mirror: Option<String>,
    /// The Debian mirror.
    pub apt_mirror: Option<String>,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A line of `setup-env` is outside of the language floe reads.
    #[error(transparent)]
    SetupEnv(#[from] SetupEnvError),
    /// `setup-env` cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A value does not fit its variable.
    #[error("{}{name}={value}: {reason}", place(.origin))]
    Value {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// Where the value came from.
        origin: Origin,
        /// What is wrong with it.
        reason: String,
    },
}

impl Explained for ConfigError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::SetupEnv(_) => "setup-env holds comments and `export NAME=value` lines; see setup-env.template",
            Self::Value { .. } => "setup-env.template explains every setting",
            Self::Read { .. } => return None,
        };
        Some(hint.to_owned())
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::SetupEnv(SetupEnvError { path, line, .. })
            | Self::Value {
                origin: Origin::SetupEnv { path, line },
                ..
            } => Some(Place::of(path, Some(*line))),
            Self::Read { path, .. } => Some(Place::of(path, None)),
            Self::Value { .. } => None,
        }
    }
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::SetupEnv { path, line } => format!("{}:{line}: ", path.display()),
        Origin::Environment => "environment variable ".to_owned(),
        Origin::Flag | Origin::Default => String::new(),
    }
}

/// Resolves and parses the settings.
///
/// `flags` holds what the command line sets, by variable name; `environment` reads an environment variable; `file` is
/// what `setup-env` assigns. An empty environment variable counts as set: it overrides `setup-env`.
pub fn resolve(
    flags: &BTreeMap<&'static str, String>,
    environment: impl Fn(&str) -> Option<String>,
    file: &BTreeMap<String, Assignment>,
) -> Result<Settings, ConfigError> {
    let values = Values {
        values: sourced(flags, &environment, file)
            .into_iter()
            .map(|setting| (setting.name, (setting.value, setting.origin)))
            .collect(),
    };
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), values.text(name)?)))
        .collect();
    let ca = match values.text("SITE_CA") {
        Some(path) => Some(values.file("SITE_CA", path)?),
        None => environment("SSL_CERT_FILE")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .filter(|path| path.is_file()),
    };
    Ok(Settings {
        mission: values.parsed("MISSION", named)?,
        use_frozen: values.switch("USE_FROZEN")?,
        build: BuildSettings::of(&values)?,
        base_image: match values.text("BASE_IMAGE").as_deref() {
            None | Some("debian") => BaseImage::Debian,
            Some(text) => BaseImage::Reference(
                text.parse()
                    .map_err(|error: ReferenceError| values.error("BASE_IMAGE", error.to_string()))?,
            ),
        },
        registry: values.parsed("REGISTRY", named)?,
        tags: values.parsed("IMAGE_TAG", tags)?.unwrap_or_default(),
        compression: values
            .parsed("LAYER_COMPRESSION", compression)?
            .unwrap_or(Some(Compression::Gzip)),
        signing: Signing {
            key: values.path("SIGNING_KEY")?,
            password: values.values["COSIGN_PASSWORD"].0.clone(),
            verify: values.path("VERIFY_KEY")?,
        },
        gates: values
            .text("GATE_COMMANDS")
            .map(|text| commands::split(&text))
            .unwrap_or_default(),
        gate_timeout: values.parsed("GATE_TIMEOUT", quantity::parsed)?,
        site: Site {
            ca,
            proxies,
            pip_index: values.text("PIP_INDEX_URL"),
            conda_channels: values
                .text("CONDA_CHANNELS")
                .map(|text| words(&text))
                .unwrap_or_default(),
            conda_mirror: values.parsed("CONDA_MIRROR", url)?,
            apt_mirror: values.text("APT_MIRROR"),
        },
        run: RunOptions::of_variables(|name| values.text(name))
            .map_err(|VariableError { name, reason, .. }| values.error(name, reason))?,
        carry: values.parsed("CARRY_TESTS", quantity::parsed_or_none)?.flatten(),
        container_memory: values.parsed("CONTAINER_MEMORY", quantity::parsed)?,
        test_server: values.switch("TEST_SERVER")?,
        server_timeout: values.parsed("SERVER_TIMEOUT", quantity::parsed)?,
        home_mount: values.text("HOME_MOUNT").map(PathBuf::from),
        data_mounts: values.parsed("DATA_MOUNTS", mounts)?.unwrap_or_default(),
        docker_host: values.text("DOCKER_HOST"),
        docker_context: values.text("DOCKER_CONTEXT"),
        // As with Docker's client, any value but an empty one.
        docker_tls_verify: values.text("DOCKER_TLS_VERIFY").is_some(),
        docker_cert_path: values.text("DOCKER_CERT_PATH").map(PathBuf::from),
        secrets: SecretsSettings::of(&values)?,
    })
}

struct Values {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Values {
    /// The value, or `None` if it is empty.
    fn text(&self, name: &'static str) -> Option<String> {
        let (text, _) = &self.values[name];
        (!text.trim().is_empty()).then(|| text.trim().to_owned())
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let parsed = self.text(name).map(|text| parse(&text)).transpose();
        parsed.map_err(|reason| self.error(name, reason))
    }

    fn switch(&self, name: &'static str) -> Result<bool, ConfigError> {
        match self.text(name).as_deref() {
            Some("1") => Ok(true),
            Some("0") => Ok(false),
            _ => Err(self.error(name, "expected 0 or 1".to_owned())),
        }
    }

    /// A file that must be there, if one is named.
    fn path(&self, name: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        self.text(name).map(|path| self.file(name, path)).transpose()
    }

    fn file(&self, name: &'static str, path: String) -> Result<PathBuf, ConfigError> {
        let path = PathBuf::from(path);
        if path.is_file() {
            Ok(path)
        } else {
            Err(self.error(name, "there is no such file".to_owned()))
        }
    }

    fn error(&self, name: &'static str, reason: String) -> ConfigError {
        let (value, origin) = self.values[name].clone();
        ConfigError::Value {
            name,
            value: address::without_credentials(&value),
            origin,
            reason,
        }
    }
}

/// A name or reference.
fn named<T: FromStr<Err = ReferenceError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: ReferenceError| error.to_string())
}

fn compression(text: &str) -> Result<Option<Compression>, String> {
    match text {
        "engine" => Ok(None),
        other => other.parse().map(Some),
    }
}

/// Tags separated by blanks or commas.
fn tags(text: &str) -> Result<Vec<OwnTag>, String> {
    let mut tags = Vec::new();
    for word in words(text) {
        let tag = named(&word)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

/// Mounts separated by blanks.
fn mounts(text: &str) -> Result<Vec<Mount>, String> {
    let mounts = text.split_whitespace().map(str::parse::<Mount>);
    mounts.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// Words separated by blanks or commas.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn url(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https" | "file") => Ok(text.trim_end_matches('/').to_owned()),
        Ok(url) => Err(format!(
            "expected a URL of http, https or file, not of {}",
            url.scheme()
        )),
        Err(error) => Err(format!("expected a URL: {error}")),
    }
}

#[cfg(test)]
mod tests;
