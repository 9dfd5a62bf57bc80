//! The lock of a frozen spec: the format of `pixi.lock`, with one environment for one platform.
//!
//! A pip package whose address is not known, or known on a mirror only, has the location `<name>-<version>`, which
//! leaves open where it is found; its digest says which file it is.

use std::collections::BTreeMap;
use std::path::Path;

use rattler_conda_types::{RepoDataRecord, Subdir};
use rattler_lock::{
    CondaBinaryData, CondaPackageData, DEFAULT_ENVIRONMENT_NAME, LockFile, LockedPackage, PackageHashes, PlatformData,
    PlatformName, PypiDistributionData, PypiPackageData, UrlOrPath, Verbatim,
};
use url::Url;

use super::{CondaPackage, Frozen, PipPackage, hex, normalized};
use crate::spec::error::SpecError;

/// Where a channel that is named without a host is found.
const ANACONDA: &str = "https://conda.anaconda.org";

/// The text that floe writes.
pub(super) fn text(frozen: &Frozen) -> Result<String, SpecError> {
    let subdir = platform(frozen);
    let failed = |message: String| SpecError::Unlockable {
        package: frozen.name.clone(),
        message,
    };
    let platform = PlatformData {
        name: PlatformName::from(&subdir),
        subdir,
        virtual_packages: Vec::new(),
    };
    let channels = frozen.channels.iter().map(|channel| channel_url(channel));
    let mut builder = LockFile::builder()
        .with_platforms(vec![platform])
        .map_err(|error| failed(error.to_string()))?
        .with_channels(DEFAULT_ENVIRONMENT_NAME, channels);
    let subdir = subdir.to_string();
    builder
        .add_environment_platform(DEFAULT_ENVIRONMENT_NAME, &subdir)
        .map_err(|error| failed(error.to_string()))?;
    for package in &frozen.conda {
        let record = package.record.clone().ok_or_else(|| SpecError::Unlockable {
            package: format!("{}={}={}", package.name, package.version, package.build),
            message: "its record is not known".to_owned(),
        })?;
        builder
            .add_conda_package(DEFAULT_ENVIRONMENT_NAME, &subdir, CondaPackageData::from(record))
            .map_err(|error| failed(error.to_string()))?;
    }
    for package in &frozen.pip {
        let data = distribution(package).map_err(|message| SpecError::Unlockable {
            package: package.requirement.clone(),
            message,
        })?;
        builder
            .add_pypi_package(DEFAULT_ENVIRONMENT_NAME, &subdir, data)
            .map_err(|error| failed(error.to_string()))?;
    }
    builder
        .finish()
        .render_to_string()
        .map_err(|error| failed(error.to_string()))
}

/// Adds what `lock` knows of the packages in `frozen`, which must be the same ones.
pub(super) fn complete(mut frozen: Frozen, yml: &Path, lock: &str) -> Result<Frozen, SpecError> {
    let path = Frozen::lock_path(yml);
    let malformed = |message: String| SpecError::Malformed {
        path: path.clone(),
        line: None,
        message,
    };
    let disagree = |difference: String| SpecError::Disagree {
        yml: yml.to_owned(),
        lock: path.clone(),
        difference,
    };
    let lock = LockFile::from_str_with_base_directory(lock, None).map_err(|error| malformed(error.to_string()))?;
    let mut conda = BTreeMap::new();
    let mut pip = BTreeMap::new();
    for package in packages(&lock).map_err(&malformed)? {
        match package {
            LockedPackage::Conda(CondaPackageData::Binary(data)) => {
                conda.insert(data.package_record.name.as_normalized().to_owned(), &**data);
            }
            LockedPackage::Pypi(PypiPackageData::Distribution(data)) => {
                pip.insert(normalized(data.name.as_ref()), &**data);
            }
            other => return Err(malformed(format!("{} is to be built from source", other.name()))),
        }
    }
    for package in &mut frozen.conda {
        let locked = conda.remove(&package.name);
        let locked = locked.ok_or_else(|| disagree(format!("the lock has no {}", package.name)))?;
        agree_conda(package, locked).map_err(&disagree)?;
        let record = RepoDataRecord::try_from(locked).map_err(|error| malformed(error.to_string()))?;
        package.record = Some(record);
    }
    for package in &mut frozen.pip {
        let locked = pip.remove(&normalized(&package.name));
        let locked = locked.ok_or_else(|| disagree(format!("the lock has no {}", package.name)))?;
        agree_pip(package, locked).map_err(&disagree)?;
    }
    match conda.into_keys().chain(pip.into_keys()).next() {
        Some(left) => Err(disagree(format!("the lock alone has {left}"))),
        None => Ok(frozen),
    }
}

