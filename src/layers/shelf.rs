//! Where compressed layers are kept, by their digest, and what is known of them.
//!
//! `blobs/` holds what is sent, a file for each digest; `known/` says for each layer, by the digest of its content, what it
//! was compressed to, and which repositories have taken that. Several floes may use one: files come whole or not at all, and
//! what one of them loses of the other's knowledge costs time only.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::packing::packed;
use super::{Compression, Packed};
use crate::reference::Digest;
use crate::state::{self, FileError};

/// How many bytes of compressed layers stay.
const LARGEST: u64 = 10 << 30;

/// How many repositories are remembered of a layer, the latest.
const MOST_REPOSITORIES: usize = 16;

/// A file that was begun, and not written to for so long, is nobody's any more.
const ABANDONED: Duration = Duration::from_hours(24);

/// The shelf of compressed layers in one directory.
#[derive(Debug, Clone)]
pub struct Shelf {
    directory: PathBuf,
}

/// What is known of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What it was compressed to.
    #[serde(flatten)]
    pub packed: Packed,
    /// How many bytes it was before.
    pub length: u64,
    /// The repositories that have taken it, with the name of their registry.
    pub repositories: Vec<String>,
}

impl Shelf {
    /// The shelf in `directory`. Nothing is created until something is kept.
    #[must_use]
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// What is known of the layer with this content; a file that cannot be read is as good as none.
    #[must_use]
    pub fn known(&self, layer: &Digest, compression: Compression) -> Option<Known> {
        state::read(&self.knowledge(layer, compression)).ok().flatten()
    }

    /// Opens what is kept by this digest, after a look at whether it still is that. What was damaged is removed.
    #[must_use]
    pub fn open(&self, digest: &Digest) -> Option<File> {
        let path = self.blob(digest);
        let file = File::open(&path).ok()?;
        match Digest::of_all(&file) {
            Ok(found) if found == *digest => {
                // What was used last goes last.
                let _ = file.set_modified(SystemTime::now());
                Some(file)
            }
            _ => {
                let _ = fs::remove_file(path);
                None
            }
        }
    }

    /// Opens what was kept by this digest a moment ago.
    pub fn open_unseen(&self, digest: &Digest) -> Result<File, FileError> {
        let path = self.blob(digest);
        File::open(&path).map_err(FileError::of(&path))
    }

    /// Compresses a layer, and keeps that. Returns the digest of its content, and what it is known by.
    pub fn pack(&self, mut layer: impl Read, compression: Compression) -> Result<(Digest, Known), FileError> {
        packed(&mut layer, compression, self, |_| ())?.keep(self)
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether something is kept by this digest, damaged or not.
    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.blob(digest).is_file()
    }

    /// The small content that is kept by this digest.
    #[must_use]
    pub fn content(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = fs::read(self.blob(digest)).ok()?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }

    /// Keeps small content by its digest.
    pub fn keep_content(&self, bytes: &[u8]) -> Result<(), FileError> {
        let path = self.blob(&Digest::of(bytes));
        let mut file = self.begin()?;
        file.write_all(bytes).map_err(FileError::of(&path))?;
        persist(file, &path)
    }

    /// A file to write compressed bytes to; it goes unless [`Self::keep`] keeps it.
    pub(super) fn begin(&self) -> Result<NamedTempFile, FileError> {
        let directory = self.directory.join("blobs");
        fs::create_dir_all(&directory).map_err(FileError::of(&directory))?;
        NamedTempFile::new_in(&directory).map_err(FileError::of(&directory))
    }

    /// Keeps what a layer was compressed to.
    pub(super) fn keep(
        &self,
        layer: &Digest,
        compression: Compression,
        (packed, length): (Packed, u64),
        file: NamedTempFile,
    ) -> Result<Known, FileError> {
        persist(file, &self.blob(&packed.digest))?;
        let known = Known {
            packed,
            length,
            repositories: Vec::new(),
        };
        state::write(&self.knowledge(layer, compression), &known)?;
        Ok(known)
    }

    /// Remembers that a repository has a layer.
    pub fn taken(&self, layer: &Digest, compression: Compression, repository: &str) -> Result<(), FileError> {
        let Some(mut known) = self.known(layer, compression) else {
            return Ok(());
        };
        known.repositories.retain(|name| name != repository);
        known.repositories.insert(0, repository.to_owned());
        known.repositories.truncate(MOST_REPOSITORIES);
        state::write(&self.knowledge(layer, compression), &known)
    }

    /// Removes what was not used for the longest time, until what is left is no more than may stay.
    pub fn tidy(&self) -> Result<(), FileError> {
        self.tidy_to(LARGEST)
    }

