//! The archives that an index has of one package, and which of them an environment holds.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use url::Url;

/// What the file `WHEEL` says of the archive that was installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::envs) struct Wheel {
    /// The tags, e.g. `cp311-cp311-manylinux_2_17_x86_64`.
    pub tags: Vec<String>,
    /// The build number, where there is one.
    pub build: Option<String>,
}

/// One archive.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct File {
    pub name: Option<String>,
    pub url: Option<Url>,
    pub path: Option<String>,
    #[serde(default)]
    pub hashes: BTreeMap<String, String>,
}

impl File {
    pub fn name(&self) -> &str {
        let last = |text: &'_ str| text.rsplit('/').next().unwrap_or_default().len();
        match (&self.name, &self.url, &self.path) {
            (Some(name), ..) => name,
            (None, Some(url), _) => &url.path()[url.path().len() - last(url.path())..],
            (None, None, Some(path)) => &path[path.len() - last(path)..],
            (None, None, None) => "",
        }
    }

    /// The tags in a wheel's name, each on its own; `None` for an archive of sources.
    fn tags(&self) -> Option<(Option<&str>, BTreeSet<String>)> {
        let stem = self.name().strip_suffix(".whl")?;
        let mut fields = stem.rsplitn(4, '-');
        let (platforms, abis, pythons) = (fields.next()?, fields.next()?, fields.next()?);
        let tags = expanded(&format!("{pythons}-{abis}-{platforms}")).collect();
        // `name-version` or `name-version-build`: names of wheels hold no other hyphen.
        let build = fields.next()?.splitn(3, '-').nth(2);
        Some((build, tags))
    }
}

/// Each tag that a compressed one stands for: each of its three fields may hold several, separated by dots. The `Tag:` lines
/// of a wheel should hold one each, and some builders wrote them as they are in its name.
/// (<https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/#compressed-tag-sets>)
fn expanded(tag: &str) -> impl Iterator<Item = String> {
    let mut fields = tag.splitn(3, '-').map(|field| field.split('.').collect::<Vec<_>>());
    let mut field = || fields.next().unwrap_or_default();
    let (pythons, abis, platforms) = (field(), field(), field());
    pythons.into_iter().flat_map(move |python| {
        let platforms = platforms.clone();
        abis.clone().into_iter().flat_map(move |abi| {
            let platforms = platforms.clone();
            platforms
                .into_iter()
                .map(move |platform| format!("{python}-{abi}-{platform}"))
        })
    })
}

/// The archive that was installed: the wheel of these tags, else the one that shares most of them, else the sources
/// that a wheel was built from.
pub(super) fn choose(files: Vec<File>, installed: &Wheel) -> Option<File> {
    let wanted = installed
        .tags
        .iter()
        .flat_map(|tag| expanded(tag))
        .collect::<BTreeSet<_>>();
    let likeness = |file: &File| match file.tags() {
        Some((build, tags)) => {
            let shared = tags.intersection(&wanted).count();
            let same_build = build == installed.build.as_deref();
            (shared > 0).then_some((tags == wanted, shared, same_build))
        }
        None => Some((false, 0, false)),
    };
    let rated = files.into_iter().filter_map(|file| Some((likeness(&file)?, file)));
    rated.max_by_key(|(likeness, _)| *likeness).map(|(_, file)| file)
}

