//! The records of packages that a frozen spec names exactly.

use std::collections::BTreeMap;

use rattler_conda_types::{MatchSpec, PackageName, RepoDataRecord, Subdir};
use rattler_repodata_gateway::RepoData;

use super::channels::Channels;
use super::session::Session;
use super::{CondaError, solution};
use crate::spec::frozen::{CondaPackage, hex};

/// The record of each package: the one of the lock, or else the one that a channel has of exactly this build.
pub(super) async fn records(
    session: &Session<'_>,
    channels: &Channels,
    platform: Subdir,
    packages: &[CondaPackage],
) -> Result<Vec<RepoDataRecord>, CondaError> {
    let found = found(session, channels, platform, packages).await?;
    let records = found.into_iter().zip(packages).map(|(record, package)| {
        record.ok_or_else(|| CondaError::Gone {
            package: shown(package),
            channels: channels.names(),
        })
    });
    records.collect()
}

/// The records of those packages that are still to be had.
pub(super) async fn kept(
    session: &Session<'_>,
    channels: &Channels,
    platform: Subdir,
    packages: &[CondaPackage],
) -> Result<Vec<RepoDataRecord>, CondaError> {
    let found = found(session, channels, platform, packages).await?;
    Ok(found.into_iter().flatten().collect())
}

async fn found(
    session: &Session<'_>,
    channels: &Channels,
    platform: Subdir,
    packages: &[CondaPackage],
) -> Result<Vec<Option<RepoDataRecord>>, CondaError> {
    let mut unlocked = Vec::new();
    for package in packages.iter().filter(|package| package.record.is_none()) {
        let name = package
            .name
            .parse::<PackageName>()
            .map_err(|error| CondaError::Failed {
                doing: package.name.clone(),
                message: error.to_string(),
                temporary: false,
            })?;
        unlocked.push(MatchSpec {
            name: name.into(),
            ..MatchSpec::default()
        });
    }
    let index = if unlocked.is_empty() {
        Vec::new()
    } else {
        solution::index(session, channels, [platform, Subdir::NoArch], unlocked, false).await?
    };
    let mut by_name = BTreeMap::<&str, Vec<&RepoDataRecord>>::new();
    for record in index.iter().flat_map(RepoData::iter) {
        let name = record.package_record.name.as_normalized();
        by_name.entry(name).or_default().push(record);
    }
    let records = packages.iter().map(|package| {
        if let Some(record) = &package.record {
            return Some(record.clone());
        }
        let candidates = by_name.get(package.name.as_str()).into_iter().flatten();
        // The channels are in their order; one build may be there in two formats, of which only one has the hash.
        let mut fitting = candidates.filter(|record| fits(package, record));
        fitting.next().map(|record| (*record).clone())
    });
    Ok(records.collect())
}

fn fits(package: &CondaPackage, record: &RepoDataRecord) -> bool {
    let found = &record.package_record;
    let hash = found.sha256.as_ref().map(|sha256| hex(sha256));
    found.version.to_string() == package.version
        && found.build.as_str() == package.build
        && (package.sha256.is_none() || hash.is_none() || package.sha256 == hash)
}

fn shown(package: &CondaPackage) -> String {
    let CondaPackage {
        name,
        version,
        build,
        sha256,
        ..
    } = package;
    let hash = sha256
        .as_ref()
        .map(|sha256| format!("[sha256={sha256}]"))
        .unwrap_or_default();
    format!("{name}={version}={build}{hash}")
}
