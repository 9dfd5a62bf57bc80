//! The files that lists of pip packages name: other lists (`-r`) and constraints (`-c`). They belong to the spec: what is
//! copied, what counts for digests and what an installer reads is one set.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{SpecError, pip};

/// The spec files, each followed by the files that it names, by however many steps; each once.
pub fn with_included(specs: &[PathBuf]) -> Result<Vec<PathBuf>, SpecError> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for spec in specs {
        take(spec, &mut found, &mut seen)?;
    }
    Ok(found)
}

fn take(spec: &Path, found: &mut Vec<PathBuf>, seen: &mut BTreeSet<PathBuf>) -> Result<(), SpecError> {
    if !seen.insert(spec.to_owned()) {
        return Ok(());
    }
    found.push(spec.to_owned());
    let directory = spec.parent().unwrap_or(Path::new(""));
    for (line, name) in named(spec)? {
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

/// The files on this machine that a list or a yml names, with their lines.
fn named(spec: &Path) -> Result<Vec<(Option<usize>, String)>, SpecError> {
    let lines = pip::lines(spec)?;
    let named = lines.iter().filter_map(|line| match line.option()? {
        // Another address than a file's is the installer's affair.
        ("--requirement" | "--constraint", name) if !name.is_empty() && !name.contains("://") => {
            Some((line.line, name.to_owned()))
        }
        _ => None,
    });
    Ok(named.collect())
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
