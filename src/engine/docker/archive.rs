//! Unpacks what a container hands out. Its content is hostile: names, links and sizes are the container's choice.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use crate::engine::{EngineError, Wanted};

/// Files and directories that are unpacked at most, so that empty ones cannot fill a disk either.
const MOST_ENTRIES: usize = 100_000;

/// Unpacks the directory in the archive `bytes` into `destination`, without the archive's own first directory.
///
/// Only directories and regular files are written, with the usual permissions; links, devices and the like are left
/// out. Reading ends at the limit, since a sparse file may be larger than any disk: returns whether everything was read. A
/// name that would leave `destination` ends it with an error.
pub(super) fn unpack(bytes: impl Read, destination: &Path, wanted: &Wanted) -> Result<bool, EngineError> {
    let broken = |source| file_error(destination, source);
    let mut left = wanted.limit;
    let mut archive = tar::Archive::new(bytes);
    for (count, entry) in archive.entries().map_err(broken)?.enumerate() {
        if count == MOST_ENTRIES {
            return Ok(false);
        }
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        let name = inner(&name).map_err(|source| file_error(&name, source))?;
        let path = destination.join(&name);
        let is_wanted = wanted.files.as_ref().is_none_or(|files| files.contains(&name));
        let kind = entry.header().entry_type();
        if entry.size() > left {
            return Ok(false);
        }
        left -= entry.size();
        if kind.is_dir() && wanted.files.is_none() {
            fs::create_dir_all(&path).map_err(|source| file_error(&path, source))?;
        } else if (kind.is_file() || kind.is_gnu_sparse()) && is_wanted {
            write(&mut entry, &path).map_err(|source| file_error(&path, source))?;
        }
    }
    Ok(true)
}

/// Unpacks the file or directory in the archive `bytes` into the directory `destination`, with its own name and its links.
///
/// Everything is written as the user who calls, without special permissions. A name that would leave `destination`, by
/// itself or by a link of the archive, is left out; so are devices.
pub(super) fn unpack_whole(bytes: impl Read, destination: &Path) -> Result<(), EngineError> {
    let broken = |source| file_error(destination, source);
    let mut archive = tar::Archive::new(bytes);
    archive.set_preserve_ownerships(false);
    archive.set_preserve_permissions(false);
    archive.set_preserve_mtime(true);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        if kind.is_character_special() || kind.is_block_special() || kind.is_fifo() {
            continue;
        }
        entry.unpack_in(destination).map_err(broken)?;
    }
    Ok(())
}

/// The path below the archive's first directory.
fn inner(name: &Path) -> io::Result<PathBuf> {
    let mut parts = name.components().filter(|part| *part != Component::CurDir).peekable();
    let safe = |part: &Component<'_>| matches!(part, Component::Normal(_));
    if parts.peek().is_some_and(|first| !safe(first)) {
        return Err(leaves());
    }
    parts
        .skip(1)
        .map(|part| if safe(&part) { Ok(part) } else { Err(leaves()) })
        .collect()
}

fn leaves() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the name leads out of its directory")
}

fn write(content: &mut impl Read, path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    io::copy(content, &mut File::create(path)?)?;
    Ok(())
}

