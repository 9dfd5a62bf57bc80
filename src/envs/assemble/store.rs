//! Pieces of packages that are kept from one build to the next.
//!
//! A piece is found by all that decides its bytes: the package's archive, where its environment is and whose, and the python and
//! the installer that it was made with. Its archive is there before its index, without which it is not found.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::piece::{Index, Piece};
use crate::envs::error::{EnvsError, io_error};
use crate::envs::kept;
use crate::reference::Digest;

/// What the form of what is kept is. Another form is another store.
const FORM: &str = "1";

/// What was not used for so long goes.
const UNUSED: Duration = Duration::from_hours(60 * 24);

/// What a call has begun and not ended for so long was left by one that was killed.
const ABANDONED: Duration = Duration::from_hours(24);

/// Where pieces are kept.
pub(super) struct Store(PathBuf);

impl Store {
    /// The store in a directory.
    pub(super) fn at(directory: &Path) -> Self {
        Self(directory.join("packages").join(FORM))
    }

    /// The piece that is kept by this key.
    pub(super) fn find(&self, key: &Digest) -> Option<Piece> {
        let index = kept::kept(&self.path(key, "json"))?;
        let index = serde_json::from_slice::<Index>(&index).ok()?;
        let archive = self.path(key, "tar");
        let file = File::open(&archive).ok()?;
        // It is in use. A store of somebody else's can be read all the same.
        let _ = file.set_modified(SystemTime::now());
        Some(Piece {
            index: Arc::new(index),
            archive,
        })
    }

    /// Keeps a piece by this key.
    pub(super) fn keep(&self, key: &Digest, piece: &mut Piece) -> Result<(), EnvsError> {
        let archive = self.path(key, "tar");
        let failed = io_error(&archive);
        let directory = archive.parent().unwrap_or(&self.0);
        fs::create_dir_all(directory).map_err(failed)?;
        fs::rename(&piece.archive, &archive).map_err(failed)?;
        piece.archive.clone_from(&archive);
        let index = serde_json::to_vec(&*piece.index).map_err(|error| failed(error.into()))?;
        kept::keep(&self.path(key, "json"), &index).map_err(failed)
    }

    /// A new directory beside what is kept, for pieces in the making.
    pub(super) fn draft(&self) -> Result<tempfile::TempDir, EnvsError> {
        fs::create_dir_all(&self.0).map_err(io_error(&self.0))?;
        tempfile::TempDir::with_prefix_in("draft-", &self.0).map_err(io_error(&self.0))
    }

    /// The digest of a layer that was put together before, by what it was put together of.
    pub(super) fn layer(&self, key: &Digest) -> Option<Digest> {
        let text = kept::kept(&self.path(key, "layer"))?;
        std::str::from_utf8(&text).ok()?.parse().ok()
    }

    /// Remembers the digest of a layer.
    pub(super) fn remember(&self, key: &Digest, layer: &Digest) -> Result<(), EnvsError> {
        let path = self.path(key, "layer");
        kept::keep(&path, layer.as_str().as_bytes()).map_err(io_error(&path))
    }

    /// Removes what nothing has used for long, and what killed calls have left.
    pub(super) fn tidy(&self) -> Result<(), EnvsError> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(io_error(&self.0)(source)),
        };
        for directory in entries.flatten().map(|entry| entry.path()) {
            if directory
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"draft-"))
            {
                if is_older(&directory, ABANDONED) {
                    let _ = fs::remove_dir_all(&directory);
                }
                continue;
            }
            for path in fs::read_dir(&directory)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
            {
                let archive = path.with_extension("tar");
                if is_older(&path, UNUSED) && (!archive.exists() || is_older(&archive, UNUSED)) {
                    forget(&archive);
                    let _ = fs::remove_file(&path);
                }
            }
        }
        Ok(())
    }

    fn path(&self, key: &Digest, extension: &str) -> PathBuf {
        let digits = key.hex();
        let (start, rest) = digits.split_at(2);
        self.0.join(start).join(rest).with_extension(extension)
    }
}

/// Whether what is at `path` has not changed for longer than that.
fn is_older(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|about| about.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|since| since > age))
}

/// Forgets a piece, by its archive: it was damaged, or is of no use any more.
pub(super) fn forget(archive: &Path) {
    // The next call makes it again, whatever is left of it.
    let _ = fs::remove_file(archive.with_extension("json"));
    let _ = fs::remove_file(archive);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(directory: &Path, text: &str) -> Piece {
        let file = directory.join("a.py");
        fs::write(&file, text).unwrap();
        Piece::of(&[file], directory.join("made")).unwrap()
    }

    #[test]
    fn what_is_kept_is_found_by_its_key_unless_its_index_is_damaged() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::at(place.path());
        let key = Digest::of(b"key");
        assert!(store.find(&key).is_none());
        let mut piece = made(place.path(), "one");
        store.keep(&key, &mut piece).unwrap();
        assert_eq!(store.find(&key).unwrap().index, piece.index);
        let index = store.path(&key, "json");
        let text = fs::read_to_string(&index).unwrap().replace("a.py", "b.py");
        fs::write(&index, text).unwrap();
        assert!(store.find(&key).is_none());
    }

    #[test]
    fn what_nothing_has_used_for_long_goes_and_what_is_in_use_stays() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::at(place.path());
        let before = SystemTime::now() - UNUSED - Duration::from_secs(1);
        let keys = [b"old", b"new"].map(|key| Digest::of(key));
        for key in &keys {
            store.keep(key, &mut made(place.path(), "x")).unwrap();
            for extension in ["json", "tar"] {
                let file = File::options().write(true).open(store.path(key, extension)).unwrap();
                file.set_modified(before).unwrap();
            }
        }
        assert!(store.find(&keys[1]).is_some());
        let [killed, running] = [(); 2].map(|()| store.draft().unwrap().keep());
        let yesterday = SystemTime::now() - ABANDONED - Duration::from_secs(1);
        File::open(&killed).unwrap().set_modified(yesterday).unwrap();
        store.tidy().unwrap();
        assert_eq!([killed.exists(), running.exists()], [false, true]);
        assert_eq!(keys.each_ref().map(|key| store.find(key).is_some()), [false, true]);
    }
}