/// The packages of the one environment and platform.
fn packages(lock: &LockFile) -> Result<Vec<&LockedPackage>, String> {
    let environment = lock
        .default_environment()
        .ok_or_else(|| format!("there is no environment `{DEFAULT_ENVIRONMENT_NAME}`"))?;
    let mut platforms = environment.packages_by_platform();
    let packages = platforms
        .next()
        .map(|(_, packages)| packages.collect())
        .unwrap_or_default();
    match platforms.next() {
        Some(_) => Err("it is for more than one platform".to_owned()),
        None => Ok(packages),
    }
}

/// Takes over the digest, if the two are the same package.
fn agree_conda(package: &mut CondaPackage, locked: &CondaBinaryData) -> Result<(), String> {
    let record = &locked.package_record;
    let (version, build) = (record.version.as_str(), record.build.as_str());
    if package.version != version || package.build != build {
        return Err(format!(
            "{0} is {1}={2} in the one, {version}={build} in the other",
            package.name, package.version, package.build
        ));
    }
    let digest = record.sha256.as_ref().map(|digest| hex(digest));
    agree_digest(&package.name, &mut package.sha256, digest)
}

/// Takes over version, address and digest, if the two are the same package.
fn agree_pip(package: &mut PipPackage, locked: &PypiDistributionData) -> Result<(), String> {
    let version = locked.version.to_string();
    if package.version.is_empty() {
        package.version = version;
    } else if package.version.parse().ok() != Some(locked.version.clone()) {
        return Err(format!(
            "{0} is {1} in the one, {version} in the other",
            package.name, package.version
        ));
    }
    let location = locked
        .location
        .given()
        .map_or_else(|| locked.location.to_string(), str::to_owned);
    match address(package) {
        Some(address) if address != location => {
            return Err(format!(
                "{0} is at {address} in the one, at {location} in the other",
                package.name
            ));
        }
        Some(_) => {}
        None => package.url = locked.location.as_url().cloned(),
    }
    package.requires = locked.requires_dist.iter().map(ToString::to_string).collect();
    let digest = locked.hash.as_ref().and_then(PackageHashes::sha256);
    agree_digest(&package.name, &mut package.sha256, digest.map(|digest| hex(digest)))
}

fn agree_digest(name: &str, ours: &mut Option<String>, locked: Option<String>) -> Result<(), String> {
    match (&ours, &locked) {
        (Some(one), Some(other)) if one != other => Err(format!("{name} has different digests")),
        (None, Some(_)) => {
            *ours = locked;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The address in the requirement: `None` for a package of an index.
pub(super) fn address(package: &PipPackage) -> Option<String> {
    match &package.url {
        _ if package.is_from_index() => None,
        Some(url) => Some(url.to_string()),
        None => package
            .requirement
            .split_once('@')
            .map(|(_, address)| address.trim().to_owned()),
    }
}

fn distribution(package: &PipPackage) -> Result<PypiPackageData, String> {
    let location = address(package).or_else(|| package.url.as_ref().map(Url::to_string));
    let location = location.unwrap_or_else(|| format!("{}-{}", normalized(&package.name), package.version));
    let inner = location.parse::<UrlOrPath>().map_err(|error| error.to_string())?;
    let hash = package.sha256.as_deref().map(sha256).transpose()?;
    Ok(PypiPackageData::from(PypiDistributionData {
        name: package.name.parse().map_err(|_| "its name is not valid".to_owned())?,
        version: package
            .version
            .parse()
            .map_err(|_| format!("`{}` is no version", package.version))?,
        location: Verbatim::new_with_given(inner, location),
        index_url: None,
        hash,
        // What is no requirement says nothing that a lock could hold.
        requires_dist: package.requires.iter().filter_map(|text| text.parse().ok()).collect(),
        requires_python: None,
    }))
}

fn sha256(hex: &str) -> Result<PackageHashes, String> {
    let invalid = || format!("`{hex}` is no sha256");
    if !super::yml::is_sha256(hex) {
        return Err(invalid());
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..][..2], 16).map_err(|_| invalid())?;
    }
    PackageHashes::from_hashes(None, Some(bytes.into())).ok_or_else(invalid)
}

/// The platform of the packages; that of floe itself where all run on any.
fn platform(frozen: &Frozen) -> Subdir {
    let records = frozen.conda.iter().filter_map(|package| package.record.as_ref());
    let mut subdirs = records.filter_map(|record| record.package_record.subdir.parse::<Subdir>().ok());
    let native = subdirs
        .find(|subdir| *subdir != Subdir::NoArch)
        .or_else(Subdir::current);
    native.unwrap_or(Subdir::Linux64)
}

fn channel_url(channel: &str) -> String {
    if channel.contains("://") {
        channel.to_owned()
    } else {
        format!("{ANACONDA}/{channel}")
    }
}
