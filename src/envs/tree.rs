//! Directory trees: copied with their times, walked, and given one time and one owner.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::error::{EnvsError, io_error};

/// What changes on the way from one tree to another.
pub(super) trait Change: Sync {
    /// Whether the entry at `path`, relative to the tree, is left out, with all below it.
    fn leaves_out(&self, path: &Path) -> bool;
    /// The new content of the file at `path`, relative to the tree; `None` where it stays.
    fn content(&self, path: &Path) -> Result<Option<Vec<u8>>, EnvsError>;
    /// The new target of a symbolic link.
    fn target(&self, target: PathBuf) -> PathBuf;
}

/// A copy that changes nothing.
pub(super) struct AsItIs;

impl Change for AsItIs {
    fn leaves_out(&self, _: &Path) -> bool {
        false
    }

    fn content(&self, _: &Path) -> Result<Option<Vec<u8>>, EnvsError> {
        Ok(None)
    }

    fn target(&self, target: PathBuf) -> PathBuf {
        target
    }
}

/// What was copied, as paths relative to the tree.
pub(super) struct Copied {
    /// The files and links.
    pub files: Vec<PathBuf>,
    /// The files whose content changed on the way.
    pub changed: Vec<PathBuf>,
}

/// Copies what is in the directory `from` into `to`, keeping modes and times.
pub(super) fn copy(from: &Path, to: &Path, change: &impl Change) -> Result<Copied, EnvsError> {
    let mut directories = Vec::new();
    let mut files = Vec::new();
    let walk = walkdir::WalkDir::new(from).into_iter();
    for entry in walk.filter_entry(|entry| !change.leaves_out(relative(entry.path(), from))) {
        let entry = entry.map_err(|error| walk_error(from, error))?;
        let path = relative(entry.path(), from).to_owned();
        if entry.file_type().is_dir() {
            let directory = to.join(&path);
            fs::create_dir_all(&directory).map_err(io_error(&directory))?;
            directories.push(path);
        } else {
            files.push(path);
        }
    }
    let changed = files
        .par_iter()
        .map(|path| {
            let (source, copy) = (from.join(path), to.join(path));
            let metadata = fs::symlink_metadata(&source).map_err(io_error(&source))?;
            let content = if metadata.is_file() {
                change.content(path)?
            } else {
                None
            };
            let changed = content.is_some();
            copy_file(&source, &metadata, &copy, content, change).map_err(io_error(&source))?;
            Ok((path, changed))
        })
        .collect::<Result<Vec<_>, EnvsError>>()?;
    // A directory's time changes with what is put into it: the innermost first, after all files.
    for path in directories.iter().rev() {
        let (source, directory) = (from.join(path), to.join(path));
        let metadata = fs::metadata(&source).map_err(io_error(&source))?;
        fs::set_permissions(&directory, metadata.permissions()).map_err(io_error(&directory))?;
        set_time(&directory, metadata.mtime(), metadata.mtime_nsec()).map_err(io_error(&directory))?;
    }
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    let changed = changed.map(|(path, _)| path.clone()).collect();
    Ok(Copied { files, changed })
}

/// Everything in the tree, its root first.
pub(super) fn walk(root: &Path) -> Result<Vec<walkdir::DirEntry>, EnvsError> {
    walk_less(root, None)
}

/// The same, less a directory and what is in it.
pub(super) fn walk_less(root: &Path, less: Option<&Path>) -> Result<Vec<walkdir::DirEntry>, EnvsError> {
    let entries = walkdir::WalkDir::new(root).sort_by_file_name().into_iter();
    entries
        .filter_entry(|entry| Some(entry.path()) != less)
        .map(|entry| entry.map_err(|error| walk_error(root, error)))
        .collect()
}

/// Gives the entry, or the link itself, a time of modification and access.
pub(super) fn set_time(path: &Path, seconds: i64, nanoseconds: i64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Gives the entry, or the link itself, the owner and group of `like`.
pub(super) fn set_owner(path: &Path, like: &fs::Metadata) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if (metadata.uid(), metadata.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    lchown(path, Some(like.uid()), Some(like.gid()))?;
    if !metadata.is_symlink() {
        // Changing the owner clears the set-user-ID and set-group-ID bits.
        fs::set_permissions(path, metadata.permissions())?;
    }
    Ok(())
}

/// Lets the group write where the owner may, if it may in the directory `like`, and else nowhere; what is made in a directory
/// belongs to its group as it does there.
pub(super) fn share(path: &Path, like: &fs::Metadata) -> io::Result<()> {
    const GROUP_WRITES: u32 = 0o020;
    const SET_GROUP: u32 = 0o2000;
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.mode() & 0o7777;
    let writes = (mode >> 3) & like.mode() & GROUP_WRITES;
    let mut shared = mode & !GROUP_WRITES | writes;
    if metadata.is_dir() {
        shared = shared & !SET_GROUP | like.mode() & SET_GROUP;
    }
    if shared == mode {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(shared))
}

fn copy_file(
    source: &Path,
    metadata: &fs::Metadata,
    copy: &Path,
    content: Option<Vec<u8>>,
    change: &impl Change,
) -> io::Result<()> {
    if metadata.is_symlink() {
        symlink(change.target(fs::read_link(source)?), copy)?;
    } else if let Some(content) = content {
        fs::write(copy, content)?;
        fs::set_permissions(copy, metadata.permissions())?;
    } else {
        fs::copy(source, copy)?;
    }
    set_time(copy, metadata.mtime(), metadata.mtime_nsec())
}

fn relative<'a>(path: &'a Path, root: &Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

fn walk_error(root: &Path, error: walkdir::Error) -> EnvsError {
    EnvsError::Io {
        path: error.path().unwrap_or(root).to_owned(),
        source: error.into(),
    }
}
