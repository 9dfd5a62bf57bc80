//! How large an image is, what of it is held several times, and what made it larger.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Environment;
use crate::reference::Digest;

/// How large an image is, and the packages in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// The image's ID.
    pub image: Digest,
    /// All of it, in bytes.
    pub all: u64,
    /// The packages, by environment and name: `cal/numpy`.
    pub packages: BTreeMap<String, Held>,
    /// The libraries that several packages of one environment bring, by environment and library: `cal/libcublas.so.12`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub libraries: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A package in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its version.
    pub version: String,
    /// How many bytes its files take.
    pub size: u64,
}

impl Sizes {
    /// Those of an image of so many bytes that holds these environments. Of what conda and pip both installed, both count.
    #[must_use]
    pub fn of(image: Digest, all: u64, environments: &[Environment]) -> Self {
        let mut packages = BTreeMap::<String, Held>::new();
        let mut libraries = BTreeMap::<String, BTreeMap<String, u64>>::new();
        for environment in environments {
            for package in &environment.packages {
                for (library, bytes) in &package.libraries {
                    let bringing = libraries.entry(format!("{}/{library}", environment.name)).or_default();
                    let (name, version) = (&package.name, &package.version);
                    let by = format!("{}'s {name} {version}", package.manager.word());
                    bringing.insert(by, *bytes);
                }
                let Some(size) = package.size else { continue };
                let held = packages.entry(format!("{}/{}", environment.name, package.name));
                let held = held.or_insert_with(|| Held {
                    version: package.version.clone(),
                    size: 0,
                });
                held.size += size;
            }
        }
        libraries.retain(|_, bringing| bringing.len() > 1);
        Self {
            image,
            all,
            packages,
            libraries,
        }
    }

    /// The libraries that several packages of one environment bring, each with those packages, and with the bytes that all but the
    /// largest take; the most first. An environment whose packages are those of another adds nothing to what that tells.
    #[must_use]
    pub fn brought_twice(&self) -> Vec<(String, u64)> {
        let mut told = BTreeSet::new();
        let libraries = self.libraries.iter().filter_map(|(name, bringing)| {
            let packages = bringing.keys().map(String::as_str).collect::<Vec<_>>().join(" and ");
            let (_, library) = name.split_once('/')?;
            let bytes = beyond_one(bringing.values().copied());
            told.insert((library, packages.clone()))
                .then(|| (format!("{name} by {packages}"), bytes))
        });
        let mut libraries = libraries.collect::<Vec<_>>();
        libraries.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        libraries
    }

    /// What the packages of each environment take together, the most first.
    #[must_use]
    pub fn environments(&self) -> Vec<(&str, u64)> {
        let mut environments = BTreeMap::<&str, u64>::new();
        for (name, held) in &self.packages {
            let environment = name
                .split_once('/')
                .map_or(name.as_str(), |(environment, _)| environment);
            *environments.entry(environment).or_default() += held.size;
        }
        sorted(environments.into_iter())
    }

    /// The packages, the largest first, each with its bytes.
    #[must_use]
    pub fn largest(&self) -> Vec<(&str, u64)> {
        let packages = self.packages.iter().map(|(name, held)| (name.as_str(), held.size));
        sorted(packages)
    }

    /// The packages that take more than `before`, or were not there, each with the bytes that it takes more; the most first.
    #[must_use]
    pub fn grown(&self, before: &Self) -> Vec<(&str, u64)> {
        let packages = self.packages.iter().filter_map(|(name, held)| {
            let then = before.packages.get(name).map_or(0, |held| held.size);
            let more = held.size.checked_sub(then).filter(|more| *more > 0)?;
            Some((name.as_str(), more))
        });
        sorted(packages)
    }

    /// The packages that several environments hold in the same version, with the bytes that all of them but one take; the most
    /// first.
    #[must_use]
    pub fn repeated(&self) -> Vec<(&str, u64)> {
        let mut versions = BTreeMap::<(&str, &str), Vec<u64>>::new();
        for (name, held) in &self.packages {
            let name = name.split_once('/').map_or(name.as_str(), |(_, name)| name);
            versions.entry((name, &held.version)).or_default().push(held.size);
        }
        let repeated = versions.into_iter().filter(|(_, sizes)| sizes.len() > 1);
        sorted(repeated.map(|((name, _), sizes)| (name, beyond_one(sizes.into_iter()))))
    }
}

/// What all of the same but the largest take.
fn beyond_one(sizes: impl Iterator<Item = u64> + Clone) -> u64 {
    sizes.clone().sum::<u64>() - sizes.max().unwrap_or_default()
}

fn sorted<'a>(packages: impl Iterator<Item = (&'a str, u64)>) -> Vec<(&'a str, u64)> {
    let mut packages = packages.collect::<Vec<_>>();
    packages.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    packages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::{Manager, Package};

    /// An image with these packages: environment, name, version, bytes.
    fn image(packages: &[(&str, &str, &str, u64)]) -> Sizes {
        let environments = packages.iter().map(|(environment, name, version, size)| Environment {
            mission: None,
            name: environment.parse().unwrap(),
            source: None,
            unknown: None,
            packages: vec![Package {
                name: (*name).to_owned(),
                size: Some(*size),
                ..Package::of_venv(version)
            }],
            asked: Vec::new(),
            size: None,
        });
        Sizes::of(Digest::of(b"x"), 1000, &environments.collect::<Vec<_>>())
    }

    #[test]
    fn what_grew_is_told_by_how_much_and_what_is_held_twice_by_what_that_costs() {
        let before = image(&[("a", "numpy", "1", 50), ("a", "gone", "1", 9), ("b", "numpy", "1", 50)]);
        let now = image(&[
            ("a", "numpy", "2", 70),
            ("a", "new", "1", 30),
            ("b", "numpy", "1", 40),
            ("c", "numpy", "2", 60),
        ]);
        assert_eq!(now.grown(&before), [("c/numpy", 60), ("a/new", 30), ("a/numpy", 20)]);
        assert_eq!(now.largest()[0], ("a/numpy", 70));
        assert_eq!(now.repeated(), [("numpy", 60)]);
        assert_eq!(before.repeated(), [("numpy", 50)]);
    }

    #[test]
    fn a_library_that_conda_and_pip_both_bring_is_told_with_what_that_costs() {
        let bringing = |name: &str, manager, bytes| Package {
            name: name.to_owned(),
            manager,
            libraries: BTreeMap::from([("libcublas.so.12".to_owned(), bytes)]),
            ..Package::of_venv("12")
        };
        let environment = |name: &str, packages| Environment {
            mission: None,
            name: name.parse().unwrap(),
            source: None,
            unknown: None,
            packages,
            asked: Vec::new(),
            size: None,
        };
        let both = [
            bringing("libcublas", Manager::Conda, 400),
            bringing("nvidia-cublas-cu12", Manager::Pip, 300),
        ];
        let environments = [
            environment("cal", both.to_vec()),
            environment("copy", both.to_vec()),
            environment("other", both[..1].to_vec()),
        ];
        let sizes = Sizes::of(Digest::of(b"x"), 1000, &environments);
        let expected = "cal/libcublas.so.12 by conda's libcublas 12 and pip's nvidia-cublas-cu12 12";
        assert_eq!(sizes.brought_twice(), [(expected.to_owned(), 300)]);
    }
}
