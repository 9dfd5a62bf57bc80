//! The finished environment as a tree of its own, or as several, for layers whose digests depend on the content alone.
//!
//! What varies between two installations of the same packages is removed: times, caches, the owner who happened to
//! run the build, bytecode that holds the time of its source, and uv's notes on when it looked at a source.

mod layers;
mod owners;

pub(super) use layers::places;
pub(super) use owners::Owners;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::error::io_error;
use super::tree::{self, AsItIs};
use super::{EnvsError, Work, bytecode, kernelspec};
use crate::image;

/// The time of everything in a staged tree, in seconds since the epoch: the first moment of 1980, which zip files can
/// still hold.
pub const STAGED_TIME: i64 = 315_532_800;

/// Moves the environment and its kernelspec to the same paths under `out`, ready for `COPY --from=… out/ /`; of several
/// `layers` each below a directory of its own (`00`, `01` …), which may be empty.
///
/// The directories above them are made like those that are there. Everything gets the owner of `$CONDA_DIR`, and is shared with
/// its group as that is: a copy of the base environment is, and one that was installed is not yet.
pub fn env_stage(work: Work<'_>, out: &Path, layers: NonZeroUsize) -> Result<(), EnvsError> {
    let Work { layout, name, .. } = work;
    let whole = match layers.get() {
        1 => out.to_owned(),
        several => out.join(image::layer::numbered(several - 1)),
    };
    layout.complete(name)?;
    if name.is_base() {
        return Err(EnvsError::StageBase);
    }
    work.note(format!("staging the environment {name}"));
    normalize(work)?;
    let moved = directories(work);
    fs::create_dir_all(&whole).map_err(io_error(&whole))?;
    for dir in &moved {
        let staged = staged_path(&whole, dir);
        make_parents_alike(Path::new("/"), &whole, below_root(dir))?;
        // Where the directory is part of a lower layer it cannot be renamed, whatever the file system.
        if fs::rename(dir, &staged).is_err() {
            tree::copy(dir, &staged, &AsItIs)?;
            fs::remove_dir_all(dir).map_err(io_error(dir))?;
        }
    }
    let owner = fs::metadata(&layout.conda_dir).map_err(io_error(&layout.conda_dir))?;
    for dir in &moved {
        give(&staged_path(&whole, dir), &owner)?;
    }
    if layers.get() > 1 {
        layers::divide(out, &whole, &staged_path(&whole, &layout.prefix(name)), layers.get())?;
    }
    let mut entries = tree::walk(out)?;
    entries.reverse();
    entries
        .iter()
        .try_for_each(|entry| tree::set_time(entry.path(), STAGED_TIME, 0).map_err(io_error(entry.path())))
}

/// Removes what differs between two installations of the same packages.
pub(super) fn normalize(work: Work<'_>) -> Result<(), EnvsError> {
    let prefix = work.prefix();
    remove_what_varies(&prefix)?;
    bytecode::compile(work)?;
    bytecode::remove_checked(&prefix)
}

/// The directories that an environment consists of: its own, and that of its kernelspec.
pub(super) fn directories(work: Work<'_>) -> Vec<PathBuf> {
    let kernel = kernelspec::kernel_dir(work.layout, work.name);
    let all = [work.prefix(), kernel].into_iter();
    all.filter(|directory| directory.exists()).collect()
}

/// Gives everything below `root` an owner, and shares it with the group as that is.
pub(super) fn give(root: &Path, owner: &fs::Metadata) -> Result<(), EnvsError> {
    tree::walk(root)?.par_iter().try_for_each(|entry| {
        let path = entry.path();
        let alike = tree::set_owner(path, owner).and_then(|()| tree::share(path, owner));
        alike.map_err(io_error(path))
    })
}

fn staged_path(out: &Path, dir: &Path) -> PathBuf {
    out.join(below_root(dir))
}

pub(super) fn below_root(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Makes the directories above `path` below `to`, with the modes and owners that they have below `from`.
fn make_parents_alike(from: &Path, to: &Path, path: &Path) -> Result<(), EnvsError> {
    let missing = path.ancestors().skip(1).take_while(|dir| !to.join(dir).is_dir());
    for parent in missing.collect::<Vec<_>>().into_iter().rev() {
        let (original, made) = (from.join(parent), to.join(parent));
        let original = fs::metadata(&original).map_err(io_error(&original))?;
        fs::create_dir(&made).map_err(io_error(&made))?;
        tree::set_owner(&made, &original).map_err(io_error(&made))?;
        fs::set_permissions(&made, original.permissions()).map_err(io_error(&made))?;
    }
    Ok(())
}

/// Removes uv's notes on its sources, which hold times, and the lines that record them.
fn remove_what_varies(prefix: &Path) -> Result<(), EnvsError> {
    const NOTES: &str = "uv_cache.json";
    for entry in tree::walk(prefix)? {
        let path = entry.path();
        let in_metadata = path
            .parent()
            .and_then(Path::extension)
            .is_some_and(|e| e == "dist-info");
        if !(in_metadata && entry.file_name() == NOTES) {
            continue;
        }
        fs::remove_file(path).map_err(io_error(path))?;
        let record = path.with_file_name("RECORD");
        if let Ok(text) = fs::read_to_string(&record) {
            let kept = text
                .split_inclusive('\n')
                .filter(|line| !line.contains(&format!("/{NOTES},")));
            fs::write(&record, kept.collect::<String>()).map_err(io_error(&record))?;
        }
    }
    Ok(())
}
