//! Edits of an environment's specs that are not yet written: where each belongs, and a copy of the definitions with them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Specify, SpecifyError};
use crate::fault::Place;
use crate::repository::Repository;
use crate::spec::SpecError;
use crate::spec::edit::{self, Edited, PackageKind};
use crate::spec::env::{self, EnvironmentFiles, SpecKind};
use crate::spec::frozen::{Frozen, normalized};
use crate::state::FileError;
use crate::workflow::WorkflowError;

/// The specs of one environment with edits that are not yet written.
pub(super) struct Draft<'a> {
    repository: &'a Repository,
    /// What is solved, as it is in the repository.
    files: Vec<PathBuf>,
    /// The texts of edited files.
    pub texts: BTreeMap<PathBuf, String>,
    /// The edits, in the order in which they were asked for, with the files relative to the repository.
    pub edits: Vec<(PathBuf, Edited)>,
    scratch: tempfile::TempDir,
}

impl<'a> Draft<'a> {
    pub fn of(repository: &'a Repository, files: &EnvironmentFiles, shared: &[PathBuf]) -> Result<Self, WorkflowError> {
        let floating = files.floating().cloned().collect::<Vec<_>>();
        let mut all = env::with_included(&floating)?;
        all.extend(env::with_included(shared)?);
        let marker = files.directory.join(env::NO_COMMON);
        all.extend(Some(marker).filter(|marker| marker.exists()));
        Ok(Self {
            repository,
            files: all,
            texts: BTreeMap::new(),
            edits: Vec::new(),
            scratch: tempfile::tempdir().map_err(FileError::of(&std::env::temp_dir()))?,
        })
    }

