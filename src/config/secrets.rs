//! The settings of secrets.

use std::path::{Component, PathBuf};

use super::{ConfigError, Values};

/// Where secrets are, and what opens them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretsSettings {
    /// The address or path of their git repository.
    pub repository: Option<String>,
    /// Where its clone is, relative to the root of this repository.
    pub directory: PathBuf,
    /// The encrypted file in it.
    pub file: PathBuf,
    /// A command that authorizes.
    pub login: Option<String>,
    /// The file of age keys, relative to the root of this repository.
    pub age_keys: Option<PathBuf>,
}

impl SecretsSettings {
    pub(super) fn of(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self {
            repository: values.text("SECRETS_REPO"),
            directory: values.text("SECRETS_DIR").unwrap_or_default().into(),
            file: values.parsed("SECRETS_FILE", below)?.unwrap_or_default(),
            login: values.text("SECRETS_LOGIN"),
            age_keys: values.text("SOPS_AGE_KEY_FILE").map(PathBuf::from),
        })
    }
}

/// A path that stays below where it is taken from.
fn below(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
    stays
        .then_some(path)
        .ok_or_else(|| "expected a path below that directory".to_owned())
}
