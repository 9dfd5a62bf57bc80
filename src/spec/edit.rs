//! Edits of spec files: a requirement put in, replaced or taken out. Comments, order and everything else stay as they are.

mod list;
mod yml;

use std::fmt;
use std::path::Path;

use super::env::conda::CondaSpec;
use super::env::{EnvironmentSpec, SpecKind, conda, named, pip};
use super::error::SpecError;
use super::frozen::normalized;

/// Who installs a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PackageKind {
    /// It is a conda package.
    Conda,
    /// It is installed as pip does.
    Pip,
}

impl fmt::Display for PackageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conda => "conda",
            Self::Pip => "pip",
        })
    }
}

/// A spec file after an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// Its whole text.
    pub text: String,
    /// The line that was edited, counted from 1.
    pub line: usize,
    /// What the line asked for before; `None` where it is new.
    pub before: Option<String>,
    /// What it asks for now; `None` where it was taken out.
    pub after: Option<String>,
}

/// A requirement as a spec file lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The requirement, without a comment.
    pub text: String,
    /// The name of its package, as names are compared: see [`normalized`].
    pub name: String,
    /// The line, counted from 1, where it is known.
    pub line: Option<usize>,
    /// Who installs it.
    pub kind: PackageKind,
}

/// What the spec file `path` of the text `text` lists, in its order. Options, and addresses that name no package, are left
/// out.
pub fn listed(text: &str, path: &Path) -> Result<Vec<Listed>, SpecError> {
    let of_conda = |spec: CondaSpec| Listed {
        name: normalized(&spec.name()),
        line: spec.line,
        kind: PackageKind::Conda,
        text: spec.text,
    };
    let specs = match SpecKind::of(path) {
        Some(SpecKind::Conda) => conda::list(text, path),
        Some(SpecKind::Yml) => EnvironmentSpec::parse(text, path)?.conda,
        Some(SpecKind::Pip) | None => Vec::new(),
    };
    let mut found = specs.into_iter().map(of_conda).collect::<Vec<_>>();
    for line in pip::lines_of(text, path)? {
        if let Some((name, _)) = named::requirement(&line) {
            found.push(Listed {
                name: normalized(&name),
                line: line.line,
                kind: PackageKind::Pip,
                text: line.text,
            });
        }
    }
    Ok(found)
}

/// The name of the package that a requirement is about, as names are compared. `None` where it names none, or is more than one
/// requirement.
#[must_use]
pub fn package(requirement: &str, kind: PackageKind) -> Option<String> {
    let file = Path::new(match kind {
        PackageKind::Conda => "list.conda",
        PackageKind::Pip => "list.pip",
    });
    match <[Listed; 1]>::try_from(listed(requirement, file).ok()?) {
        Ok([Listed { name, .. }]) if !name.is_empty() && !requirement.contains('\n') => Some(name),
        _ => None,
    }
}

/// Puts `requirement`, which names `name`, into the text of a spec file, in the place of what lists that package now. A
/// requirement that is a name alone leaves a line as it is that says more.
pub fn put(text: &str, path: &Path, kind: PackageKind, name: &str, requirement: &str) -> Result<Edited, SpecError> {
    let listed = listed(text, path)?;
    let mut same = listed.iter().filter(|listed| is_of(listed, kind, name));
    let (first, second) = (same.next(), same.next());
    if let (Some(first), Some(_)) = (first, second) {
        let reason = format!("it lists {name} more than once, so that no line can be told to be the one to edit");
        return Err(refused(path, first.line, reason));
    }
    if let Some(known) = first.filter(|known| known.text == requirement || normalized(requirement) == known.name) {
        return Ok(Edited {
            text: text.to_owned(),
            line: known.line.unwrap_or(1),
            before: Some(known.text.clone()),
            after: Some(known.text.clone()),
        });
    }
    let edited = match SpecKind::of(path) {
        Some(SpecKind::Yml) => yml::put(text, path, kind, first, requirement)?,
        _ => list::put(text, path, first, requirement)?,
    };
    let mut expected = without(&listed, kind, name);
    expected.push(requirement.to_owned());
    verified(edited, path, expected)
}

/// Takes every line that lists the package out of the text of a spec file. `None` where none does.
pub fn take_out(text: &str, path: &Path, kind: PackageKind, name: &str) -> Result<Option<Edited>, SpecError> {
    let mut edited: Option<Edited> = None;
    loop {
        let current = edited.as_ref().map_or(text, |edited| &edited.text);
        let listed = listed(current, path)?;
        let Some(first) = listed.iter().find(|listed| is_of(listed, kind, name)) else {
            return Ok(edited);
        };
        let next = match SpecKind::of(path) {
            Some(SpecKind::Yml) => yml::take_out(current, path, kind, first)?,
            _ => list::take_out(current, path, first)?,
        };
        let mut expected = listed.iter().map(|listed| listed.text.clone()).collect::<Vec<_>>();
        let position = listed.iter().position(|listed| listed == first).unwrap_or_default();
        expected.remove(position);
        edited = Some(verified(next, path, expected)?);
    }
}

fn is_of(listed: &Listed, kind: PackageKind, name: &str) -> bool {
    listed.kind == kind && listed.name == normalized(name)
}

fn without(listed: &[Listed], kind: PackageKind, name: &str) -> Vec<String> {
    let others = listed.iter().filter(|listed| !is_of(listed, kind, name));
    others.map(|listed| listed.text.clone()).collect()
}

/// The edit, if the file lists exactly what is expected after it.
fn verified(edited: Edited, path: &Path, mut expected: Vec<String>) -> Result<Edited, SpecError> {
    let found = listed(&edited.text, path)?;
    let mut found = found.into_iter().map(|listed| listed.text).collect::<Vec<_>>();
    found.sort();
    expected.sort();
    if found == expected {
        return Ok(edited);
    }
    let reason = "it is written in a way in which one requirement cannot be edited alone".to_owned();
    Err(refused(path, Some(edited.line), reason))
}

fn refused(path: &Path, line: Option<usize>, reason: String) -> SpecError {
    SpecError::NotEdited {
        path: path.to_owned(),
        line,
        reason,
    }
}

#[cfg(test)]
mod tests;
