//! A copy of an environment that runs from its own prefix, made offline.
//!
//! An environment holds its own path in many files. Of the files of conda packages the records say which, and how: in
//! text, or in C strings of binary files. All other text is searched, since any package may add more: scripts,
//! activation files, `pyvenv.cfg`, kernelspecs. Times are kept, so that bytecode stays valid.

mod binary;
mod manifest;
mod record;
mod text;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use self::record::{Holds, Records};
use self::text::Written;
use super::change::make;
use super::error::io_error;
use super::tree::{self, Change};
use super::{EnvsError, INCOMPLETE, Layout, Work, bytecode};
use crate::reference::EnvironmentName;

/// How many bytes tell text from binary content.
const HEAD: u64 = 8192;

/// How many files a warning names.
const SHOWN: usize = 5;

/// Makes an environment as a copy of `source`.
///
/// Of the base environment, the other environments and their kernels are left out. A complete environment of the
/// new name is left alone, which is an error.
pub fn env_clone(work: Work<'_>, source: &EnvironmentName) -> Result<(), EnvsError> {
    work.layout.complete(source)?;
    make(work, |change| copy(change, source))
}

/// Fills an environment that is being made with a copy of `source`.
pub(super) fn copy(change: &super::change::Change<'_>, source: &EnvironmentName) -> Result<(), EnvsError> {
    let (work, prefix) = (change.work, &change.prefix);
    let from = work.layout.complete(source)?;
    let left_out = if source.is_base() {
        left_out_of_base(work.layout)?
    } else {
        Vec::new()
    };
    work.note(format!("cloning the environment {source} as {}", work.name));
    let rebake = Rebake {
        from: from.clone(),
        to: prefix.to_owned(),
        left_out,
        records: Records::read(&from)?,
        stuck: Mutex::default(),
    };
    let copied = tree::copy(&from, prefix, &rebake)?;
    let changed = copied.changed.into_iter().collect::<BTreeSet<_>>();
    rebake.records.update(prefix, &changed)?;
    let foreign = |path: &&PathBuf| rebake.records.holds(path).is_none();
    let foreign = copied.files.iter().filter(foreign).map(PathBuf::as_path);
    manifest::update(prefix, foreign, &changed)?;
    rebake.warn(work);
    let sources = remove_bytecode(prefix, &changed)?;
    bytecode::compile_sources(work, sources)
}

fn left_out_of_base(layout: &Layout) -> Result<Vec<PathBuf>, EnvsError> {
    let mut left_out = vec![PathBuf::from("envs"), PathBuf::from("pkgs")];
    let kernels = Path::new("share/jupyter/kernels");
    left_out.extend(layout.installed()?.iter().map(|name| kernels.join(name.as_str())));
    Ok(left_out)
}

struct Rebake {
    from: PathBuf,
    to: PathBuf,
    left_out: Vec<PathBuf>,
    records: Records,
    /// Binary files that no record describes, and that name the old prefix.
    stuck: Mutex<BTreeSet<PathBuf>>,
}

impl Change for Rebake {
    fn leaves_out(&self, path: &Path) -> bool {
        path == Path::new(INCOMPLETE) || self.left_out.iter().any(|left_out| left_out == path)
    }

    fn content(&self, path: &Path) -> Result<Option<Vec<u8>>, EnvsError> {
        let source = self.from.join(path);
        let (from, to) = self.prefixes();
        match self.records.holds(path) {
            Some(Holds::Binary(placeholder)) => {
                let content = fs::read(&source).map_err(io_error(&source))?;
                binary::rebaked(&content, from, to, placeholder).map_err(|_| EnvsError::NoRoom {
                    path: source,
                    prefix: self.to.clone(),
                    room: placeholder,
                })
            }
            Some(Holds::Text) => self.searched(path, Written::OverPlaceholder),
            // What pip has replaced there is no longer as the record says.
            Some(Holds::Nothing) if path.starts_with("bin") => self.searched(path, Written::BySomebody),
            Some(Holds::Nothing) => Ok(None),
            None if is_conda_record(path) || path.extension().is_some_and(|extension| extension == "pyc") => Ok(None),
            None => self.searched(path, Written::BySomebody),
        }
    }

    fn target(&self, target: PathBuf) -> PathBuf {
        let (from, to) = self.prefixes();
        match text::rebaked(target.as_os_str().as_bytes(), from, to, Written::BySomebody) {
            Some(target) => PathBuf::from(std::ffi::OsStr::from_bytes(&target)),
            None => target,
        }
    }
}

impl Rebake {
    fn prefixes(&self) -> (&[u8], &[u8]) {
        (self.from.as_os_str().as_bytes(), self.to.as_os_str().as_bytes())
    }

    /// The new content of a file that may be text.
    fn searched(&self, path: &Path, written: Written) -> Result<Option<Vec<u8>>, EnvsError> {
        let source = self.from.join(path);
        let mut file = fs::File::open(&source).map_err(io_error(&source))?;
        let mut content = Vec::new();
        file.by_ref()
            .take(HEAD)
            .read_to_end(&mut content)
            .map_err(io_error(&source))?;
        let is_text = !content.contains(&0);
        file.read_to_end(&mut content).map_err(io_error(&source))?;
        let (from, to) = self.prefixes();
        if is_text {
            return Ok(text::rebaked(&content, from, to, written).map(text::with_short_shebang));
        }
        if text::places(&content, from, written).next().is_some() {
            self.stuck
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .insert(path.to_owned());
        }
        Ok(None)
    }

    /// Says what still names the old prefix: nobody knows how much room there is for another.
    fn warn(&self, work: Work<'_>) {
        let stuck = self.stuck.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if stuck.is_empty() {
            return;
        }
        let shown = stuck
            .iter()
            .take(SHOWN)
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>();
        let more = match stuck.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        work.warn(format!(
            "these binary files, which no conda package brought, still name {}: {}{more}",
            self.from.display(),
            shown.join(", ")
        ));
    }
}

/// What conda wrote about the environment's past stays as it is.
fn is_conda_record(path: &Path) -> bool {
    let json = path.extension().is_some_and(|extension| extension == "json");
    path.parent() == Some(Path::new("conda-meta")) && (json || path.ends_with("history"))
}

/// Removes the bytecode of the modules whose text has changed: bytecode that is never checked would hide the change. The
/// result is the modules that lack some now.
fn remove_bytecode(prefix: &Path, changed: &BTreeSet<PathBuf>) -> Result<Vec<PathBuf>, EnvsError> {
    let mut sources = Vec::new();
    for path in changed {
        let source = prefix.join(path);
        let (Some(dir), Some(stem)) = (source.parent(), source.file_stem()) else {
            continue;
        };
        let cache = dir.join("__pycache__");
        let Ok(entries) = fs::read_dir(&cache) else {
            continue;
        };
        if source.extension().is_none_or(|extension| extension != "py") {
            continue;
        }
        let start = [stem.as_bytes(), b"."].concat();
        let mut any = false;
        for entry in entries {
            let path = entry.map_err(io_error(&cache))?.path();
            if path.file_name().is_some_and(|name| name.as_bytes().starts_with(&start)) {
                fs::remove_file(&path).map_err(io_error(&path))?;
                any = true;
            }
        }
        if any {
            sources.push(source);
        }
    }
    Ok(sources)
}
