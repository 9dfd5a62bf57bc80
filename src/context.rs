//! The files that a build can copy: a directory less what `.dockerignore` names, with files of floe's own laid over it.
//!
//! The overlay brings floe's agent into the common image without touching the directory. A file of the directory wins
//! over one of the overlay, so a site can replace what floe brings.

mod ignore;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use self::ignore::{Ignore, Matched};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::fault::{Explained, Kind, Place};
use crate::reference::{Digest, Hasher};

/// A file of the context that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct ContextError {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl Explained for ContextError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn place(&self) -> Option<Place> {
        Some(Place::of(&self.path, None))
    }
}

/// What a build can copy.
#[derive(Debug, Clone)]
pub struct Context {
    root: PathBuf,
    overlay: BTreeMap<PathBuf, Overlay>,
    left_out: BTreeSet<PathBuf>,
}

/// A file that floe lays over the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// The content of another file, with this mode.
    File {
        /// The file on the host.
        source: PathBuf,
        /// Its permission bits in the context.
        mode: u32,
    },
    /// A symbolic link to this target.
    Symlink(PathBuf),
    /// An empty directory.
    Directory,
}

/// One file, directory or link of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path relative to the context's root.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, with the set-user-ID, set-group-ID and sticky bits.
    pub mode: u32,
    /// Modification time in nanoseconds since the epoch.
    pub modified: i64,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Where its content is on the host.
        source: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// A symbolic link.
    Symlink(PathBuf),
}

impl Context {
    /// The context of the directory `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            overlay: BTreeMap::new(),
            left_out: BTreeSet::new(),
        }
    }

    /// The same context without these files (relative paths).
    #[must_use]
    pub fn without(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.left_out.extend(paths);
        self
    }

    /// The same context with one more file of floe's own at `path` (relative, without `..`).
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, overlay: Overlay) -> Self {
        self.overlay.insert(path.into(), overlay);
        self
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Everything in the context, each directory before what it holds, in the order of path components.
    pub fn entries(&self) -> Result<Vec<Entry>, ContextError> {
        let ignore = Ignore::read(&self.root)?;
        let mut above = BTreeMap::<PathBuf, Matched>::new();
        let mut found = BTreeMap::new();
        let mut walk = walkdir::WalkDir::new(&self.root).min_depth(1).into_iter();
        while let Some(item) = walk.next() {
            let item = item.map_err(|error| ContextError {
                path: error.path().unwrap_or(&self.root).to_owned(),
                source: error.into(),
            })?;
            let path = relative(item.path(), &self.root);
            if self.left_out.contains(&path) {
                continue;
            }
            if !ignore.is_empty() {
                let matched = ignore.of(&path, above.get(&ignore::parent(&path)).unwrap_or(&Matched::default()));
                let (directory, out) = (item.file_type().is_dir(), matched.out);
                if directory && out && !ignore.has_exceptions() {
                    walk.skip_current_dir();
                }
                if directory {
                    above.insert(path.clone(), matched);
                }
                if out {
                    continue;
                }
            }
            if let Some(entry) = entry(path.clone(), item.path())? {
                found.insert(path, entry);
            }
        }
        self.lay_over(&mut found)?;
        // A file that an exception brought back still needs its directories.
        for path in found.keys().cloned().collect::<Vec<_>>() {
            self.add_parents(&path, &mut found)?;
        }
        Ok(found.into_values().collect())
    }

    fn lay_over(&self, found: &mut BTreeMap<PathBuf, Entry>) -> Result<(), ContextError> {
        for (path, overlay) in &self.overlay {
            if found.contains_key(path) {
                continue;
            }
            let laid = match overlay {
                Overlay::Directory => directory(path),
                Overlay::Symlink(target) => Entry {
                    path: path.clone(),
                    kind: EntryKind::Symlink(target.clone()),
                    mode: 0o777,
                    modified: 0,
                },
                Overlay::File { source, mode } => {
                    let metadata = fs::metadata(source).map_err(|error| ContextError {
                        path: source.clone(),
                        source: error,
                    })?;
                    Entry {
                        path: path.clone(),
                        kind: EntryKind::File {
                            source: source.clone(),
                            size: metadata.len(),
                        },
                        mode: *mode,
                        modified: modified(&metadata),
                    }
                }
            };
            found.insert(path.clone(), laid);
        }
        Ok(())
    }

    fn add_parents(&self, path: &Path, found: &mut BTreeMap<PathBuf, Entry>) -> Result<(), ContextError> {
        for parent in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            if found.contains_key(parent) {
                continue;
            }
            let on_disk = self.root.join(parent);
            let made = if on_disk.is_dir() {
                entry(parent.to_owned(), &on_disk)?
            } else {
                Some(directory(parent))
            };
            found.extend(made.map(|made| (parent.to_owned(), made)));
        }
        Ok(())
    }
}

/// The digest of each file among the entries, by path: content, kind and mode, but neither times nor owners.
///
/// Files are read in parallel.
pub fn digests(entries: &[Entry]) -> Result<BTreeMap<PathBuf, Digest>, ContextError> {
    entries
        .par_iter()
        .filter(|entry| entry.kind != EntryKind::Directory)
        .map(|entry| Ok((entry.path.clone(), digest(entry)?)))
        .collect()
}

/// The mode of each file among the entries, which a build copies with it.
#[must_use]
pub fn modes(entries: &[Entry]) -> BTreeMap<PathBuf, u32> {
    let files = entries.iter();
    let files = files.filter(|entry| matches!(entry.kind, EntryKind::File { .. }));
    files.map(|entry| (entry.path.clone(), entry.mode)).collect()
}

/// The entry for a directory that is not on disk.
fn directory(path: &Path) -> Entry {
    Entry {
        path: path.to_owned(),
        kind: EntryKind::Directory,
        mode: 0o755,
        modified: 0,
    }
}

/// The entry for a file on disk; `None` for sockets, pipes and devices, which no build can copy.
fn entry(path: PathBuf, on_disk: &Path) -> Result<Option<Entry>, ContextError> {
    let failed = |source| ContextError {
        path: on_disk.to_owned(),
        source,
    };
    let metadata = fs::symlink_metadata(on_disk).map_err(failed)?;
    let kind = if metadata.is_dir() {
        EntryKind::Directory
    } else if metadata.is_symlink() {
        EntryKind::Symlink(fs::read_link(on_disk).map_err(failed)?)
    } else if metadata.is_file() {
        EntryKind::File {
            source: on_disk.to_owned(),
            size: metadata.len(),
        }
    } else {
        return Ok(None);
    };
    Ok(Some(Entry {
        path,
        kind,
        mode: metadata.permissions().mode() & 0o7777,
        modified: modified(&metadata),
    }))
}

fn digest(entry: &Entry) -> Result<Digest, ContextError> {
    let mut hasher = Hasher::default();
    match &entry.kind {
        EntryKind::Directory => {}
        EntryKind::Symlink(target) => hasher.part("link", target.as_os_str().as_encoded_bytes()),
        EntryKind::File { source, .. } => {
            hasher.part("file", &[]);
            read_pieces(source, |piece| hasher.raw(piece)).map_err(|error| ContextError {
                path: source.clone(),
                source: error,
            })?;
        }
    }
    Ok(hasher.finish())
}

fn read_pieces(path: &Path, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            n => take(&buffer[..n]),
        }
    }
}

fn modified(metadata: &fs::Metadata) -> i64 {
    metadata
        .mtime()
        .saturating_mul(1_000_000_000)
        .saturating_add(metadata.mtime_nsec())
}

fn relative(path: &Path, root: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests;
