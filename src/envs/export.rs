//! The frozen spec of an environment, from what is installed in it, and never from what was asked for.
//!
//! A conda environment is the records in `conda-meta/*.json` and, in site-packages, the distributions that no record
//! accounts for. A venv is its exact python and every distribution, those that came with the venv (pip, setuptools)
//! among them: they are packages like any other, and another python would bring others.

mod contents;
mod distribution;
mod licences;
mod origin;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pep508_rs::{Requirement, VerbatimUrl};
use rattler_conda_types::RepoDataRecord;

pub use self::contents::env_contents;
use self::distribution::Distribution;
pub use self::licences::licences;
use self::origin::Origin;
use self::record::Installed;
use super::error::Refusal;
use super::pip::index::{self, Python, Question};
use super::venv::python_version;
use super::{EnvsError, Installer, Layout, variables};
use crate::event::{Event, Sink};
use crate::image;
use crate::reference::EnvironmentName;
use crate::spec::env;
use crate::spec::env::pip::{self, PipLine};
use crate::spec::frozen::{CondaPackage, Frozen, PipPackage, hex, normalized};

/// Reads what the environment `name` holds.
///
/// With `digests`, the index that this installer is set to is asked for the digests of the pip packages, which
/// environments do not keep. Without, they stay unknown, and the network is not touched.
pub fn env_export(
    layout: &Layout,
    name: &EnvironmentName,
    digests: Option<&Installer>,
    sink: &dyn Sink,
) -> Result<Frozen, EnvsError> {
    let prefix = layout.complete(name)?;
    let (records, distributions) = rayon::join(|| record::read(&prefix), || distribution::read(&prefix));
    let (records, distributions) = (records?, distributions?);
    let present = present(&records, &distributions);
    let (foreign, owned) = ownership(&prefix, &records, distributions)?;
    for text in warnings(&prefix, &records, &foreign, &owned) {
        sink.emit(Event::Warning { text });
    }
    let mut frozen = Frozen {
        name: name.to_string(),
        channels: channels(&records),
        pip: pip_packages(name, &foreign, &present)?,
        variables: variables::set(&prefix)?,
        ..Frozen::default()
    };
    if records.is_empty() && image::python(&prefix).exists() {
        frozen.python = Some(python_version(&image::python(&prefix))?);
    }
    frozen.conda = records
        .into_iter()
        .map(|installed| conda_package(installed.record))
        .collect();
    frozen.sort().map_err(|package| EnvsError::Record {
        path: prefix.join("conda-meta"),
        message: format!("there are two records of {package}"),
    })?;
    if let Some(installer) = digests {
        let wheels = foreign
            .iter()
            .map(|found| (normalized(&found.name), found.wheel.clone()))
            .collect::<BTreeMap<_, _>>();
        let python = image::python(&prefix);
        let question = Question {
            installer,
            name,
            python: Python::At(&python),
            lists: &lists(layout, name)?,
        };
        index::complete(question, &mut frozen.pip, &wheels, sink)?;
    }
    Ok(frozen)
}

/// The lines of the lists that the environment's pip packages may have come from, as far as the image holds them.
fn lists(layout: &Layout, name: &EnvironmentName) -> Result<Vec<PipLine>, EnvsError> {
    let directories = [layout.environments.join(name.as_str()), layout.common_env.clone()];
    let there = directories.iter().filter(|directory| directory.is_dir());
    let mut specs = Vec::new();
    for directory in there {
        specs.extend(env::spec_files(directory)?);
    }
    specs.retain(|spec| !Frozen::is_frozen(spec));
    Ok(pip::all_lines(&specs)?)
}

/// The distributions that pip or uv installed, one of each name, and the names of those that conda packages did.
fn ownership(
    prefix: &Path,
    records: &[Installed],
    distributions: Vec<Distribution>,
) -> Result<(Vec<Distribution>, BTreeSet<String>), EnvsError> {
    let owners = records
        .iter()
        .flat_map(|installed| installed.metadata.iter().map(move |path| (path.as_str(), installed)))
        .collect::<BTreeMap<_, _>>();
    let mut foreign = BTreeMap::<String, Distribution>::new();
    let mut owned = BTreeSet::new();
    for found in distributions {
        if let Some(owner) = owners.get(found.metadata.as_str())
            && !replaced_in_place(prefix, owner, &found)?
        {
            owned.insert(normalized(&found.name));
            continue;
        }
        // What a killed installation left behind can be there beside the package: the later one is in use.
        let older = |other: &Distribution| other.modified <= found.modified;
        if foreign.get(&normalized(&found.name)).is_none_or(older) {
            foreign.insert(normalized(&found.name), found);
        }
    }
    Ok((foreign.into_values().collect(), owned))
}

