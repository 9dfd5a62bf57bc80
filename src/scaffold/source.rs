//! What a mission is made from, told by what is there.

use std::fs;
use std::path::{Path, PathBuf};

use super::ScaffoldError;
use crate::reference::MissionName;

/// What a mission is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A directory as repo2docker reads it: where its files are.
    Repo2docker(PathBuf),
    /// A repository of the original framework.
    Tree(PathBuf),
    /// A mission's directory of the original framework.
    Mission(PathBuf),
    /// A spec of nb-wrangler.
    Wrangler(PathBuf),
}

/// What repo2docker reads, and makes packages of.
const OF_REPO2DOCKER: [&str; 13] = [
    "environment.yml",
    "environment.yaml",
    "requirements.txt",
    "apt.txt",
    "postBuild",
    "start",
    "runtime.txt",
    "install.R",
    "Pipfile",
    "Pipfile.lock",
    "Project.toml",
    "setup.py",
    "pyproject.toml",
];

impl Source {
    /// Tells what is at `path`.
    pub fn of(path: &Path) -> Result<Self, ScaffoldError> {
        let failed = |source| ScaffoldError::File {
            path: path.to_owned(),
            source,
        };
        let unknown = || ScaffoldError::Unknown { path: path.to_owned() };
        let about = fs::metadata(path).map_err(failed)?;
        if about.is_file() {
            let text = read(path)?;
            let is_spec = text.lines().any(|line| line.starts_with("image_spec_header:"));
            return if is_spec {
                Ok(Self::Wrangler(path.to_owned()))
            } else {
                Err(unknown())
            };
        }
        let has = |name: &str| path.join(name).exists();
        if has("missions") {
            return Ok(Self::Tree(path.to_owned()));
        }
        if has("environments") {
            return Ok(Self::Mission(path.to_owned()));
        }
        // As repo2docker does it: where one of these directories is, nothing else is looked at.
        for own in ["binder", ".binder"].map(|name| path.join(name)) {
            if own.is_dir() {
                return Ok(Self::Repo2docker(own));
            }
        }
        if OF_REPO2DOCKER.iter().any(|name| has(name)) {
            return Ok(Self::Repo2docker(path.to_owned()));
        }
        Err(unknown())
    }
}

/// The name of a mission after a directory or file: in lower case, with hyphens for what a name cannot hold.
pub fn name_of(path: &Path) -> Result<MissionName, ScaffoldError> {
    let whole = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let stem = if whole.is_dir() {
        whole.file_name()
    } else {
        whole.file_stem()
    };
    let stem = stem.unwrap_or_default().to_string_lossy().to_lowercase();
    let nameless = |_| ScaffoldError::Nameless { path: path.to_owned() };
    fitting(&stem).parse::<MissionName>().map_err(nameless)
}

/// The text with hyphens for what a name cannot hold.
pub(super) fn fitting(text: &str) -> String {
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// The text of a file that is to be carried over.
pub(super) fn read(path: &Path) -> Result<String, ScaffoldError> {
    let bytes = fs::read(path).map_err(|source| ScaffoldError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
