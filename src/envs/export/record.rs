//! What conda packages an environment holds: the records in `conda-meta/*.json`.
//!
//! conda, mamba and rattler write different things as a record's channel, so it is taken from the package's address.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rattler_conda_types::{PackageRecord, PrefixRecord, RepoDataRecord};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::envs::EnvsError;
use crate::envs::error::io_error;

/// Where a channel that is named without a host is found.
const ANACONDA: &str = "https://conda.anaconda.org/";

/// One conda package of the environment.
pub(super) struct Installed {
    /// Its record, with addresses that hold no credentials.
    pub record: RepoDataRecord,
    /// The files that python distributions are known by, relative to the prefix.
    pub metadata: Vec<String>,
    path: PathBuf,
}

impl Installed {
    /// Whether the file `path`, relative to the prefix, is another one than the package brought.
    pub fn has_changed(&self, prefix: &Path, path: &str) -> Result<bool, EnvsError> {
        let record = PrefixRecord::from_path(&self.path).map_err(io_error(&self.path))?;
        let entry = record
            .paths_data
            .paths
            .iter()
            .find(|entry| entry.relative_path == Path::new(path));
        let Some(digest) = entry.and_then(|entry| entry.sha256_in_prefix.or(entry.sha256)) else {
            return Ok(false);
        };
        let file = prefix.join(path);
        match fs::read(&file) {
            Ok(content) => Ok(Sha256::digest(content)[..] != digest[..]),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(source) => Err(io_error(&file)(source)),
        }
    }
}

/// Reads all records of the environment at `prefix`: none in a venv.
pub(super) fn read(prefix: &Path) -> Result<Vec<Installed>, EnvsError> {
    let dir = prefix.join("conda-meta");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io_error(&dir)(source)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error(&dir))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_par_iter().map(read_one).collect()
}

/// What a record says beside what the repository says of the package.
#[derive(Deserialize)]
struct Origin {
    url: Option<Url>,
    #[serde(default)]
    files: Vec<String>,
}

fn read_one(path: PathBuf) -> Result<Installed, EnvsError> {
    let bytes = fs::read(&path).map_err(io_error(&path))?;
    let malformed = |message: String| EnvsError::Record {
        path: path.clone(),
        message,
    };
    // Read twice: a type that flattens one into the other would first take in all that the record lists.
    let package_record =
        serde_json::from_slice::<PackageRecord>(&bytes).map_err(|error| malformed(error.to_string()))?;
    let origin = serde_json::from_slice::<Origin>(&bytes).map_err(|error| malformed(error.to_string()))?;
    let url = origin.url.map(without_credentials);
    let url = url.ok_or_else(|| malformed("it does not say where the package came from".to_owned()))?;
    let file = url
        .path_segments()
        .and_then(|mut segments| segments.next_back())
        .unwrap_or_default();
    let identifier = file
        .parse()
        .map_err(|_| malformed(format!("{file} is no conda package")))?;
    let metadata = origin.files.into_iter().filter(|file| is_metadata(file)).collect();
    Ok(Installed {
        record: RepoDataRecord {
            package_record,
            identifier,
            channel: Some(channel_of(&url)),
            url,
        },
        metadata,
        path,
    })
}

fn is_metadata(path: &str) -> bool {
    path.ends_with(".dist-info/METADATA") || path.ends_with(".egg-info/PKG-INFO") || path.ends_with(".egg-info")
}

/// The channel that holds the package: all but the platform and the file. What a record itself says of its channel
/// differs between conda, mamba and rattler.
fn channel_of(package: &Url) -> String {
    let mut channel = package.clone();
    if let Ok(mut segments) = channel.path_segments_mut() {
        segments.pop().pop();
    }
    channel.to_string()
}

/// The channel as an `environment.yml` names it, so that a mirror of anaconda.org serves it, too.
pub(super) fn channel_name(channel: &str) -> String {
    match channel.strip_prefix(ANACONDA) {
        Some(name) if !name.is_empty() => name.trim_end_matches('/').to_owned(),
        _ => channel.trim_end_matches('/').to_owned(),
    }
}

/// The address without user, password and token (`/t/<token>/`).
fn without_credentials(mut url: Url) -> Url {
    // Fails for addresses without a host alone, which have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if let Some(("", rest)) = url.path().split_once("/t/")
        && let Some((_token, rest)) = rest.split_once('/')
    {
        let path = format!("/{rest}");
        url.set_path(&path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_leaves_an_address() {
        for (given, expected) in [
            (
                "https://u:p@example.org/c/noarch/a-1-0.conda",
                "https://example.org/c/noarch/a-1-0.conda",
            ),
            (
                "https://example.org/t/secret/c/noarch/a-1-0.conda",
                "https://example.org/c/noarch/a-1-0.conda",
            ),
            ("file:///srv/t/c/a-1-0.conda", "file:///srv/t/c/a-1-0.conda"),
        ] {
            assert_eq!(without_credentials(given.parse().unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn a_channel_of_anaconda_is_named_without_its_host() {
        for (package, name) in [
            (
                "https://conda.anaconda.org/conda-forge/noarch/a-1-0.conda",
                "conda-forge",
            ),
            ("https://conda.anaconda.org/a/label/b/linux-64/a-1-0.conda", "a/label/b"),
            (
                "https://repo.anaconda.com/pkgs/main/linux-64/a-1-0.conda",
                "https://repo.anaconda.com/pkgs/main",
            ),
            ("file:///srv/channel/noarch/a-1-0.conda", "file:///srv/channel"),
        ] {
            assert_eq!(channel_name(&channel_of(&package.parse().unwrap())), name);
        }
    }
}
