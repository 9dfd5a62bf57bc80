//! What a package brings to an environment, as a part of a tar archive that layers are put together from.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tar::{Builder, EntryType, Header};

use crate::envs::error::{EnvsError, io_error};
use crate::envs::stage::{STAGED_TIME, below_root};
use crate::reference::{Digest, Hasher};

/// Bytes that are read at once.
const READ: usize = 1 << 20;

/// Bytes of the two empty blocks that a tar archive ends with, and a part of one does not.
const END: usize = 1024;

/// What is known of a piece without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    /// The bytes of its files.
    pub(super) size: u64,
    /// Its files, relative to the root.
    pub(super) files: Vec<PathBuf>,
    /// The directories above its files, relative to the root.
    pub(super) directories: BTreeMap<PathBuf, Directory>,
    /// The bytes of the part of an archive.
    pub(super) bytes: u64,
    /// Their digest.
    pub(super) digest: Digest,
}

/// A directory in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Directory {
    mode: u32,
    owner: u64,
    group: u64,
}

/// A piece, and the file that holds it.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) index: Arc<Index>,
    pub(super) archive: PathBuf,
}

impl Piece {
    /// Writes what is at these absolute paths, files and links and empty directories, to `archive`.
    pub(super) fn of(paths: &[PathBuf], archive: PathBuf) -> Result<Self, EnvsError> {
        let failed = io_error(&archive);
        let file = File::create(&archive).map_err(failed)?;
        let mut builder = Builder::new(BufWriter::with_capacity(READ, file));
        let (mut files, mut directories, mut size) = (Vec::new(), BTreeMap::new(), 0);
        for path in paths {
            let metadata = fs::symlink_metadata(path).map_err(io_error(path))?;
            for above in path.ancestors().skip(usize::from(!metadata.is_dir())) {
                let below = below_root(above);
                if below.as_os_str().is_empty() || directories.contains_key(below) {
                    break;
                }
                let metadata = fs::metadata(above).map_err(io_error(above))?;
                directories.insert(below.to_owned(), Directory::of(&metadata));
            }
            if metadata.is_dir() {
                continue;
            }
            size += metadata.len();
            append(&mut builder, path, &metadata).map_err(io_error(path))?;
            files.push(below_root(path).to_owned());
        }
        let file = builder.into_inner().and_then(|buffer| Ok(buffer.into_inner()?));
        let file = file.map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len() - END as u64;
        file.set_len(bytes).map_err(failed)?;
        let digest = File::open(&archive).and_then(Digest::of_all).map_err(failed)?;
        let index = Index {
            size,
            files,
            directories,
            bytes,
            digest,
        };
        Ok(Self {
            index: Arc::new(index),
            archive,
        })
    }

    /// Writes the piece to `out`, unless it is no longer what it was: then it is the error, after some of it may have been
    /// written.
    pub(super) fn copy(&self, mut out: impl Write) -> Result<(), EnvsError> {
        let mut hasher = Hasher::default();
        self.each(|bytes| {
            hasher.raw(bytes);
            out.write_all(bytes)
        })?;
        if hasher.finish() == self.index.digest {
            return Ok(());
        }
        Err(EnvsError::Damaged {
            path: self.archive.clone(),
        })
    }

    /// Writes the piece to `out` as it is now.
    pub(super) fn copy_unseen(&self, mut out: impl Write) -> Result<(), EnvsError> {
        self.each(|bytes| out.write_all(bytes))
    }

    /// Goes through its bytes, on their way to the host.
    fn each(&self, mut on: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), EnvsError> {
        let failed = io_error(&self.archive);
        let mut file = File::open(&self.archive).map_err(failed)?;
        let mut bytes = vec![0; READ];
        loop {
            match file.read(&mut bytes).map_err(failed)? {
                0 => return Ok(()),
                read => on(&bytes[..read]).map_err(io_error(Path::new("the host")))?,
            }
        }
    }
}

impl Directory {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            mode: metadata.mode() & 0o7777,
            owner: metadata.uid().into(),
            group: metadata.gid().into(),
        }
    }
}

/// The part of an archive that holds these directories.
pub(super) fn directories(directories: &BTreeMap<PathBuf, Directory>) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, directory) in directories {
        let mut header = header(EntryType::Directory, directory.mode);
        header.set_uid(directory.owner);
        header.set_gid(directory.group);
        // The name of a directory ends with a slash.
        builder.append_data(&mut header, path.join(""), io::empty())?;
    }
    let mut part = builder.into_inner()?;
    part.truncate(part.len() - END);
    Ok(part)
}

fn append(builder: &mut Builder<impl Write>, path: &Path, metadata: &fs::Metadata) -> io::Result<()> {
    let name = below_root(path);
    let kind = if metadata.is_symlink() {
        EntryType::Symlink
    } else {
        EntryType::Regular
    };
    let mut header = header(kind, metadata.mode() & 0o7777);
    header.set_uid(metadata.uid().into());
    header.set_gid(metadata.gid().into());
    if metadata.is_symlink() {
        return builder.append_link(&mut header, name, fs::read_link(path)?);
    }
    header.set_size(metadata.len());
    builder.append_data(&mut header, name, File::open(path)?)
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(STAGED_TIME.unsigned_abs());
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_piece_is_the_same_whenever_its_files_were_written_and_reads_as_an_archive() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
        fs::create_dir_all(tree.join(&long).parent().unwrap()).unwrap();
        let paths = ["a.py", "link", &long].map(|name| tree.join(name)).to_vec();
        let made = |name: &str| {
            fs::write(&paths[0], "a").unwrap();
            let _ = fs::remove_file(&paths[1]);
            symlink("a.py", &paths[1]).unwrap();
            fs::write(&paths[2], "long").unwrap();
            Piece::of(&paths, place.path().join(name)).unwrap()
        };
        let (first, second) = (made("first"), made("second"));
        assert_eq!(first.index, second.index);
        assert_eq!(first.index.size, 1 + 4 + 4);
        let mut archive = directories(&first.index.directories).unwrap();
        first.copy(&mut archive).unwrap();
        archive.extend([0; END]);
        let mut archive = tar::Archive::new(archive.as_slice());
        let names = archive.entries().unwrap();
        let names = names.map(|entry| entry.unwrap().path().unwrap().into_owned());
        let names = names.collect::<BTreeSet<_>>();
        assert!(paths.iter().all(|path| names.contains(below_root(path))), "{names:?}");
        assert!(names.contains(below_root(&tree)));
    }

    #[test]
    fn a_damaged_piece_is_found_when_it_is_read() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a.py");
        fs::write(&file, "content").unwrap();
        let piece = Piece::of(&[file], place.path().join("piece")).unwrap();
        let mut bytes = fs::read(&piece.archive).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&piece.archive, bytes).unwrap();
        let error = piece.copy(io::sink()).unwrap_err();
        assert!(matches!(error, EnvsError::Damaged { .. }), "{error}");
    }
}
