//! Bytecode that is kept by what it was made of: a source, its name, and the python that compiled it.
//!
//! An entry is found by the content of the source itself, whichever package brought it: what a package says of its files is
//! not believed. Only what this process has seen compiled becomes an entry, never bytecode that a package brought. An entry
//! begins with a line that has the digest of its content; one that is damaged is compiled again.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rayon::iter::{IntoParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _};

use super::{Source, interpreter};
use crate::envs::error::io_error;
use crate::envs::{EnvsError, kept};
use crate::image;
use crate::reference::{Digest, Hasher};

/// Says of a python what its bytecode depends on, and how it calls files of it.
const IDENTITY: &str = "\
import sys
if sys.version_info >= (3, 7):
    import importlib.util
    print(sys.implementation.cache_tag)
    print(importlib.util.MAGIC_NUMBER.hex(), sys.implementation.name, sys.version)
";

/// What the form of entries is. Another form is another cache.
const FORM: &str = "1";

/// What a python says of itself, on which its bytecode depends; empty for one whose bytecode always depends on the time of its
/// source.
pub(in crate::envs) fn identity(python: &Path) -> Result<String, EnvsError> {
    let mut command = interpreter(python);
    let asked = command.args(["-c", IDENTITY]).stdin(Stdio::null()).output();
    let asked = asked.map_err(io_error(python))?;
    if !asked.status.success() {
        let words = String::from_utf8_lossy(&asked.stderr);
        let said = format!("it does not say what it is ({}): {}", asked.status, words.trim());
        return Err(io_error(python)(io::Error::other(said)));
    }
    Ok(String::from_utf8_lossy(&asked.stdout).into_owned())
}

/// The cache of one python.
pub(super) struct Cache {
    directory: PathBuf,
    /// `cpython-311`, as in the names of files.
    tag: String,
    python: String,
}

/// A source that the cache does not know.
pub(super) struct New {
    pub(super) source: Source,
    key: Digest,
    /// Where its bytecode goes.
    bytecode: PathBuf,
    /// The file that was there before.
    before: Option<u64>,
}

impl Cache {
    /// The cache in `directory` for this python; `None` for one whose bytecode always depends on the time of its source.
    pub(super) fn of(directory: &Path, python: &Path) -> Result<Option<Self>, EnvsError> {
        let said = identity(python)?;
        Ok(said.split_once('\n').map(|(tag, python)| Self {
            directory: directory.join(FORM),
            tag: tag.to_owned(),
            python: python.to_owned(),
        }))
    }

    /// Gives each source its bytecode, as far as it is known. Returns the others.
    pub(super) fn restore(&self, sources: Vec<Source>) -> Result<Vec<New>, EnvsError> {
        let restored = sources.into_par_iter().map(|source| self.restore_one(source));
        let restored = restored.collect::<Result<Vec<_>, _>>()?;
        Ok(restored.into_iter().flatten().collect())
    }

    fn restore_one(&self, source: Source) -> Result<Option<New>, EnvsError> {
        let path = &source.path;
        let content = fs::read(path).map_err(io_error(path))?;
        let key = self.key(&source.name, &content);
        let bytecode = self.bytecode(path);
        let there = || fs::metadata(&bytecode).ok().map(|metadata| metadata.ino());
        match kept::kept(&self.entry(&key)) {
            None => {
                let before = there();
                Ok(Some(New {
                    source,
                    key,
                    bytecode,
                    before,
                }))
            }
            // It is known not to compile.
            Some(kept) if kept.is_empty() => Ok(None),
            Some(kept) => {
                if fs::read(&bytecode).is_ok_and(|there| there == kept) {
                    return Ok(None);
                }
                let mode = fs::metadata(path).map_err(io_error(path))?.permissions().mode();
                // Whoever may read the source may read its bytecode.
                kept::write(&bytecode, &[&kept], (mode | 0o200) & 0o666).map_err(io_error(&bytecode))?;
                Ok(None)
            }
        }
    }

    /// Keeps what became of these sources, which have just been compiled.
    pub(super) fn keep(&self, new: &[New]) -> Result<(), EnvsError> {
        new.par_iter().try_for_each(|new| {
            let now = fs::metadata(&new.bytecode).ok().map(|metadata| metadata.ino());
            let made = match now {
                // What was there fits. Who made it is not known.
                Some(now) if Some(now) == new.before => return Ok(()),
                Some(_) => fs::read(&new.bytecode).map_err(io_error(&new.bytecode))?,
                None => Vec::new(),
            };
            let entry = self.entry(&new.key);
            kept::keep(&entry, &made).map_err(io_error(&entry))
        })
    }

    fn key(&self, name: &Path, content: &[u8]) -> Digest {
        let mut hasher = Hasher::default();
        hasher.part("floe", image::INSTALLER.as_bytes());
        hasher.part("python", self.python.as_bytes());
        hasher.part("name", name.as_os_str().as_bytes());
        hasher.part("source", content);
        hasher.finish()
    }

    fn entry(&self, key: &Digest) -> PathBuf {
        let digits = key.hex();
        let (start, rest) = digits.split_at(2);
        self.directory.join(start).join(rest)
    }

    fn bytecode(&self, source: &Path) -> PathBuf {
        let stem = source.file_stem().unwrap_or_default().to_os_string();
        let mut file = stem;
        file.push(format!(".{}.pyc", self.tag));
        source.with_file_name("__pycache__").join(file)
    }
}