    fn tidy_to(&self, largest: u64) -> Result<(), FileError> {
        let directory = self.directory.join("blobs");
        let failed = FileError::of(&directory);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let files = entries.flatten().filter_map(|entry| {
            let about = entry.metadata().ok()?;
            Some((about.modified().ok()?, about.len(), entry.path()))
        });
        let mut files = files.collect::<Vec<_>>();
        // What a call that was killed had begun is not written to any more.
        files.retain(|(modified, _, path)| {
            let is_part =
                path.extension().is_none() && path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
            let is_old = modified.elapsed().is_ok_and(|age| age > ABANDONED);
            !(is_part && is_old && fs::remove_file(path).is_ok())
        });
        files.sort();
        let mut total = files.iter().map(|(_, size, _)| size).sum::<u64>();
        for (_, size, path) in files {
            if total <= largest {
                break;
            }
            // Another floe may have been quicker.
            let _ = fs::remove_file(path);
            total -= size;
        }
        Ok(())
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs").join(digest.hex())
    }

    fn knowledge(&self, layer: &Digest, compression: Compression) -> PathBuf {
        let name = format!("{}-{compression}.json", layer.hex());
        self.directory.join("known").join(name)
    }
}

fn persist(file: NamedTempFile, path: &Path) -> Result<(), FileError> {
    file.persist(path)
        .map(drop)
        .map_err(|error| FileError::of(path)(error.error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shelf, and what keeps these bytes there as a layer.
    fn kept(shelf: &Shelf, layer: &str, bytes: &[u8]) -> Known {
        let mut file = shelf.begin().unwrap();
        file.write_all(bytes).unwrap();
        let packed = Packed {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        };
        let layer = Digest::of(layer.as_bytes());
        shelf.keep(&layer, Compression::Gzip, (packed, 100), file).unwrap()
    }

    #[test]
    fn what_is_kept_is_known_for_its_compression_and_by_whom_it_was_taken() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(directory.path().join("layers"));
        let layer = Digest::of(b"layer");
        assert_eq!(shelf.known(&layer, Compression::Gzip), None);
        let known = kept(&shelf, "layer", b"packed");
        assert_eq!(shelf.known(&layer, Compression::Gzip), Some(known.clone()));
        assert_eq!(shelf.known(&layer, Compression::Zstd), None);
        for repository in ["r.example/a", "r.example/b", "r.example/a"] {
            shelf.taken(&layer, Compression::Gzip, repository).unwrap();
        }
        let repositories = shelf.known(&layer, Compression::Gzip).unwrap().repositories;
        assert_eq!(repositories, ["r.example/a", "r.example/b"]);
        let left = fs::read_dir(directory.path().join("layers/blobs")).unwrap().count();
        assert_eq!(left, 1, "no temporary file stays");
    }

    #[test]
    fn what_was_damaged_is_found_by_its_hash_and_is_not_there_any_more() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(directory.path().to_owned());
        let known = kept(&shelf, "layer", b"packed");
        assert!(shelf.open(&known.packed.digest).is_some());
        fs::write(shelf.blob(&known.packed.digest), b"packex").unwrap();
        assert!(shelf.has(&known.packed.digest));
        assert!(shelf.open(&known.packed.digest).is_none());
        assert!(!shelf.has(&known.packed.digest));
    }

    #[test]
    fn what_a_killed_call_had_begun_goes_after_a_day_and_what_is_being_written_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(directory.path().to_owned());
        let (old, new) = (shelf.begin().unwrap(), shelf.begin().unwrap());
        let before = SystemTime::now() - Duration::from_hours(25);
        old.as_file().set_modified(before).unwrap();
        let known = kept(&shelf, "layer", b"packed");
        let file = File::options()
            .write(true)
            .open(shelf.blob(&known.packed.digest))
            .unwrap();
        file.set_modified(before).unwrap();
        shelf.tidy().unwrap();
        assert_eq!([old.path().exists(), new.path().exists()], [false, true]);
        assert!(shelf.has(&known.packed.digest));
    }

    #[test]
    fn what_was_not_used_for_long_goes_first_and_no_more_than_must() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(directory.path().to_owned());
        let all = ["one", "two", "three"].map(|name| kept(&shelf, name, name.as_bytes()).packed);
        for (age, packed) in [30, 20, 10].into_iter().zip(&all) {
            let file = File::options().write(true).open(shelf.blob(&packed.digest)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        assert!(shelf.open(&all[0].digest).is_some());
        shelf.tidy_to(8).unwrap();
        assert_eq!(
            all.each_ref().map(|packed| shelf.has(&packed.digest)),
            [true, false, true]
        );
    }
}
