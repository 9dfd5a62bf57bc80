//! floe's own state, in `.floe/` at the repository's root: test runs, evidence, and what images were last built from.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::{Explained, Kind};
use crate::plan::Inputs;
use crate::reference::{Digest, MissionName, Role};

/// Its directory.
pub const DIRECTORY: &str = ".floe";

/// The state directory of a repository.
#[derive(Debug, Clone)]
pub struct State {
    root: PathBuf,
}

/// What takes time, and is remembered for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task<'a> {
    /// The build of an image.
    Build(&'a Role),
    /// All tests of a mission.
    Tests(&'a MissionName),
}

/// A file of floe's own that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl FileError {
    /// What turns an error of the operating system into one that names `path`.
    pub(crate) fn of(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self {
            path: path.to_owned(),
            source,
        }
    }
}

impl Explained for FileError {
    fn kind(&self) -> Kind {
        Kind::Internal
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.source.kind() {
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                "floe keeps runs and reports in .floe/ of the repository, and must be able to write there"
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl State {
    /// The state of the repository at `root`. Nothing is created until something is written.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self {
            root: root.join(DIRECTORY),
        }
    }

    /// The directory of all test runs.
    #[must_use]
    pub fn runs_directory(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// The directory of the test run `run`.
    #[must_use]
    pub fn run(&self, run: &str) -> PathBuf {
        self.runs_directory().join(run)
    }

    /// The directory of the report `name` of several runs.
    #[must_use]
    pub fn report(&self, name: &str) -> PathBuf {
        self.root.join("reports").join(name)
    }

    /// The file that holds the evidence for the image `id`.
    #[must_use]
    pub fn evidence(&self, id: &Digest) -> PathBuf {
        let hex = id.hex();
        self.root.join("evidence").join(format!("{hex}.json"))
    }

    /// The file that holds what the last check of a stage with an image said.
    #[must_use]
    pub fn check(&self, deployment: &str, stage: &str, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let directory = self.root.join("checks").join(deployment).join(stage);
        directory.join(format!("{hex}.json"))
    }

    /// The file that holds the text of the pull request of a promotion.
    #[must_use]
    pub fn promotion(&self, branch: &str) -> PathBuf {
        let name = branch.trim_start_matches("floe/").replace('/', "-");
        self.root.join("promotions").join(format!("{name}.md"))
    }

    /// The directory of what was downloaded, and can be again.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The directory of layers as they are sent.
    #[must_use]
    pub fn layers(&self) -> PathBuf {
        self.cache().join("layers")
    }

    /// The directory of what was worked out of the repository's files.
    #[must_use]
    pub fn memo(&self) -> PathBuf {
        self.root.join("memo")
    }

    /// The directory of the frozen specs that floating ones were solved to here, each at its path in the repository.
    #[must_use]
    pub fn solved(&self) -> PathBuf {
        self.root.join("solved")
    }

    /// The page of the packages of a mission.
    #[must_use]
    pub fn page_of_packages(&self, mission: &str) -> PathBuf {
        self.root.join("packages").join(format!("{mission}.html"))
    }

    /// How large the image of a mission was that was built last.
    #[must_use]
    pub fn sizes(&self, mission: &MissionName) -> PathBuf {
        self.root.join("sizes").join(format!("{mission}.json"))
    }

    /// The directory that holds the `common/` of a repository that has none of its own.
    #[must_use]
    pub fn carried(&self) -> PathBuf {
        self.root.join("carried")
    }

    /// The file that holds the bill of materials of the image `id`, in a version of its form.
    #[must_use]
    pub fn bill(&self, id: &Digest, format: u32) -> PathBuf {
        let hex = id.hex();
        self.root.join("bills").join(format!("{hex}-{format}.spdx.json"))
    }

    /// Removes the evidence for the image `id`, if there is any.
    pub fn withdraw_evidence(&self, id: &Digest) -> Result<(), FileError> {
        let path = self.evidence(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::of(&path)(error)),
            _ => Ok(()),
        }
    }

    /// What an image was last built from.
    ///
    /// It only serves to give a reason: a file that cannot be read is as good as none.
    #[must_use]
    pub fn inputs(&self, role: &Role) -> Option<Inputs> {
        read(&self.inputs_file(role)).ok().flatten()
    }

    /// Remembers what an image was built from.
    pub fn record_inputs(&self, role: &Role, inputs: &Inputs) -> Result<(), FileError> {
        write(&self.inputs_file(role), inputs)
    }

    /// How many seconds something took when it was last done here, if it was.
    #[must_use]
    pub fn duration(&self, task: &Task<'_>) -> Option<f64> {
        read(&self.duration_file(task)).ok().flatten()
    }

    /// Remembers how many seconds something took.
    pub fn record_duration(&self, task: &Task<'_>, seconds: f64) -> Result<(), FileError> {
        write(&self.duration_file(task), &seconds)
    }

    fn duration_file(&self, task: &Task<'_>) -> PathBuf {
        match task {
            Task::Build(role) => self.file("durations/builds", role),
            Task::Tests(mission) => self.file("durations/tests", &Role::Mission((*mission).clone())),
        }
    }

    fn inputs_file(&self, role: &Role) -> PathBuf {
        self.file("inputs", role)
    }

    fn file(&self, directory: &str, role: &Role) -> PathBuf {
        let name = role.tag("").repository.replace('/', "-");
        self.root.join(directory).join(format!("{name}.json"))
    }
}

/// Reads a JSON file; `None` if there is none.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let failed = FileError::of(path);
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| failed(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Writes a JSON file whole or not at all: a reader, or a crash, never meets half of it.
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), FileError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| FileError::of(path)(error.into()))?;
    write_text(path, &(text + "\n"))
}

/// Writes a file whole or not at all, likewise.
pub fn write_text(path: &Path, text: &str) -> Result<(), FileError> {
    let failed = FileError::of(path);
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(&failed)?;
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(&failed)?;
    io::Write::write_all(&mut file, text.as_bytes()).map_err(&failed)?;
    file.as_file().sync_all().map_err(&failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back_and_no_temporary_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.json");
        assert_eq!(read::<Vec<u32>>(&path).unwrap(), None);
        write(&path, &vec![1, 2]).unwrap();
        assert_eq!(read::<Vec<u32>>(&path).unwrap(), Some(vec![1, 2]));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        fs::write(&path, "[1,").unwrap();
        assert_eq!(read::<Vec<u32>>(&path).unwrap_err().path, path);
    }
}