/// Whether pip or uv has installed the same version over what the conda package brought.
fn replaced_in_place(prefix: &Path, owner: &Installed, found: &Distribution) -> Result<bool, EnvsError> {
    match found.installer.as_str() {
        "uv" => Ok(true),
        // Packages that were built by pip say so, too.
        "pip" => owner.has_changed(prefix, &found.record_path()),
        _ => Ok(false),
    }
}

/// What a person should know before trusting the frozen spec.
fn warnings(prefix: &Path, records: &[Installed], foreign: &[Distribution], owned: &BTreeSet<String>) -> Vec<String> {
    let by_name = foreign
        .iter()
        .map(|found| (normalized(&found.name), found))
        .collect::<BTreeMap<_, _>>();
    let mut warnings = Vec::new();
    for installed in records {
        let record = &installed.record.package_record;
        let conda = format!("{}={}={}", record.name.as_normalized(), record.version, record.build);
        for path in &installed.metadata {
            let name = distribution::name_of(path);
            if let Some(found) = by_name.get(&name) {
                warnings.push(format!(
                    "{}=={} of pip has replaced the conda package {conda}; both are frozen, in that order",
                    found.name, found.version
                ));
            } else if !owned.contains(&name) && !prefix.join(path).exists() {
                warnings.push(format!(
                    "the conda package {conda} is damaged: {path} is missing; it is frozen as conda recorded it"
                ));
            }
        }
    }
    warnings
}

fn channels(records: &[Installed]) -> Vec<String> {
    let records = records.iter().map(|installed| &installed.record);
    channel_names(records)
}

/// The channels of these packages as a frozen spec names them.
pub(super) fn channel_names<'a>(records: impl Iterator<Item = &'a RepoDataRecord>) -> Vec<String> {
    let channels = records.filter_map(|record| record.channel.as_deref());
    channels
        .map(record::channel_name)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

pub(super) fn conda_package(record: RepoDataRecord) -> CondaPackage {
    CondaPackage {
        name: record.package_record.name.as_normalized().to_owned(),
        version: record.package_record.version.to_string(),
        build: record.package_record.build.as_str().to_owned(),
        sha256: record.package_record.sha256.as_ref().map(|digest| hex(digest)),
        record: Some(record),
    }
}

/// The names of all that is there, normalized.
fn present(records: &[Installed], distributions: &[Distribution]) -> BTreeSet<String> {
    let conda = records
        .iter()
        .map(|installed| installed.record.package_record.name.as_normalized());
    let names = conda.chain(distributions.iter().map(|found| found.name.as_str()));
    names.map(normalized).collect()
}

/// What a distribution needs of the packages that are there; what is not there says nothing of this environment.
fn requires(found: &Distribution, present: &BTreeSet<String>) -> Vec<String> {
    let parsed = found
        .requires
        .iter()
        .filter_map(|text| text.parse::<Requirement<VerbatimUrl>>().ok());
    let relevant = parsed.filter(|requirement| present.contains(&normalized(requirement.name.as_ref())));
    relevant.map(|requirement| requirement.to_string()).collect()
}

fn pip_packages(
    name: &EnvironmentName,
    foreign: &[Distribution],
    present: &BTreeSet<String>,
) -> Result<Vec<PipPackage>, EnvsError> {
    let mut packages = Vec::new();
    let mut refused = Vec::new();
    for found in foreign {
        let package = PipPackage {
            name: found.name.clone(),
            version: found.version.clone(),
            requirement: format!("{}=={}", found.name, found.version),
            url: None,
            sha256: None,
            requires: requires(found, present),
        };
        match found.origin() {
            Ok(Origin::Index) => packages.push(package),
            Ok(Origin::Address { address, url, sha256 }) => packages.push(PipPackage {
                requirement: format!("{} @ {address}", found.name),
                url,
                sha256,
                ..package
            }),
            Err(reason) => refused.push(Refusal {
                package: found.name.clone(),
                reason,
            }),
        }
    }
    if refused.is_empty() {
        return Ok(packages);
    }
    Err(EnvsError::NotFreezable {
        name: name.clone(),
        refused,
    })
}

#[cfg(test)]
mod tests;
