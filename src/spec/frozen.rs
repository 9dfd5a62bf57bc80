//! A frozen spec: exactly what an environment held when it was frozen, so that it can be made again without solving.
//!
//! It is two files. `<env>-frozen.yml` is for people, conda and mamba: exact versions and builds. `<env>-frozen.lock`
//! beside it is complete: the records of the conda packages, the digests of the pip packages, in the
//! format of `pixi.lock`. A yml without its lock still works, and may have been written by others.
//!
//! The digest of the floating spec files that were frozen has one home, the line `# specs: sha256:…` at the head of
//! the yml. A file without that line says nothing about what it was made from.

mod lock;
mod outline;
mod yml;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rattler_conda_types::RepoDataRecord;
use url::Url;

use super::{SpecError, draft};
use crate::reference::Digest;

pub use outline::Outline;

/// Exactly what an environment holds.
///
/// The conda packages are in the order of names, the pip packages in that of [normalized] names; no name is there twice
/// among either.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frozen {
    /// The environment's name.
    pub name: String,
    /// The channels that the conda packages came from: a name where the channel is one of anaconda.org, else a URL.
    pub channels: Vec<String>,
    /// The exact python of a venv, which is no conda package. `None` in a conda environment.
    pub python: Option<String>,
    /// The conda packages.
    pub conda: Vec<CondaPackage>,
    /// The packages that pip or uv installed.
    pub pip: Vec<PipPackage>,
    /// The variables that are set when the environment is in use.
    pub variables: BTreeMap<String, String>,
    /// The digest of the floating spec files that the environment was made from; `None` where the file does not say.
    pub specs: Option<Digest>,
}

/// One conda package, exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CondaPackage {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The build string.
    pub build: String,
    /// The digest of the archive, in hexadecimal.
    pub sha256: Option<String>,
    /// The complete record; only a lock has it.
    pub record: Option<RepoDataRecord>,
}

/// One pip package, exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipPackage {
    /// The name, [normalized]: packages write theirs in several ways.
    pub name: String,
    /// The version; empty where a yml without its lock names only an address.
    pub version: String,
    /// The requirement: `numpy==2.1.0`, `x @ git+https://…@<commit>` or `x @ https://…whl`.
    pub requirement: String,
    /// Where the archive is, if the requirement says so. A package of an index has no address: each site has its own.
    pub url: Option<Url>,
    /// The digest of the archive, in hexadecimal.
    pub sha256: Option<String>,
    /// What it needs of the packages that are there, as its metadata says: `numpy>=2`, with extras and markers. Only a lock has
    /// it, and older ones have none.
    pub requires: Vec<String>,
}

impl PipPackage {
    /// Whether the package comes from an index, and not from the address that its requirement names.
    #[must_use]
    pub fn is_from_index(&self) -> bool {
        !self.requirement.contains('@')
    }
}

impl Frozen {
    /// Reads the frozen spec `yml`, with the lock beside it where there is one. Both must name the same packages.
    pub fn load(yml: &Path) -> Result<Self, SpecError> {
        let read = |path: &Path| match fs::read(path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound && path != yml => Ok(None),
            Err(source) => Err(SpecError::Read {
                path: path.to_owned(),
                source,
            }),
        };
        let text = read(yml)?.unwrap_or_default();
        let lock = read(&Self::lock_path(yml))?;
        Self::parse(yml, &text, lock.as_deref())
    }

    /// Parses the texts of a frozen spec and of its lock; errors name the file `yml` and the lock beside it.
    pub fn parse(yml: &Path, text: &str, lock: Option<&str>) -> Result<Self, SpecError> {
        let frozen = yml::parse(yml, text)?;
        match lock {
            Some(lock) => lock::complete(frozen, yml, lock),
            None => Ok(frozen),
        }
    }

    /// Whether `path` is a frozen spec, by its name: `*-frozen.yml`.
    #[must_use]
    pub fn is_frozen(path: &Path) -> bool {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let extension = path.extension().is_some_and(|e| e == "yml" || e == "yaml");
        extension && stem.len() > "-frozen".len() && stem.ends_with("-frozen")
    }

    /// Where the frozen spec of the environment `name` is in `dir`.
    #[must_use]
    pub fn yml_path(dir: &Path, name: &str) -> PathBuf {
        dir.join(format!("{name}-frozen.yml"))
    }

    /// The lock that belongs to the frozen spec `yml`: `<env>-frozen.lock` beside it.
    #[must_use]
    pub fn lock_path(yml: &Path) -> PathBuf {
        yml.with_extension("lock")
    }

    /// The text of `<env>-frozen.yml`. The same environment gives the same text.
    #[must_use]
    pub fn to_yml(&self) -> String {
        yml::text(self)
    }

    /// The text of `<env>-frozen.lock`. The same environment gives the same text.
    ///
    /// Fails where a conda package has no record, or a pip package no version.
    pub fn to_lock(&self) -> Result<String, SpecError> {
        lock::text(self)
    }

    /// Writes the frozen spec to `yml` and its lock beside it: both are there before either takes its place.
    pub fn save(&self, yml: &Path) -> Result<(), SpecError> {
        draft::replace(&self.files(yml)?)
    }

    /// The two files, in the order in which they are to be written: a yml whose lock is of another day is refused, and so is
    /// noticed.
    pub fn files(&self, yml: &Path) -> Result<Vec<(PathBuf, String)>, SpecError> {
        Ok(vec![
            (Self::lock_path(yml), self.to_lock()?),
            (yml.to_owned(), self.to_yml()),
        ])
    }

    /// The packages, by names as they are compared: see [normalized]. What conda and pip both installed is there twice.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let conda = self.conda.iter().map(|package| &package.name);
        let all = conda.chain(self.pip.iter().map(|package| &package.name));
        all.map(|name| normalized(name))
    }

    /// The same, with what its packages need of each other as `held` tells it of the same packages.
    #[must_use]
    pub fn with_needs_of(mut self, held: Self) -> Self {
        let held = held
            .pip
            .into_iter()
            .map(|package| (package.requirement, package.requires));
        let mut held = held.collect::<BTreeMap<_, _>>();
        for package in &mut self.pip {
            if let Some(requires) = held.remove(&package.requirement) {
                package.requires = requires;
            }
        }
        self
    }

    /// Puts the packages into their order and their names into one spelling, whoever wrote them. A name that is there twice
    /// is the error.
    pub(crate) fn sort(&mut self) -> Result<(), String> {
        for package in &mut self.pip {
            let name = normalized(&package.name);
            if let Some(rest) = package.requirement.strip_prefix(&package.name) {
                package.requirement = format!("{name}{rest}");
            }
            package.name = name;
        }
        self.conda.sort_by(|a, b| a.name.cmp(&b.name));
        self.pip.sort_by_key(|package| normalized(&package.name));
        let conda = self.conda.iter().map(|package| package.name.clone());
        let pip = self.pip.iter().map(|package| normalized(&package.name));
        twice(conda).or_else(|| twice(pip)).map_or(Ok(()), Err)
    }
}

/// A pip package's name as names are compared: in lower case, with a single `-` for every run of `-`, `_` and `.`.
#[must_use]
pub fn normalized(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

/// The bytes of a digest in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

fn twice(names: impl Iterator<Item = String>) -> Option<String> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(name.clone()))
}

#[cfg(test)]
mod tests;
