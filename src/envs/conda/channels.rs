//! Channels as people write them, turned into addresses in the order of their priority.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;

use rattler_conda_types::{Channel, Subdir};
use rattler_repodata_gateway::{MultiSource, Source};
use url::Url;

use super::access::{ANACONDA, Access};
use super::{CondaError, Config};

/// Stands for the channels that a site calls its defaults.
const DEFAULTS: &str = "defaults";

/// In a list of channels: the configured ones are not wanted.
pub(super) const NODEFAULTS: &str = "nodefaults";

/// What conda takes for `defaults` where nobody says otherwise.
const ANACONDA_DEFAULTS: [&str; 2] = [
    "https://repo.anaconda.com/pkgs/main",
    "https://repo.anaconda.com/pkgs/r",
];

/// The channels of one environment, the one that matters most first.
#[derive(Debug, Clone)]
pub(super) struct Channels {
    tiers: Vec<Tier>,
    defaults: Vec<Channel>,
    pub(super) access: Access,
}

/// Channels among which the version alone decides.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tier {
    One(Channel),
    Defaults(Vec<Channel>),
}

impl Channels {
    /// The channels `named`, then the configured ones, unless `nodefaults` is among those named.
    pub(super) fn new(config: &Config, named: &[String]) -> Result<Self, CondaError> {
        let mut channels = Self {
            tiers: Vec::new(),
            defaults: Vec::new(),
            access: Access::new(config.alias.as_ref()),
        };
        let configured = config.channels.iter().filter(|name| !is_special(name));
        let defaults = match () {
            () if !config.default_channels.is_empty() => config.default_channels.clone(),
            () if configured.clone().next().is_some() => configured.cloned().collect(),
            () => ANACONDA_DEFAULTS.map(str::to_owned).to_vec(),
        };
        for name in defaults.iter().filter(|name| !is_special(name)) {
            let channel = channels.parse(name)?;
            channels.defaults.push(channel);
        }
        let only_named = named.iter().any(|name| name == NODEFAULTS);
        let chosen = named.iter().any(|name| !is_special(name));
        let others = config.channels.iter().filter(|name| {
            // `nodefaults` alone leaves nothing but the configured channels to install from.
            !(only_named && (chosen || name.as_str() == DEFAULTS))
        });
        for name in named.iter().chain(others) {
            channels.add(name)?;
        }
        Ok(channels)
    }

    /// Adds a channel behind the others, unless it is among them.
    fn add(&mut self, name: &str) -> Result<(), CondaError> {
        let tier = match name.trim() {
            NODEFAULTS => return Ok(()),
            DEFAULTS => Tier::Defaults(self.defaults.clone()),
            name => Tier::One(self.parse(name)?),
        };
        if !self.tiers.contains(&tier) {
            self.tiers.push(tier);
        }
        Ok(())
    }

    /// The channel, and the platform that a package is to come from, where one is named (`conda-forge/noarch`).
    /// The channel becomes the last one, unless it is among the channels.
    pub(super) fn of_spec(&mut self, text: &str) -> Result<(Channel, Option<Subdir>), CondaError> {
        let (text, subdir) = split_subdir(text);
        if text == DEFAULTS {
            self.add(text)?;
            // By this name a solver knows them all.
            let base = Url::parse(ANACONDA).map_err(|error| invalid(text, error.to_string()))?;
            let named = Channel {
                name: Some(DEFAULTS.to_owned()),
                ..Channel::from_url(base)
            };
            return Ok((named, subdir));
        }
        let channel = self.parse(text)?;
        let known = self.addresses().any(|url| url == **channel.base_url.url());
        if !known {
            self.tiers.push(Tier::One(channel.clone()));
        }
        Ok((channel, subdir))
    }

    /// The channel of a name, an address or a path.
    fn parse(&mut self, text: &str) -> Result<Channel, CondaError> {
        let text = split_subdir(text.trim()).0;
        let url = if text.contains("://") {
            let url = Url::parse(text).map_err(|error| invalid(&shown(text), error.to_string()))?;
            self.access.publish(&url)
        } else if text.starts_with(['/', '.', '~']) {
            let path = std::path::absolute(Path::new(text)).map_err(|error| invalid(text, error.to_string()))?;
            Url::from_directory_path(path).map_err(|()| invalid(text, "it is no path".to_owned()))?
        } else {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
            if text.is_empty() || !text.chars().all(plain) {
                return Err(invalid(text, "it is neither a name nor an address".to_owned()));
            }
            let url = Url::parse(&format!("{ANACONDA}{}/", text.trim_end_matches('/')));
            url.map_err(|error| invalid(text, error.to_string()))?
        };
        Ok(Channel::from_url(url))
    }

