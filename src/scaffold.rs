//! What a repository or a mission begins with: from nothing, or from what somebody has for other tools.
//!
//! A [`Scaffold`] is data: the files to write, and what is not carried over, with the reason. Writing it overwrites nothing.

mod custom;
mod error;
mod mission;
mod original;
mod repo2docker;
mod repository;
mod source;
mod wrangler;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

pub use error::ScaffoldError;
pub use mission::mission;
pub use original::{alone, original};
pub use repo2docker::repo2docker;
pub use repository::{Ci, repository};
pub use source::{Source, name_of};
pub use wrangler::wrangler;

use crate::reference::MissionName;

/// Files to write, and what a person should know of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scaffold {
    /// The missions that they are of.
    pub missions: Vec<MissionName>,
    /// The files, relative to the repository, in the order of their paths once written.
    pub files: Vec<NewFile>,
    /// What was there and is not carried over.
    pub left: Vec<Left>,
    /// Settings that the missions need, by their names.
    pub settings: Vec<(&'static str, String)>,
    /// Whether every environment has a frozen spec.
    pub frozen: bool,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its path, relative to the repository.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it is a program.
    pub program: bool,
}

/// Something that is not carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// What: a file, or a line of one.
    pub what: String,
    /// Why, and what to do instead.
    pub why: String,
}

/// What became of the files of a scaffold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Those that were written.
    pub new: Vec<PathBuf>,
    /// Those that were there, and are as they were.
    pub kept: Vec<PathBuf>,
}

impl Scaffold {
    fn text(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) {
        self.files.push(NewFile {
            path: path.into(),
            bytes: text.into().into_bytes(),
            program: false,
        });
    }

    fn program(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) {
        self.files.push(NewFile {
            path: path.into(),
            bytes: text.into().into_bytes(),
            program: true,
        });
    }

    fn leave(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.left.push(Left {
            what: what.into(),
            why: why.into(),
        });
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.missions.extend(other.missions);
        self.files.extend(other.files);
        self.left.extend(other.left);
        self.settings.extend(other.settings);
        self.frozen &= other.frozen;
        self
    }

    /// Writes the files below `root`, those that are not there.
    pub fn write(&self, root: &Path) -> Result<Written, ScaffoldError> {
        let mut written = Written::default();
        let mut files = self.files.iter().collect::<Vec<_>>();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        for file in files {
            let path = root.join(&file.path);
            let failed = |source| ScaffoldError::File {
                path: path.clone(),
                source,
            };
            fs::create_dir_all(path.parent().unwrap_or(root)).map_err(failed)?;
            let mode = if file.program { 0o777 } else { 0o666 };
            let opened = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&path);
            match opened {
                Ok(mut opened) => {
                    opened.write_all(&file.bytes).map_err(failed)?;
                    written.new.push(file.path.clone());
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => written.kept.push(file.path.clone()),
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests;