fn file_error(path: &Path, source: io::Error) -> EngineError {
    EngineError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tar::{Builder, EntryType, Header};

    use super::*;

    /// An archive of entries by kind, name, and content or target of a link. Names are written as they are.
    fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, name, text) in entries {
            let mut header = Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o6777);
            let link = kind.is_symlink() || kind.is_hard_link();
            if link {
                header.set_link_name(text).unwrap();
            }
            let content = if link { "" } else { text };
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn all(limit: u64) -> Wanted {
        Wanted { files: None, limit }
    }

    fn files(root: &Path) -> Vec<String> {
        let found = walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name();
        let relative = |entry: walkdir::DirEntry| entry.path().strip_prefix(root).unwrap().display().to_string();
        found.into_iter().map(|entry| relative(entry.unwrap())).collect()
    }

    #[test]
    fn a_directory_is_unpacked_without_its_own_name() {
        let target = tempfile::tempdir().unwrap();
        let bytes = archive(&[
            (EntryType::Directory, "results/", ""),
            (EntryType::Directory, "results/sub", ""),
            (EntryType::Regular, "results/sub/a", "text"),
            (EntryType::Regular, "results/b", ""),
        ]);
        assert!(unpack(&bytes[..], target.path(), &all(4)).unwrap());
        assert_eq!(files(target.path()), ["b", "sub", "sub/a"]);
        assert_eq!(fs::read_to_string(target.path().join("sub/a")).unwrap(), "text");
    }

    #[test]
    fn a_name_that_leaves_the_directory_is_refused() {
        for name in ["results/../../evil", "/evil", "../evil", "results/x/../../../evil"] {
            let outer = tempfile::tempdir().unwrap();
            let bytes = archive(&[(EntryType::Regular, name, "text")]);
            let error = unpack(&bytes[..], &outer.path().join("target"), &all(100)).unwrap_err();
            assert!(error.to_string().contains("leads out"), "{name}: {error}");
            assert_eq!(files(outer.path()), [""; 0], "{name}");
        }
    }

    #[test]
    fn links_and_devices_are_left_out_and_lead_nowhere() {
        let outer = tempfile::tempdir().unwrap();
        let target = outer.path().join("target");
        let bytes = archive(&[
            (EntryType::Symlink, "results/link", ".."),
            (EntryType::Link, "results/hard", "/etc/passwd"),
            (EntryType::Char, "results/device", ""),
            (EntryType::Fifo, "results/pipe", ""),
            (EntryType::Regular, "results/link/evil", "text"),
        ]);
        assert!(unpack(&bytes[..], &target, &all(100)).unwrap());
        assert_eq!(files(outer.path()), ["target", "target/link", "target/link/evil"]);
    }

    #[test]
    fn reading_ends_at_the_limit_and_that_is_reported() {
        let target = tempfile::tempdir().unwrap();
        let bytes = archive(&[
            (EntryType::Regular, "results/first", "0123"),
            (EntryType::Regular, "results/large", "0123456789"),
            (EntryType::Regular, "results/last", "0"),
        ]);
        assert!(!unpack(&bytes[..], target.path(), &all(9)).unwrap());
        assert_eq!(files(target.path()), ["first"]);
        // What nobody wants is read as well: a file without an end must not keep anybody waiting.
        let wanted = Wanted {
            files: Some(BTreeSet::from(["first".into()])),
            limit: 9,
        };
        assert!(!unpack(&bytes[..], target.path(), &wanted).unwrap());
    }

    #[test]
    fn a_copy_holds_links_and_no_link_of_it_leads_what_follows_out() {
        let outer = tempfile::tempdir().unwrap();
        let target = outer.path().join("target");
        fs::create_dir(&target).unwrap();
        let bytes = archive(&[
            (EntryType::Directory, "made", ""),
            (EntryType::Regular, "made/a", "text"),
            (EntryType::Symlink, "made/link", "a"),
            (EntryType::Symlink, "made/out", "../.."),
            (EntryType::Fifo, "made/pipe", ""),
            (EntryType::Regular, "../evil", "text"),
        ]);
        unpack_whole(&bytes[..], &target).unwrap();
        assert_eq!(files(&target), ["made", "made/a", "made/link", "made/out"]);
        assert_eq!(fs::read_link(target.join("made/link")).unwrap(), Path::new("a"));
        let through = archive(&[(EntryType::Regular, "made/out/evil", "text")]);
        assert!(unpack_whole(&through[..], &target).is_err());
        assert!(!outer.path().join("evil").exists());
    }

    #[test]
    fn only_what_is_wanted_by_name_is_written() {
        let target = tempfile::tempdir().unwrap();
        let bytes = archive(&[
            (EntryType::Regular, "results/events.jsonl", "forged"),
            (EntryType::Directory, "results/notebooks", ""),
            (EntryType::Regular, "results/notebooks/a.ipynb", "{}"),
        ]);
        let wanted = Wanted {
            files: Some(BTreeSet::from(["notebooks/a.ipynb".into()])),
            limit: 100,
        };
        assert!(unpack(&bytes[..], target.path(), &wanted).unwrap());
        assert_eq!(files(target.path()), ["notebooks", "notebooks/a.ipynb"]);
    }

    #[test]
    fn no_file_gets_special_permissions() {
        use std::os::unix::fs::PermissionsExt as _;
        let target = tempfile::tempdir().unwrap();
        let bytes = archive(&[(EntryType::Regular, "results/a", "text")]);
        unpack(&bytes[..], target.path(), &all(100)).unwrap();
        let mode = fs::metadata(target.path().join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7111, 0, "{mode:o}");
    }
}
