//! What environments hold, package by package: who asked for each, what needs it and what limits it.
//!
//! An [`Environment`] is made of a frozen spec and the spec files beside it, or of what an image says of itself; what is worked
//! out of it is the same either way. Names are compared as their owners do: those of pip packages in one spelling for all
//! (PEP 503), those of conda packages as they are.

mod asked;
mod drawing;
mod graph;
mod links;
mod listing;
mod near;
mod page;
mod requirement;
mod sizes;
mod why;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::address;
use crate::reference::{EnvironmentName, MissionName};
use crate::spec::frozen::{CondaPackage, Frozen, PipPackage, normalized};

pub use asked::{Asked, asked};
pub use drawing::svg;
pub use graph::Graph;
pub use links::Links;
pub use listing::Listing;
pub use near::near;
pub use page::{About, Before, page};
pub use sizes::Sizes;
pub use why::Why;

/// An environment, and what is known of its packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The mission whose image holds it; `None` for what the common image brings to all of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mission: Option<MissionName>,
    /// Its name.
    pub name: EnvironmentName,
    /// Where its packages were read, relative to the repository: the frozen spec. `None` where an image says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<PathBuf>,
    /// Why its packages are not known, if they are not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<String>,
    /// Its packages: the python of a venv, those of conda, those of pip, each in the order of names.
    pub packages: Vec<Package>,
    /// The lines of spec files that ask for packages, or limit them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub asked: Vec<Asked>,
    /// How many bytes its files take, where an image says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
}

/// What installed a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// The python of a venv, which is no package of anyone's.
    Venv,
    /// conda, mamba or floe as conda does it.
    Conda,
    /// pip or uv.
    Pip,
}

impl Manager {
    /// The manager in one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Venv => "venv",
            Self::Conda => "conda",
            Self::Pip => "pip",
        }
    }
}

/// A package of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The name, in the spelling in which it is compared.
    pub name: String,
    /// What installed it.
    pub manager: Manager,
    /// The version; empty where a frozen spec without its lock names an address alone.
    pub version: String,
    /// The build string of a conda package.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub build: Option<String>,
    /// The channel of a conda package; the address of a pip package that is from no index.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin: Option<String>,
    /// The licence, as the package states it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub license: Option<String>,
    /// The address of the project's page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub homepage: Option<String>,
    /// What it needs, as its manager writes it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub needs: Vec<String>,
    /// What it bears beside it, if that is there: conda's `constrains`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub limits: Vec<String>,
    /// How many bytes its files take, where an image says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// The large shared libraries that it brings, by the name under which programs load them, with their bytes; where an image
    /// says it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub libraries: BTreeMap<String, u64>,
}

impl Package {
    /// The conda package of a frozen spec.
    #[must_use]
    pub fn of_conda(package: &CondaPackage) -> Self {
        let record = package.record.as_ref();
        let about = record.map(|record| &record.package_record);
        let channel = record.and_then(|record| record.channel.as_deref());
        let channel = channel.map(|channel| {
            let channel = address::without_credentials(channel);
            let short = channel
                .trim_end_matches('/')
                .strip_prefix("https://conda.anaconda.org/");
            short.unwrap_or(channel.trim_end_matches('/')).to_owned()
        });
        Self {
            name: package.name.clone(),
            manager: Manager::Conda,
            version: package.version.clone(),
            build: Some(package.build.clone()),
            origin: channel,
            license: about.and_then(|about| about.license.clone()),
            homepage: None,
            needs: about.map(|about| about.depends.clone()).unwrap_or_default(),
            limits: about.map(|about| about.constrains.clone()).unwrap_or_default(),
            size: None,
            libraries: BTreeMap::new(),
        }
    }

    /// The pip package of a frozen spec.
    #[must_use]
    pub fn of_pip(package: &PipPackage) -> Self {
        let told = package
            .requirement
            .split_once('@')
            .map(|(_, address)| address::without_credentials(address.trim()));
        Self {
            name: normalized(&package.name),
            manager: Manager::Pip,
            version: package.version.clone(),
            build: None,
            origin: told,
            license: None,
            homepage: None,
            needs: package.requires.clone(),
            limits: Vec::new(),
            size: None,
            libraries: BTreeMap::new(),
        }
    }

    /// The python of a venv.
    #[must_use]
    pub fn of_venv(python: &str) -> Self {
        Self {
            name: "python".to_owned(),
            manager: Manager::Venv,
            version: python.to_owned(),
            build: None,
            origin: None,
            license: None,
            homepage: None,
            needs: Vec::new(),
            limits: Vec::new(),
            size: None,
            libraries: BTreeMap::new(),
        }
    }

    /// Whether `name` is this package, however it is spelled where its manager lets it be.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        match self.manager {
            Manager::Pip => self.name == normalized(name),
            Manager::Conda | Manager::Venv => self.name == name.to_lowercase(),
        }
    }

    /// The version, or the address where there is none.
    #[must_use]
    pub fn shown_version(&self) -> &str {
        let origin = self.origin.as_deref();
        Some(self.version.as_str())
            .filter(|version| !version.is_empty())
            .or(origin)
            .unwrap_or("?")
    }
}

/// The packages of a frozen spec.
#[must_use]
pub fn of_frozen(frozen: &Frozen) -> Vec<Package> {
    let python = frozen.python.iter().map(|python| Package::of_venv(python));
    let conda = frozen.conda.iter().map(Package::of_conda);
    python
        .chain(conda)
        .chain(frozen.pip.iter().map(Package::of_pip))
        .collect()
}

impl Environment {
    /// Whose it is and its name: `roman/cal`, `common/base`.
    #[must_use]
    pub fn shown(&self) -> String {
        let owner = self.mission.as_ref().map_or("common", MissionName::as_str);
        format!("{owner}/{}", self.name)
    }

    /// The packages that `name` stands for: one, or one of conda and one of pip.
    pub fn called<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        let packages = self.packages.iter().enumerate();
        packages
            .filter(|(_, package)| package.is_called(name))
            .map(|(index, _)| index)
    }

    /// Its python.
    #[must_use]
    pub fn python(&self) -> Option<&str> {
        let python = self
            .packages
            .iter()
            .find(|package| package.name == "python" && package.manager != Manager::Pip);
        python.map(|package| package.version.as_str())
    }

    /// The names that conda and pip both claim: the later installation is in use, the other one's record stays.
    #[must_use]
    pub fn claimed_twice(&self) -> Vec<&str> {
        let of = |manager: Manager| self.packages.iter().filter(move |package| package.manager == manager);
        let conda = of(Manager::Conda)
            .map(|package| normalized(&package.name))
            .collect::<std::collections::BTreeSet<_>>();
        of(Manager::Pip)
            .map(|package| package.name.as_str())
            .filter(|name| conda.contains(*name))
            .collect()
    }
}

#[cfg(test)]
mod tests;
