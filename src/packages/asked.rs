//! The lines of spec files that ask for packages.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Manager;
use super::requirement::Requirement;
use crate::address;
use crate::repository::Repository;
use crate::spec::SpecError;
use crate::spec::env::named;
use crate::spec::env::pip;

/// A line of a spec file that names a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The package, as the line writes it.
    pub name: String,
    /// Whom the line asks.
    pub by: Manager,
    /// Whether the line limits the package without asking for it, as constraints (`-c`) do.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub limits: bool,
    /// The whole line, without its comment.
    pub text: String,
    /// What it says of the version; empty where it says nothing.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub constraint: String,
    /// The extras that it asks for.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub extras: Vec<String>,
    /// The file, relative to the repository.
    pub file: PathBuf,
    /// The line, counted from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<usize>,
}

impl Asked {
    /// The file and the line: `missions/m/environments/e/e.pip:3`.
    #[must_use]
    pub fn place(&self) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{}{line}", self.file.display())
    }
}

/// The lines of `specs`, and of the lists that those name, that name a package.
pub fn asked<'a>(
    specs: impl IntoIterator<Item = &'a PathBuf>,
    repository: &Repository,
) -> Result<Vec<Asked>, SpecError> {
    let mut reading = Reading {
        repository,
        found: Vec::new(),
        seen: BTreeSet::new(),
    };
    for spec in specs {
        reading.take(spec, false)?;
    }
    Ok(reading.found)
}

struct Reading<'a> {
    repository: &'a Repository,
    found: Vec<Asked>,
    seen: BTreeSet<(PathBuf, bool)>,
}

impl Reading<'_> {
    fn take(&mut self, spec: &Path, limits: bool) -> Result<(), SpecError> {
        if !self.seen.insert((spec.to_owned(), limits)) {
            return Ok(());
        }
        for package in named::conda_packages(spec)? {
            self.found.push(Asked {
                name: package.name(),
                by: Manager::Conda,
                limits,
                constraint: package.constraint(),
                extras: Vec::new(),
                file: self.relative(&package.file),
                line: package.line,
                text: package.text,
            });
        }
        let directory = spec.parent().unwrap_or(Path::new(""));
        for line in pip::lines(spec)? {
            match line.option() {
                // What lies elsewhere is the installer's to read.
                Some(("--requirement" | "--constraint", list)) if list.contains("://") => {}
                Some(("--requirement", list)) => self.take(&directory.join(list), limits)?,
                Some(("--constraint", list)) => self.take(&directory.join(list), true)?,
                _ => {
                    let Some((name, _)) = named::requirement(&line) else {
                        continue;
                    };
                    let parsed = Requirement::of_pip(&line.text).filter(|parsed| parsed.name == name);
                    let (constraint, extras) = parsed
                        .map(|parsed| (parsed.constraint, parsed.extras))
                        .unwrap_or_default();
                    self.found.push(Asked {
                        name,
                        by: Manager::Pip,
                        limits,
                        constraint: address::without_credentials(&constraint),
                        extras,
                        file: self.relative(spec),
                        line: line.line,
                        text: address::without_credentials(&line.text),
                    });
                }
            }
        }
        Ok(())
    }

    fn relative(&self, path: &Path) -> PathBuf {
        self.repository.relative(path).to_owned()
    }
}
