//! What a site says about conda: channels, a mirror, a certificate authority, a cache.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::spec::env::SpecError;

/// Settings for conda packages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Channels, by name or URL, where a spec file names none or leaves room for them.
    pub channels: Vec<String>,
    /// What the channel `defaults` stands for.
    pub default_channels: Vec<String>,
    /// A mirror of <https://conda.anaconda.org>. It may hold credentials.
    pub alias: Option<Url>,
    /// A PEM bundle of certificate authorities to trust beside the public ones.
    pub certificates: Option<PathBuf>,
    /// Where packages and channel indices are kept; without it nothing is kept.
    pub cache: Option<PathBuf>,
    /// How long a server may be silent; a minute, where nobody says otherwise.
    pub read_timeout: Option<Duration>,
    /// How often a request is made again after a failure that may pass; 3 times, where nobody says otherwise.
    pub retries: Option<u32>,
    /// The version of CUDA to solve for. An image is built where no GPU can be seen, so it is never looked for.
    pub cuda: Option<String>,
}

impl Config {
    /// Takes in the `.condarc` file at `path`, whose settings win over those that are there. A missing file says nothing.
    pub fn read(&mut self, path: &Path) -> Result<(), SpecError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                return Err(SpecError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let malformed = |line, message| SpecError::Malformed {
            path: path.to_owned(),
            line,
            message,
        };
        let file = serde_yaml::from_str::<Option<Condarc>>(&text)
            .map_err(|error| malformed(error.location().map(|at| at.line()), error.to_string()))?
            .unwrap_or_default();
        if let Some(channels) = file.channels {
            self.channels = channels.into_list();
        }
        if let Some(channels) = file.default_channels {
            self.default_channels = channels.into_list();
        }
        if let Some(alias) = file.channel_alias {
            // The value may hold a password, so it is not repeated.
            let url = Url::parse(&alias).ok().filter(|url| !url.cannot_be_a_base());
            self.alias = Some(url.ok_or_else(|| malformed(None, "`channel_alias` is no URL".to_owned()))?);
        }
        if let Some(seconds) = file.remote_read_timeout_secs {
            let time = Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero());
            let no_time = || malformed(None, "`remote_read_timeout_secs` is no time".to_owned());
            self.read_timeout = Some(time.ok_or_else(no_time)?);
        }
        self.retries = file.remote_max_retries.or(self.retries);
        Ok(())
    }

    /// Whether any channel is configured, so that environments are made of conda packages.
    #[must_use]
    pub fn has_channels(&self) -> bool {
        self.channels
            .iter()
            .any(|channel| channel != super::channels::NODEFAULTS)
    }
}

/// The keys of a `.condarc` that count here; it has many more.
#[derive(Default, Deserialize)]
struct Condarc {
    channels: Option<OneOrMany>,
    default_channels: Option<OneOrMany>,
    channel_alias: Option<String>,
    remote_read_timeout_secs: Option<f64>,
    remote_max_retries: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_list(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, SpecError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let mut config = Config::default();
        config.read(file.path())?;
        Ok(config)
    }

    #[test]
    fn channels_and_the_mirror_are_read_and_the_rest_is_left() {
        let config = read(
            "channels:\n- conda-forge\n- https://example.org/c\nssl_verify: true\nchannel_alias: https://u:p@mirror.example.org/conda\n",
        )
        .unwrap();
        assert_eq!(config.channels, ["conda-forge", "https://example.org/c"]);
        assert_eq!(config.alias.unwrap().as_str(), "https://u:p@mirror.example.org/conda");
        assert!(!read("# nothing\n").unwrap().has_channels());
        assert_eq!(read("channels: conda-forge\n").unwrap().channels, ["conda-forge"]);
    }

    #[test]
    fn a_site_says_how_patient_to_be_in_the_words_of_conda() {
        let config = read("remote_read_timeout_secs: 2.5\nremote_max_retries: 1\n").unwrap();
        assert_eq!(config.read_timeout, Some(Duration::from_millis(2500)));
        assert_eq!(config.retries, Some(1));
        assert!(read("remote_read_timeout_secs: 0\n").is_err());
        assert_eq!(read("channels: []\n").unwrap(), Config::default());
    }

    #[test]
    fn a_file_that_is_missing_says_nothing() {
        let mut config = Config::default();
        config.read(Path::new("/nonexistent/.condarc")).unwrap();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn a_mirror_that_is_no_url_is_refused_and_not_repeated() {
        let error = read("channel_alias: u:secret@host\n").unwrap_err().to_string();
        assert!(error.contains("channel_alias") && !error.contains("secret"), "{error}");
    }
}
