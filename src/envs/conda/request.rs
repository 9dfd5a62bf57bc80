//! A conda dependency as the solver takes it, with the file that asked for it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rattler_conda_types::{MatchSpec, PackageName, ParseMatchSpecOptions};

use super::channels::{self, Channels};
use super::{CondaError, access};
use crate::spec::env::CondaSpec;

/// One dependency.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// What was written, where channels have their public addresses.
    pub(super) spec: CondaSpec,
    /// What it means.
    pub(super) matching: MatchSpec,
    /// The package.
    pub(super) name: PackageName,
}

impl Request {
    /// Reads the dependency. A channel that only it names becomes the last of the channels.
    pub(super) fn parse(spec: &CondaSpec, channels: &mut Channels) -> Result<Self, CondaError> {
        let unread = |message: String| CondaError::Spec {
            spec: CondaSpec {
                text: channels_hidden(&spec.text),
                ..spec.clone()
            },
            message,
        };
        let (channel, rest) = match spec.text.rsplit_once("::") {
            Some((channel, rest)) => (Some(channel.trim()), rest.trim()),
            None => (None, spec.text.trim()),
        };
        let options = ParseMatchSpecOptions::lenient().with_exact_names_only(true);
        let mut matching = MatchSpec::from_str(rest, options).map_err(|error| unread(error.to_string()))?;
        let mut text = rest.to_owned();
        // `[channel=…]` says the same as `…::`.
        let bracket = matching.channel.take().map(|channel| channel.base_url.to_string());
        if let Some(named) = channel.map(str::to_owned).or(bracket) {
            let (found, subdir) = channels.of_spec(&named)?;
            if channel.is_some() {
                let subdir = subdir.map(|subdir| format!("/{subdir}")).unwrap_or_default();
                let shown = match &found.name {
                    Some(name) if named.starts_with("defaults") => name.clone(),
                    _ => channels::name(found.base_url.url()),
                };
                text = format!("{shown}{subdir}::{rest}");
            }
            if let Some(subdir) = subdir {
                matching.subdir = Some(subdir.to_string());
            }
            matching.channel = Some(Arc::new(found));
        }
        let name = matching.name.as_exact().cloned();
        Ok(Self {
            name: name.ok_or_else(|| unread("it names no single package".to_owned()))?,
            spec: CondaSpec { text, ..spec.clone() },
            matching,
        })
    }

    /// That the package is to be there, whatever its version.
    pub(super) fn any(name: &PackageName, file: &Path) -> Self {
        Self {
            spec: CondaSpec {
                text: name.as_normalized().to_owned(),
                file: file.to_owned(),
                line: None,
            },
            matching: MatchSpec {
                name: name.clone().into(),
                ..MatchSpec::default()
            },
            name: name.clone(),
        }
    }
}

/// The requests that the solver's words speak of.
pub(super) fn named_in(requests: &[Request], words: &str) -> Vec<CondaSpec> {
    let words = words
        .split(|c: char| !(c.is_alphanumeric() || "._-".contains(c)))
        .collect::<BTreeSet<_>>();
    let named = requests
        .iter()
        .filter(|request| words.contains(request.name.as_normalized()))
        .map(|request| request.spec.clone());
    named.collect()
}

/// A spec that cannot be read, without the user and the password of an address in it.
fn channels_hidden(text: &str) -> String {
    let Some((channel, rest)) = text.rsplit_once("::") else {
        return text.to_owned();
    };
    match channel.parse::<url::Url>() {
        Ok(url) => format!("{}::{rest}", access::bare(&url)),
        Err(_) => text.to_owned(),
    }
}

/// The file that stands for what was there before floe.
pub(super) fn installed_before() -> PathBuf {
    PathBuf::from("(installed before)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envs::conda::Config;

    fn parse(text: &str) -> Result<(Request, Channels), CondaError> {
        let mut channels = Channels::new(&Config::default(), &[]).unwrap();
        let spec = CondaSpec {
            text: text.to_owned(),
            file: PathBuf::from("x.conda"),
            line: Some(7),
        };
        Ok((Request::parse(&spec, &mut channels)?, channels))
    }

    #[test]
    fn what_people_write_is_read() {
        for (text, meaning) in [
            ("numpy", "numpy"),
            ("numpy>=1.2,<2", "numpy >=1.2,<2"),
            ("numpy >= 1.2, < 2", "numpy >=1.2,<2"),
            ("python=3.8.*", "python 3.8.*"),
            ("numpy=1.26.4=py311h64a7726_0", "numpy ==1.26.4 py311h64a7726_0"),
            ("numpy==1.26.4", "numpy ==1.26.4"),
            ("numpy~=1.26", "numpy ~=1.26"),
            ("pytorch=*=*cuda*", "pytorch * *cuda*"),
        ] {
            let (request, _) = parse(text).unwrap();
            assert_eq!(request.matching.to_string(), meaning, "{text}");
        }
        let (request, _) = parse("pytorch[build=cuda*]").unwrap();
        assert!(request.matching.build.is_some());
    }

    #[test]
    fn a_channel_in_a_spec_is_searched_and_binding() {
        for text in [
            "conda-forge::fftw",
            "conda-forge/noarch::fftw",
            "fftw[channel=conda-forge]",
        ] {
            let (request, channels) = parse(text).unwrap();
            assert_eq!(channels.names(), ["conda-forge"], "{text}");
            assert_eq!(
                request.matching.channel.unwrap().canonical_name(),
                "https://conda.anaconda.org/conda-forge/",
                "{text}"
            );
            assert_eq!(request.matching.subdir.is_some(), text.contains("noarch"), "{text}");
        }
    }

    #[test]
    fn a_password_is_not_kept_with_the_spec() {
        let (request, _) = parse("https://me:secret@example.org/c::fftw >=3").unwrap();
        assert_eq!(request.spec.text, "https://example.org/c::fftw >=3");
        let error = parse("https://me:secret@example.org/c::fftw >=>3")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("x.conda:7: ") && !error.contains("secret"), "{error}");
    }
}