    /// The text of a file with the edits so far; empty where there is no such file.
    fn text(&self, path: &Path) -> Result<String, SpecError> {
        if let Some(text) = self.texts.get(path) {
            return Ok(text.clone());
        }
        match fs::read(path) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| SpecError::NotEdited {
                path: path.to_owned(),
                line: None,
                reason: "it is no UTF-8".to_owned(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(SpecError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn take(&mut self, path: PathBuf, edited: Edited) {
        let path_shown = self.repository.relative(&path).to_owned();
        if edited.before != edited.after {
            self.texts.insert(path, edited.text.clone());
        }
        self.edits.push((path_shown, edited));
    }

    /// Puts a requirement in. `by_itself` is what the environment is made of.
    pub fn add(
        &mut self,
        files: &EnvironmentFiles,
        wanted: &Specify,
        by_itself: PackageKind,
        requirement: &str,
    ) -> Result<(), WorkflowError> {
        let kind = wanted.kind.unwrap_or(by_itself);
        let named = |kind| edit::package(requirement, kind);
        let name = named(kind).ok_or_else(|| SpecifyError::Nameless {
            requirement: requirement.to_owned(),
        })?;
        let listed = self.listed(files, &name, wanted.kind)?;
        let (path, kind) = match (&wanted.file, listed) {
            (Some(file), _) => {
                let path = files.directory.join(file);
                // A hidden file is read by nobody, and one elsewhere is not the environment's.
                if path.file_name() != Some(OsStr::new(file)) || file.starts_with('.') {
                    return Err(SpecifyError::NoSpec { file: file.clone() }.into());
                }
                let kind = match SpecKind::of(&path) {
                    Some(SpecKind::Pip) => PackageKind::Pip,
                    Some(SpecKind::Conda) => PackageKind::Conda,
                    Some(SpecKind::Yml) if !Frozen::is_frozen(&path) => kind,
                    _ => return Err(SpecifyError::NoSpec { file: file.clone() }.into()),
                };
                (path, kind)
            }
            (None, Some(found)) => found,
            (None, None) => (self.home(files, kind)?, kind),
        };
        let edited = edit::put(&self.text(&path)?, &path, kind, &name, requirement)?;
        self.take(path, edited);
        Ok(())
    }

    /// Takes a package out of all files that list it.
    pub fn remove(
        &mut self,
        files: &EnvironmentFiles,
        wanted: &Specify,
        shared: &[PathBuf],
        name: &str,
    ) -> Result<(), WorkflowError> {
        let before = self.edits.len();
        while let Some((path, kind)) = self.listed(files, name, wanted.kind)? {
            let Some(edited) = edit::take_out(&self.text(&path)?, &path, kind, name)? else {
                break;
            };
            self.take(path, edited);
        }
        if self.edits.len() > before {
            return Ok(());
        }
        Err(SpecifyError::NotListed {
            name: name.to_owned(),
            environment: files.name.clone(),
            because: self.elsewhere(files, shared, name)?,
        }
        .into())
    }

    /// The first of the environment's own files that lists the package.
    fn listed(
        &self,
        files: &EnvironmentFiles,
        name: &str,
        kind: Option<PackageKind>,
    ) -> Result<Option<(PathBuf, PackageKind)>, WorkflowError> {
        let own = self.files.iter().chain(self.texts.keys());
        for path in own.filter(|path| path.starts_with(&files.directory) && !path.ends_with(env::NO_COMMON)) {
            for listed in edit::listed(&self.text(path)?, path)? {
                if listed.name == normalized(name) && kind.is_none_or(|kind| kind == listed.kind) {
                    return Ok(Some((path.clone(), listed.kind)));
                }
            }
        }
        Ok(None)
    }

    /// The file for a package that none lists: the list of this kind that is named after the environment, or the only one;
    /// else the yml, where it lists such packages; else a new list.
    fn home(&self, files: &EnvironmentFiles, kind: PackageKind) -> Result<PathBuf, WorkflowError> {
        let (list, extension) = match kind {
            PackageKind::Conda => (SpecKind::Conda, "conda"),
            PackageKind::Pip => (SpecKind::Pip, "pip"),
        };
        let own = files.directory.join(format!("{}.{extension}", files.name));
        let lists = files.updates.iter().filter(|path| SpecKind::of(path) == Some(list));
        let lists = lists.collect::<Vec<_>>();
        if lists.contains(&&own) || lists.len() > 1 || self.texts.contains_key(&own) {
            return Ok(own);
        }
        if let [only] = lists[..] {
            return Ok(only.clone());
        }
        if let Some(yml) = &files.create {
            let listed = edit::listed(&self.text(yml)?, yml)?;
            if listed.iter().any(|listed| listed.kind == kind) {
                return Ok(yml.clone());
            }
        }
        Ok(own)
    }

    /// Why a package is there, or may be, that no own spec of the environment lists.
    fn elsewhere(
        &self,
        files: &EnvironmentFiles,
        shared: &[PathBuf],
        name: &str,
    ) -> Result<Option<String>, WorkflowError> {
        for path in env::with_included(shared)? {
            for listed in edit::listed(&self.text(&path)?, &path)? {
                if listed.name == normalized(name) {
                    let place = Place::of(self.repository.relative(&path), listed.line);
                    return Ok(Some(format!("{place} lists it, for all environments")));
                }
            }
        }
        let frozen = files.frozen.as_deref().map(Frozen::load).and_then(Result::ok);
        let held = frozen.is_some_and(|frozen| frozen.names().any(|held| held == normalized(name)));
        Ok(held.then(|| "it is there because another package needs it, or as part of the base environment".to_owned()))
    }

    /// A copy of the definitions, with the edits.
    pub fn definitions(&self) -> Result<Repository, WorkflowError> {
        let copy = Repository::at(self.scratch.path());
        for path in self.files.iter().chain(self.texts.keys()) {
            let to = copy.path(self.repository.relative(path));
            let text = match self.texts.get(path) {
                Some(text) => text.clone().into_bytes(),
                None => fs::read(path).map_err(FileError::of(path))?,
            };
            let parent = to.parent().unwrap_or(copy.root());
            fs::create_dir_all(parent).map_err(FileError::of(parent))?;
            fs::write(&to, text).map_err(FileError::of(&to))?;
        }
        Ok(copy)
    }
}