    /// What the gateway asks.
    pub(super) fn sources(&self) -> Vec<Source> {
        let sources = self.tiers.iter().flat_map(|tier| match tier {
            Tier::One(channel) => vec![Source::from(channel.clone())],
            Tier::Defaults(channels) => {
                let members = channels.iter().cloned().map(Source::from).collect::<Vec<_>>();
                match MultiSource::new(Arc::from(DEFAULTS), members.clone()) {
                    Ok(group) => vec![Source::from(group)],
                    Err(_) => members,
                }
            }
        });
        sources.collect()
    }

    /// Whether there is a choice between channels.
    pub(super) fn have_priorities(&self) -> bool {
        self.tiers.len() > 1
    }

    /// Every single channel.
    pub(super) fn each(&self) -> impl Iterator<Item = &Channel> {
        self.tiers.iter().flat_map(|tier| match tier {
            Tier::One(channel) => std::slice::from_ref(channel),
            Tier::Defaults(channels) => channels.as_slice(),
        })
    }

    /// The public addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Url> {
        self.each().map(|channel| Url::clone(channel.base_url.url()))
    }

    /// What a later change of the environment names to get the same channels.
    pub(super) fn names(&self) -> Vec<String> {
        self.tiers
            .iter()
            .map(|tier| match tier {
                Tier::One(channel) => name(channel.base_url.url()),
                Tier::Defaults(_) => DEFAULTS.to_owned(),
            })
            .collect()
    }
}

/// The shortest name of a channel: `conda-forge`, or an address.
pub(super) fn name(url: &Url) -> String {
    let text = url.as_str();
    text.strip_prefix(ANACONDA)
        .unwrap_or(text)
        .trim_end_matches('/')
        .to_owned()
}

fn is_special(name: &str) -> bool {
    [DEFAULTS, NODEFAULTS].contains(&name.trim())
}

fn split_subdir(text: &str) -> (&str, Option<Subdir>) {
    let text = text.trim_end_matches('/');
    match text.rsplit_once('/') {
        Some((channel, last)) if !channel.is_empty() => match Subdir::from_str(last) {
            Ok(subdir) if is_known(subdir) => (channel, Some(subdir)),
            _ => (text, None),
        },
        _ => (text, None),
    }
}

fn is_known(subdir: Subdir) -> bool {
    [
        "linux-64",
        "linux-aarch64",
        "linux-ppc64le",
        "noarch",
        "osx-64",
        "osx-arm64",
        "win-64",
    ]
    .contains(&subdir.as_str())
}

/// An address that cannot be parsed, without what may be a password.
fn shown(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => text.to_owned(),
    }
}

fn invalid(channel: &str, message: String) -> CondaError {
    CondaError::Channel {
        channel: channel.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(config: &[&str], named: &[&str]) -> Vec<String> {
        let config = Config {
            channels: config.iter().map(|&name| name.to_owned()).collect(),
            ..Config::default()
        };
        let named = named.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        Channels::new(&config, &named).unwrap().names()
    }

    #[test]
    fn named_channels_come_before_configured_ones() {
        assert_eq!(
            names(&["conda-forge"], &["astro", "conda-forge"]),
            ["astro", "conda-forge"]
        );
        assert_eq!(names(&["conda-forge"], &[]), ["conda-forge"]);
        assert_eq!(names(&["conda-forge"], &["astro"]), ["astro", "conda-forge"]);
    }

    #[test]
    fn nodefaults_leaves_the_configured_ones_out() {
        assert_eq!(names(&["conda-forge", "defaults"], &["astro", "nodefaults"]), ["astro"]);
        assert_eq!(names(&["conda-forge", "defaults"], &["nodefaults"]), ["conda-forge"]);
    }

    #[test]
    fn defaults_are_what_the_site_says() {
        let config = Config {
            channels: vec!["conda-forge".to_owned()],
            ..Config::default()
        };
        let of = |config: &Config| {
            let channels = Channels::new(config, &[DEFAULTS.to_owned(), NODEFAULTS.to_owned()]).unwrap();
            channels.addresses().map(|url| url.to_string()).collect::<Vec<_>>()
        };
        assert!(of(&config).contains(&"https://conda.anaconda.org/conda-forge/".to_owned()));
        assert!(of(&Config::default()).contains(&"https://repo.anaconda.com/pkgs/main/".to_owned()));
    }

    #[test]
    fn a_channel_is_a_name_an_address_or_a_path() {
        assert_eq!(
            names(
                &[],
                &[
                    "conda-forge/label/dev",
                    "https://conda.anaconda.org/astro/",
                    "/srv/c",
                    "file:///srv/c/noarch"
                ]
            ),
            ["conda-forge/label/dev", "astro", "file:///srv/c"]
        );
        let error = Channels::new(&Config::default(), &["https://me:secret@[".to_owned()]).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(Channels::new(&Config::default(), &["a b".to_owned()]).is_err());
    }
}
