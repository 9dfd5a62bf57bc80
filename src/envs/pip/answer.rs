//! What uv and pip answer who asks for the archives of packages, as far as it is used.

use std::collections::BTreeMap;

use pep440_rs::Version;
use serde::Deserialize;
use url::Url;

use super::archive::File;

/// What is used of a `pylock.toml` (PEP 751).
#[derive(Deserialize)]
pub(super) struct Lock {
    #[serde(default)]
    pub packages: Vec<Locked>,
}

#[derive(Deserialize)]
pub(super) struct Locked {
    pub name: String,
    version: Option<String>,
    sdist: Option<File>,
    archive: Option<File>,
    #[serde(default)]
    wheels: Vec<File>,
}

impl Locked {
    pub fn files(self) -> Vec<File> {
        self.wheels.into_iter().chain(self.sdist).chain(self.archive).collect()
    }

    /// Whether the archives are of this version, as far as both say one.
    pub fn is_of(&self, version: &str) -> bool {
        let parsed = |text: &str| text.parse::<Version>().ok();
        let found = self.version.as_deref().and_then(parsed);
        found.zip(parsed(version)).is_none_or(|(found, wanted)| found == wanted)
    }
}

/// What is used of the report of `pip install --dry-run`.
#[derive(Deserialize)]
pub(super) struct Report {
    install: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    download_info: Download,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Download {
    url: Url,
    archive_info: Option<Hashes>,
}

#[derive(Deserialize)]
struct Hashes {
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: Option<String>,
}

impl Report {
    /// pip tells one archive of each package: the one that it would install.
    pub fn into_lock(self) -> Lock {
        let packages = self.install.into_iter().map(|item| Locked {
            name: item.metadata.name,
            version: item.metadata.version,
            sdist: None,
            archive: None,
            wheels: vec![File {
                name: None,
                url: Some(item.download_info.url),
                path: None,
                hashes: item
                    .download_info
                    .archive_info
                    .map(|info| info.hashes)
                    .unwrap_or_default(),
            }],
        });
        Lock {
            packages: packages.collect(),
        }
    }
}