/// The archive that an installer would take of those that fit: the wheel for the latest python, then for the latest
/// system, else the sources.
pub(super) fn preferred(files: Vec<File>) -> Option<File> {
    let number = |text: &str| {
        let digits = text.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse::<u32>().ok()).unwrap_or_default()
    };
    let likeness = |file: &File| {
        let (_, tags) = file.tags()?;
        let rated = tags.iter().filter_map(|tag| {
            let (python, system) = tag.split_once('-')?;
            let python = python.strip_prefix("cp3").map_or(0, |minor| 1 + number(minor));
            // A wheel for any system comes after those that were built for this one.
            let system = system
                .split_once("manylinux_2_")
                .map_or(0, |(_, minor)| 1 + number(minor));
            Some((python, system))
        });
        rated.max()
    };
    files.into_iter().max_by_key(likeness)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> File {
        File {
            name: Some(name.to_owned()),
            url: None,
            path: None,
            hashes: BTreeMap::new(),
        }
    }

    fn chosen(files: &[&str], tags: &[&str], build: Option<&str>) -> Option<String> {
        let wheel = Wheel {
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            build: build.map(str::to_owned),
        };
        choose(files.iter().map(|name| file(name)).collect(), &wheel).map(|file| file.name().to_owned())
    }

    #[test]
    fn the_wheel_that_was_installed_is_told_by_its_tags() {
        let files = [
            "a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
            "a-1-2b-cp311-cp311-manylinux_2_28_x86_64.whl",
            "a-1-py2.py3-none-any.whl",
            "a-1.tar.gz",
        ];
        let old = ["cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux2014_x86_64"];
        assert_eq!(chosen(&files, &old, None).as_deref(), Some(files[0]));
        let new = ["cp311-cp311-manylinux_2_28_x86_64"];
        assert_eq!(chosen(&files, &new, None).as_deref(), Some(files[1]));
        assert_eq!(chosen(&files, &new, Some("2b")).as_deref(), Some(files[2]));
        assert_eq!(
            chosen(&files, &["py2-none-any", "py3-none-any"], None).as_deref(),
            Some(files[3])
        );
        // Some builders name fewer tags in the file than in its name.
        assert_eq!(chosen(&files, &["py3-none-any"], None).as_deref(), Some(files[3]));
    }

    #[test]
    fn what_was_built_here_is_frozen_as_its_sources() {
        let files = ["a-1-cp311-cp311-manylinux_2_28_x86_64.whl", "a-1.tar.gz"];
        assert_eq!(
            chosen(&files, &["cp311-cp311-linux_x86_64"], None).as_deref(),
            Some("a-1.tar.gz")
        );
        assert_eq!(chosen(&files[..1], &["cp311-cp311-linux_x86_64"], None), None);
    }

    #[test]
    fn without_an_installation_the_wheel_for_the_latest_python_and_system_is_taken() {
        let preferred = |files: &[&str]| {
            let files = files.iter().map(|name| file(name)).collect();
            preferred(files).map(|file| file.name().to_owned())
        };
        for files in [
            [
                "a-1-cp39-abi3-manylinux_2_34_x86_64.whl",
                "a-1-cp311-abi3-manylinux_2_17_x86_64.whl",
            ],
            [
                "a-1-cp311-cp311-manylinux_2_17_x86_64.whl",
                "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
            ],
            ["a-1-py3-none-any.whl", "a-1-cp311-cp311-manylinux_2_17_x86_64.whl"],
            ["a-1.tar.gz", "a-1-py3-none-any.whl"],
        ] {
            assert_eq!(preferred(&files).as_deref(), Some(files[1]), "{files:?}");
            let [a, b] = files;
            assert_eq!(preferred(&[b, a]).as_deref(), Some(b), "{files:?}");
        }
    }

    #[test]
    fn a_tag_line_that_holds_several_tags_names_the_wheel_that_has_them() {
        let files = [
            "rpds_py-0.20.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "rpds_py-0.20.0-cp311-cp311-musllinux_1_2_x86_64.whl",
            "rpds_py-0.20.0.tar.gz",
        ];
        let compressed = ["cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"];
        assert_eq!(chosen(&files, &compressed, None).as_deref(), Some(files[0]));
        let universal = ["six-1.0-py2.py3-none-any.whl", "six-1.0.tar.gz"];
        assert_eq!(
            chosen(&universal, &["py2.py3-none-any"], None).as_deref(),
            Some(universal[0])
        );
        assert_eq!(
            chosen(&universal, &["py3-none-any", "py2-none-any"], None).as_deref(),
            Some(universal[0])
        );
    }
}
