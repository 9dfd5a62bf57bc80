//! Lists of requirements, as installers get them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::spec::frozen::normalized;

/// One list of requirements.
#[derive(Debug, Clone)]
pub(in crate::envs) enum List {
    /// A requirements file.
    File(PathBuf),
    /// The pip list of a yml.
    Lines {
        /// The yml.
        file: PathBuf,
        /// The requirements.
        lines: Vec<String>,
    },
}

impl List {
    /// The file that the list is, or is part of.
    pub(in crate::envs) fn file(&self) -> &Path {
        match self {
            Self::File(file) | Self::Lines { file, .. } => file,
        }
    }

    /// Whether it surely asks for nothing.
    pub(in crate::envs) fn is_empty(&self) -> bool {
        matches!(self, Self::Lines { lines, .. } if lines.is_empty())
    }

    /// The place that asks for the package of this normalized name, e.g. `roman.pip:3`.
    pub(in crate::envs) fn asks_for(&self, name: &str) -> Option<String> {
        let mut requirements = self.requirements().into_iter();
        let (line, _) = requirements.find(|(_, requirement)| package(requirement) == name)?;
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        Some(format!("{}{line}", self.file().display()))
    }

    /// The requirements with their lines, counted from 1 where the list is a file.
    pub(super) fn requirements(&self) -> Vec<(Option<usize>, String)> {
        match self {
            Self::Lines { lines, .. } => lines.iter().map(|line| (None, line.clone())).collect(),
            Self::File(file) => {
                let text = fs::read_to_string(file).unwrap_or_default();
                let lines = text.lines().enumerate();
                lines
                    .map(|(index, line)| (Some(index + 1), line.trim().to_owned()))
                    .collect()
            }
        }
    }
}

/// The normalized name of the package that a requirement begins with.
pub(super) fn package(requirement: &str) -> String {
    let end = requirement.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
    normalized(&requirement[..end.unwrap_or(requirement.len())])
}
