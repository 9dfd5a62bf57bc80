//! Where lists say that packages are, beside the index of the site, and the credentials that those places want.

use std::collections::BTreeMap;
use std::path::Path;

use url::Url;

use super::{PipLine, is_local};
use crate::address;

/// Where lists say that packages are, beside the index of the site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The indexes (PEP 503), in the order in which they are asked.
    pub indexes: Vec<String>,
    /// Pages with links to archives.
    pub links: Vec<String>,
}

impl Sources {
    /// What the lines name. What a list names instead of the site's index is asked before it: other lists, and what the
    /// environment began with, have packages of the site's.
    #[must_use]
    pub fn of(lines: &[PipLine]) -> Self {
        let named = |option: &str| {
            let mut values = Vec::new();
            for line in lines {
                let value = match line.option() {
                    Some((name, value)) if name == option && !value.is_empty() => value,
                    _ => continue,
                };
                let value = if is_local(value) && !value.starts_with("file:") {
                    let directory = line.file.parent().unwrap_or(Path::new(""));
                    format!("file://{}", directory.join(value).display())
                } else {
                    value.to_owned()
                };
                if !values.contains(&value) {
                    values.push(value);
                }
            }
            values
        };
        let mut indexes = named("--extra-index-url");
        for index in named("--index-url") {
            if !indexes.contains(&index) {
                indexes.push(index);
            }
        }
        Self {
            indexes,
            links: named("--find-links"),
        }
    }

    /// Whether the lists name none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indexes.is_empty() && self.links.is_empty()
    }

    /// The options that name them, as lines of a list.
    #[must_use]
    pub fn options(&self) -> String {
        let indexes = self.indexes.iter().map(|url| format!("--extra-index-url {url}\n"));
        let links = self.links.iter().map(|url| format!("--find-links {url}\n"));
        indexes.chain(links).collect()
    }

    /// Whether `index` is one of them, credentials and a slash at its end aside.
    #[must_use]
    pub fn name(&self, index: &str) -> bool {
        let bare = |text: &str| {
            let text = text.trim_end_matches('/');
            match Url::parse(text) {
                Ok(url) => address::without_user(url).as_str().trim_end_matches('/').to_owned(),
                Err(_) => text.to_owned(),
            }
        };
        let index = bare(index);
        self.indexes.iter().chain(&self.links).any(|known| bare(known) == index)
    }

    /// Whether the archive at this address is of one of them, as far as its host tells.
    #[must_use]
    pub fn may_hold(&self, archive: &Url) -> bool {
        let known = self
            .indexes
            .iter()
            .chain(&self.links)
            .filter_map(|url| Url::parse(url).ok());
        known.map(|url| domain(&url)).any(|known| known == domain(archive))
    }
}

/// The host and port, of a host with a name its last two labels: a page and its archives may be served by different machines
/// of one owner.
fn domain(url: &Url) -> (String, Option<u16>) {
    match url.host() {
        Some(url::Host::Domain(name)) => {
            let labels = name.rsplit('.').take(2).collect::<Vec<_>>();
            (labels.join("."), None)
        }
        host => (
            host.map(|host| host.to_string()).unwrap_or_default(),
            url.port_or_known_default(),
        ),
    }
}

/// The credentials in the addresses of the lines, in the form of a `.netrc`, by which uv and pip find them without an
/// address that holds them. `None` where there are none.
#[must_use]
pub fn netrc<'a>(lines: impl IntoIterator<Item = &'a PipLine>) -> Option<String> {
    let mut machines = BTreeMap::new();
    for line in lines {
        let address = line.option().map(|(_, value)| value).or(line.source());
        if let Some(url) = address.and_then(|address| Url::parse(address).ok()) {
            let (user, password) = (address::decoded(url.username()), url.password().map(address::decoded));
            let (Some(host), "http" | "https") = (url.host_str(), url.scheme()) else {
                continue;
            };
            let spoken = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
            let password = password.unwrap_or_default();
            if spoken(&user) && (password.is_empty() || spoken(&password)) {
                machines.entry(host.to_owned()).or_insert((user, password));
            }
        }
    }
    let entries = machines
        .into_iter()
        .map(|(host, (user, password))| format!("machine {host}\nlogin {user}\npassword {password}\n"));
    Some(entries.collect::<String>()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn of(text: &str) -> PipLine {
        PipLine {
            file: PathBuf::from("e.pip"),
            line: Some(1),
            text: text.to_owned(),
        }
    }

    #[test]
    fn sources_are_those_of_all_lists_each_once_and_known_without_their_credentials() {
        let lines = [
            "-i https://u:p@first.example.org/simple/",
            "--extra-index-url=https://more.example.org/simple",
            "torch",
            "--extra-index-url https://more.example.org/simple",
            "-f https://pages.example.org/wheels.html",
        ]
        .map(of);
        let sources = Sources::of(&lines);
        assert_eq!(
            sources.options(),
            "--extra-index-url https://more.example.org/simple\n\
             --extra-index-url https://u:p@first.example.org/simple/\n\
             --find-links https://pages.example.org/wheels.html\n"
        );
        assert!(sources.name("https://first.example.org/simple"));
        assert!(!sources.name("https://index.example.net/simple"));
        let archive = |text: &str| Url::parse(text).unwrap();
        assert!(sources.may_hold(&archive("https://files.example.org/torch-1.whl")));
        assert!(!sources.may_hold(&archive("https://files.example.net/torch-1.whl")));
    }

    #[test]
    fn credentials_of_lists_become_those_of_hosts() {
        let lines = [
            "--extra-index-url http://me:p%40ss@host:8199/simple/",
            "x @ https://t0ken@other/x.whl",
            "--find-links https://host/without",
            "y @ git+ssh://git@host/y.git",
        ]
        .map(of);
        assert_eq!(
            netrc(&lines).unwrap(),
            "machine host\nlogin me\npassword p@ss\nmachine other\nlogin t0ken\npassword \n"
        );
        assert_eq!(netrc(&[of("numpy")]), None);
    }
}
