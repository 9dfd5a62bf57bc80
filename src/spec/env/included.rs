//! The files that lists of pip packages name: other lists (`-r`) and constraints (`-c`). They belong to the spec: what is
//! copied, what counts for digests and what an installer reads is one set.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::pip::PipLine;
use super::{SpecError, pip};

/// Spec files with the files that they name, and what all of them list of pip packages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// The spec files, each followed by the files that it names, by however many steps; each once.
    pub files: Vec<PathBuf>,
    /// Their lines, in the order of the files.
    pub lines: Vec<PipLine>,
}

impl Lists {
    /// Reads the spec files and what they name.
    pub fn read(specs: &[PathBuf]) -> Result<Self, SpecError> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for spec in specs {
            take(spec, &mut found, &mut seen)?;
        }
        let mut lists = Self::default();
        for (path, lines) in found {
            lists.files.push(path);
            lists.lines.extend(lines);
        }
        Ok(lists)
    }
}

/// The spec files, each followed by the files that it names, by however many steps; each once.
pub fn with_included(specs: &[PathBuf]) -> Result<Vec<PathBuf>, SpecError> {
    Ok(Lists::read(specs)?.files)
}

fn take(spec: &Path, found: &mut Vec<(PathBuf, Vec<PipLine>)>, seen: &mut BTreeSet<PathBuf>) -> Result<(), SpecError> {
    if !seen.insert(spec.to_owned()) {
        return Ok(());
    }
    let lines = pip::lines(spec)?;
    let named = named(&lines);
    found.push((spec.to_owned(), lines));
    let directory = spec.parent().unwrap_or(Path::new(""));
    for (line, name) in named {
        let path = cleaned(&directory.join(&name));
        if !path.is_file() {
            return Err(SpecError::Malformed {
                path: spec.to_owned(),
                line,
                message: format!("it names {name}, which is no file beside it"),
            });
        }
        take(&path, found, seen)?;
    }
    Ok(())
}

/// The files on this machine that the lines of a list or a yml name, with the numbers of those lines.
fn named(lines: &[PipLine]) -> Vec<(Option<usize>, String)> {
    let named = lines.iter().filter_map(|line| match line.option()? {
        // Another address than a file's is the installer's affair.
        ("--requirement" | "--constraint", name) if !name.is_empty() && !name.contains("://") => {
            Some((line.line, name.to_owned()))
        }
        _ => None,
    });
    named.collect()
}

/// The path without `.` and `..`, as far as its text tells.
fn cleaned(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if cleaned.file_name().is_some() => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_found_through_any_number_of_lists_and_once() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let list = write("e.pip", "-c constraints.txt\n-r sub/more.txt\nrequests\n");
        let yml = write("e.yml", "dependencies:\n- python\n- pip:\n  - -r sub/more.txt\n");
        write("constraints.txt", "idna<4\n");
        write("sub/more.txt", "-r ../e.pip\ntabulate\n");
        let found = with_included(&[yml, list]).unwrap();
        let names = found
            .iter()
            .map(|path| path.strip_prefix(root.path()).unwrap().to_str().unwrap());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["e.yml", "sub/more.txt", "e.pip", "constraints.txt"]
        );
        let broken = write("x.pip", "six\n-r nosuch.txt\n");
        let error = with_included(&[broken]).unwrap_err().to_string();
        assert!(error.contains("x.pip:2") && error.contains("nosuch.txt"), "{error}");
    }
}
