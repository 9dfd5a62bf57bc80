//! Bytecode that depends on its source alone, so that the same packages are the same bytes on any day.
//!
//! Installers compile nothing themselves: what they write differs with the order of their work, or with the time of the
//! source. Bytecode of an *unchecked hash* (PEP 552) stays valid whatever happens to the times.
//!
//! What `marshal` writes of a string depends on which strings the process has met before. So each directory is compiled
//! by a process of its own, forked from one state (`bytecode.py`), which costs 0.5 ms a directory.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::io_error;
use super::pip::installer;
use super::{EnvsError, Work, tree};
use crate::image;

const PROGRAM: &str = include_str!("bytecode.py");

/// Compiles what below `lib/python*` of the environment has no bytecode that fits its source.
pub(super) fn compile(work: Work<'_>) -> Result<(), EnvsError> {
    let mut directories = Vec::new();
    for library in libraries(&work.prefix())? {
        directories.extend(
            tree::walk(&library)?
                .into_iter()
                .filter(|entry| entry.file_type().is_dir() && entry.file_name() != "__pycache__")
                .map(walkdir::DirEntry::into_path),
        );
    }
    compile_in(work, &directories)
}

/// Compiles what in these directories, and not below them, has no bytecode that fits its source.
pub(super) fn compile_in(work: Work<'_>, directories: &[PathBuf]) -> Result<(), EnvsError> {
    let python = image::python(&work.prefix());
    if directories.is_empty() || !python.exists() {
        return Ok(());
    }
    let mut command = Command::new(python);
    // Without site-packages, whose `.pth` files may run anything; and with one order of hashes, which older marshals
    // write sets in.
    command
        .args(["-s", "-S", "-W", "ignore", "-c", PROGRAM])
        .env_clear()
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONUTF8", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir("/");
    let input = directories
        .iter()
        .flat_map(|directory| [directory.as_os_str().as_encoded_bytes(), b"\n"])
        .collect::<Vec<_>>();
    installer::run(command, work, &[], &input.concat())
}

/// Removes bytecode that python would hold against the time of its source: of another version, or of another level of
/// optimization. `compile` has replaced the rest.
pub(super) fn remove_checked(prefix: &Path) -> Result<(), EnvsError> {
    for library in libraries(prefix)? {
        for entry in tree::walk(&library)? {
            let path = entry.path();
            let cached = path.parent().is_some_and(|dir| dir.ends_with("__pycache__"));
            if cached && entry.file_type().is_file() && is_checked(path).map_err(io_error(path))? {
                fs::remove_file(path).map_err(io_error(path))?;
            }
        }
    }
    Ok(())
}

/// `lib/python3.11` and its like.
fn libraries(prefix: &Path) -> Result<Vec<PathBuf>, EnvsError> {
    let lib = prefix.join("lib");
    let entries = match fs::read_dir(&lib) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io_error(&lib)(source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io_error(&lib))?;
        let is_dir = entry.file_type().map_err(io_error(&lib))?.is_dir();
        if is_dir && entry.file_name().as_encoded_bytes().starts_with(b"python") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn is_checked(bytecode: &Path) -> io::Result<bool> {
    const UNCHECKED_HASH: [u8; 4] = [1, 0, 0, 0];
    let mut head = Vec::new();
    fs::File::open(bytecode)?.take(8).read_to_end(&mut head)?;
    Ok(head.get(4..) != Some(&UNCHECKED_HASH))
}
