//! What conda's records say of an environment's files, and what they must say of those of its clone.
//!
//! Of scripts that the installer makes itself, a record holds the digest as `sha256`, not as `sha256_in_prefix`.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rattler_conda_types::package::FileMode;
use rattler_conda_types::prefix_record::PathType;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::envs::EnvsError;
use crate::envs::error::io_error;
use crate::envs::tree;
use crate::spec::frozen::hex;

/// How a file of a conda package holds the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Not at all.
    Nothing,
    /// In text.
    Text,
    /// In C strings, over a placeholder of this length.
    Binary(usize),
}

/// The files of conda packages, by their paths relative to the prefix, and the records that list them.
#[derive(Default)]
pub(super) struct Records {
    files: HashMap<PathBuf, Holds>,
    records: Vec<(PathBuf, Vec<PathBuf>)>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    paths_data: Paths,
}

#[derive(Default, Deserialize)]
struct Paths {
    #[serde(default)]
    paths: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "_path")]
    path: PathBuf,
    path_type: Option<PathType>,
    file_mode: Option<FileMode>,
    prefix_placeholder: Option<String>,
}

impl Entry {
    fn holds(&self) -> Holds {
        match (&self.prefix_placeholder, self.file_mode) {
            (Some(placeholder), Some(FileMode::Binary)) => Holds::Binary(placeholder.len()),
            (Some(_), _) => Holds::Text,
            // Made by the installer, with an interpreter in the first line.
            (None, _) if self.path_type == Some(PathType::UnixPythonEntryPoint) => Holds::Text,
            (None, _) => Holds::Nothing,
        }
    }
}

impl Records {
    /// Reads the records of the environment at `prefix`: none in a venv.
    pub fn read(prefix: &Path) -> Result<Self, EnvsError> {
        let dir = prefix.join("conda-meta");
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(io_error(&dir)(source)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let name = PathBuf::from(entry.map_err(io_error(&dir))?.file_name());
            if name.extension().is_some_and(|extension| extension == "json") {
                paths.push(name);
            }
        }
        let read = paths.into_par_iter().map(|name| {
            let path = dir.join(&name);
            let bytes = fs::read(&path).map_err(io_error(&path))?;
            let record = serde_json::from_slice::<Record>(&bytes).map_err(|error| EnvsError::Record {
                path,
                message: error.to_string(),
            })?;
            Ok((Path::new("conda-meta").join(name), record.paths_data.paths))
        });
        let mut records = Self::default();
        for (path, entries) in read.collect::<Result<Vec<_>, EnvsError>>()? {
            records
                .files
                .extend(entries.iter().map(|entry| (entry.path.clone(), entry.holds())));
            records
                .records
                .push((path, entries.into_iter().map(|entry| entry.path).collect()));
        }
        Ok(records)
    }

    /// How the file holds the prefix; `None` where it belongs to no conda package.
    pub fn holds(&self, path: &Path) -> Option<Holds> {
        self.files.get(path).copied()
    }

    /// Makes the records of the clone at `prefix` say what its `changed` files hold now.
    pub fn update(&self, prefix: &Path, changed: &BTreeSet<PathBuf>) -> Result<(), EnvsError> {
        let concerned = self
            .records
            .iter()
            .filter(|(_, files)| files.iter().any(|file| changed.contains(file)));
        let concerned = concerned.map(|(path, _)| prefix.join(path)).collect::<Vec<_>>();
        concerned
            .into_par_iter()
            .try_for_each(|path| update(prefix, &path, changed))
    }
}

fn update(prefix: &Path, path: &Path, changed: &BTreeSet<PathBuf>) -> Result<(), EnvsError> {
    let text = fs::read_to_string(path).map_err(io_error(path))?;
    let mut record = serde_json::from_str::<Value>(&text).map_err(|error| io_error(path)(error.into()))?;
    let entries = record.pointer_mut("/paths_data/paths").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten() {
        let Some(file) = entry["_path"].as_str().filter(|file| changed.contains(Path::new(file))) else {
            continue;
        };
        let file = prefix.join(file);
        let content = fs::read(&file).map_err(io_error(&file))?;
        // Of what the installer made itself there is no other content than that in the prefix.
        let made = entry["path_type"] == "unix_python_entry_point";
        let key = if made && entry.get("sha256_in_prefix").is_none() {
            "sha256"
        } else {
            "sha256_in_prefix"
        };
        if let Some(digest) = entry.get_mut(key) {
            *digest = hex(&Sha256::digest(&content)).into();
        }
        if let Some(size) = entry.get_mut("size_in_bytes") {
            *size = content.len().into();
        }
    }
    let text = if text.contains("\n  ") {
        format!("{record:#}")
    } else {
        record.to_string()
    };
    rewrite(path, text.as_bytes()).map_err(io_error(path))
}

/// Replaces the content of a file, and nothing else of it.
pub(super) fn rewrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    fs::write(path, content)?;
    tree::set_time(path, metadata.mtime(), metadata.mtime_nsec())
}
