//! Bytecode that depends on its source alone, so that a package has the same bytes in every environment, on any day.
//!
//! Installers compile nothing themselves: what they write differs with the order of their work, or with the time of the
//! source. Bytecode of an *unchecked hash* (PEP 552) stays valid whatever happens to the times. It calls its source by a name
//! relative to `site-packages`; the import system puts the real path in its place when it loads it, at 1 µs a module. What
//! reads bytecode without importing it sees the short name.
//!
//! What `marshal` writes of an object depends on whether anything else refers to it, and so on what the process has met before.
//! `compile.py` refers to each object itself while it writes it. (A process of its own for each source does as well, at twice
//! the time.) Where there is a cache ([`Cache`]), each source is compiled once for a python.

mod cache;

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::cache::Cache;
pub(super) use self::cache::identity;
use super::error::io_error;
use super::pip::installer;
use super::{EnvsError, Work, tree};
use crate::image;

const PROGRAM: &str = include_str!("bytecode/compile.py");

/// Compiles what below `lib/python*` of the environment has no bytecode that fits its source.
pub(super) fn compile(work: Work<'_>) -> Result<(), EnvsError> {
    let mut sources = Vec::new();
    for library in libraries(&work.prefix())? {
        let entries = tree::walk(&library)?.into_iter();
        let found = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "py"));
        sources.extend(found.filter(is_file).map(walkdir::DirEntry::into_path));
    }
    compile_sources(work, sources)
}

/// Compiles those of these sources that have no bytecode that fits.
pub(super) fn compile_sources(work: Work<'_>, sources: Vec<PathBuf>) -> Result<(), EnvsError> {
    let prefix = work.prefix();
    let python = image::python(&prefix);
    if sources.is_empty() || !python.exists() {
        return Ok(());
    }
    let sources = sources.into_iter().map(|path| Source::at(path, &prefix));
    let sources = sources.collect::<Vec<_>>();
    match work.tools.cache.as_deref() {
        None => run(work, &python, &sources),
        Some(directory) => {
            let Some(cache) = Cache::of(&directory.join("bytecode"), &python)? else {
                return Ok(());
            };
            let new = cache.restore(sources)?;
            run(work, &python, new.iter().map(|new| &new.source))?;
            if let Err(error) = cache.keep(&new) {
                work.warn(format!("{error}: bytecode is compiled again the next time"));
            }
            Ok(())
        }
    }
}

/// A source, and how its bytecode calls it.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    name: PathBuf,
}

impl Source {
    fn at(path: PathBuf, prefix: &Path) -> Self {
        let name = path.strip_prefix(prefix).unwrap_or(&path);
        let below = |name: &Path, start: &str| name.strip_prefix(start).ok().map(Path::to_owned);
        let in_library = below(name, "lib").and_then(|name| {
            let library = name.components().next()?;
            let library = library
                .as_os_str()
                .as_bytes()
                .starts_with(b"python")
                .then_some(library)?;
            name.strip_prefix(library).ok().map(Path::to_owned)
        });
        let name = in_library.unwrap_or_else(|| name.to_owned());
        let name = below(&name, "site-packages").unwrap_or(name);
        Self { path, name }
    }
}

/// Has python compile the sources.
fn run<'a>(work: Work<'_>, python: &Path, sources: impl IntoIterator<Item = &'a Source>) -> Result<(), EnvsError> {
    let mut input = Vec::new();
    for source in sources {
        for field in [&source.path, &source.name] {
            input.extend_from_slice(field.as_os_str().as_bytes());
            input.push(0);
        }
    }
    if input.is_empty() {
        return Ok(());
    }
    let mut command = interpreter(python);
    command.args(["-W", "ignore", "-c", PROGRAM]);
    installer::run(command, work, &[], &input)
}

/// A python without site-packages, whose `.pth` files may run anything; and with one order of hashes, which older marshals
/// write sets in.
fn interpreter(python: &Path) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-s", "-S"])
        .env_clear()
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONUTF8", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir("/");
    command
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

/// Whether an entry is a file, or a link to one.
fn is_file(entry: &walkdir::DirEntry) -> bool {
    entry.file_type().is_file() || entry.path_is_symlink() && entry.path().is_file()
}

fn is_checked(bytecode: &Path) -> io::Result<bool> {
    const UNCHECKED_HASH: [u8; 4] = [1, 0, 0, 0];
    let mut head = Vec::new();
    fs::File::open(bytecode)?.take(8).read_to_end(&mut head)?;
    Ok(head.get(4..) != Some(&UNCHECKED_HASH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytecode_calls_its_source_by_a_name_that_no_environment_changes() {
        let name = |path: &str| Source::at(path.into(), Path::new("/opt/conda/envs/a")).name;
        let module = name("/opt/conda/envs/a/lib/python3.11/site-packages/numpy/core.py");
        assert_eq!(module, Path::new("numpy/core.py"));
        assert_eq!(
            name("/opt/conda/envs/a/lib/python3.11/json/tool.py"),
            Path::new("json/tool.py")
        );
        assert_eq!(
            name("/opt/conda/envs/a/share/tool/run.py"),
            Path::new("share/tool/run.py")
        );
    }
}
