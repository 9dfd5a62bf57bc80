//! Conda packages that pip has replaced: conda's records still name the version that is gone.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::list::List;
use crate::envs::conda;
use crate::envs::{EnvsError, Work};
use crate::spec::frozen::normalized;

/// The packages that are not what conda's records say, by name.
pub(in crate::envs) struct Overridden(BTreeMap<String, Versions>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Versions {
    conda: String,
    pip: Option<String>,
}

impl Overridden {
    /// Looks at the environment at `prefix`. A package is conda's as long as the metadata that it came with is there.
    pub(in crate::envs) fn find(prefix: &Path) -> Result<Self, EnvsError> {
        let mut found = BTreeMap::new();
        for record in conda::installed(prefix)? {
            let metadata = record
                .files
                .iter()
                .find(|file| file.ends_with("METADATA") && parent_extension(file) == Some(OsStr::new("dist-info")));
            let Some(directory) = metadata
                .filter(|file| !prefix.join(file).exists())
                .and_then(|file| file.parent())
            else {
                continue;
            };
            let stem = directory.file_stem().and_then(OsStr::to_str).unwrap_or_default();
            let name = normalized(stem.split('-').next().unwrap_or_default());
            let site = prefix.join(directory.parent().unwrap_or(Path::new("")));
            let versions = Versions {
                conda: record.repodata_record.package_record.version.to_string(),
                pip: version_in(&site, &name),
            };
            found.insert(name, versions);
        }
        Ok(Self(found))
    }

    /// Says which packages have been replaced since `before`, and by which list.
    pub(in crate::envs) fn report(&self, before: &Self, lists: &[List], work: Work<'_>) {
        for (name, versions) in self.0.iter().filter(|(name, now)| before.0.get(*name) != Some(now)) {
            let asked = lists.iter().find_map(|list| list.asks_for(name));
            let by = asked.unwrap_or_else(|| {
                let files = lists.iter().filter(|list| !list.is_empty());
                let files = files.map(|list| list.file().display().to_string());
                format!("something that {} needs", files.collect::<Vec<_>>().join(", "))
            });
            let now = match &versions.pip {
                Some(version) => format!("replaced it by {version}"),
                None => "removed it".to_owned(),
            };
            work.warn(format!("conda installed {name} {}, pip {now} for {by}", versions.conda));
        }
    }
}

fn parent_extension(file: &Path) -> Option<&OsStr> {
    file.parent()?.extension()
}

/// The version of the package in the directory `site`, by the name of its metadata.
fn version_in(site: &Path, name: &str) -> Option<String> {
    fs::read_dir(site).ok()?.flatten().find_map(|entry| {
        let file = entry.file_name();
        let (found, version) = file.to_str()?.strip_suffix(".dist-info")?.split_once('-')?;
        (normalized(found) == name).then(|| version.to_owned())
    })
}
