//! Links to what lies beside directories that are copied.
//!
//! To make a link takes a new inode, which is most of what a copy of a small directory costs. So each is made once, and the others
//! are more names of it: who removes or replaces one of them changes no other.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The links of one run; of [`Links::default`], each is made anew.
#[derive(Debug, Default)]
pub struct Links {
    /// Where each of them stays.
    directory: Option<tempfile::TempDir>,
    made: Mutex<HashMap<PathBuf, PathBuf>>,
}

impl Links {
    /// None yet. They stay in a directory of floe's own below `scratch`, if there can be one.
    #[must_use]
    pub fn new(scratch: &Path) -> Self {
        Self {
            directory: tempfile::Builder::new().prefix("floe-test-").tempdir_in(scratch).ok(),
            made: Mutex::default(),
        }
    }

    /// Makes `place` a link to `target`.
    pub fn link(&self, target: PathBuf, place: &Path) -> io::Result<()> {
        let Some(directory) = &self.directory else {
            return symlink(target, place);
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = made.get(&target) {
            // A file may have only so many names, and some file systems give a link only one.
            return fs::hard_link(first, place).or_else(|_| symlink(target, place));
        }
        symlink(&target, place)?;
        let first = directory.path().join(made.len().to_string());
        if fs::hard_link(place, &first).is_ok() {
            made.insert(target, first);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn links_to_one_place_are_one_and_each_may_be_removed_or_replaced() {
        let place = tempfile::tempdir().unwrap();
        let links = Links::new(place.path());
        let target = place.path().join("target");
        fs::write(&target, "there").unwrap();
        let made = ["1", "2", "3"].map(|name| {
            let link = place.path().join(name);
            links.link(target.clone(), &link).unwrap();
            link
        });
        let inodes = made.each_ref().map(|link| fs::symlink_metadata(link).unwrap().ino());
        assert_eq!(inodes, [inodes[0]; 3]);
        fs::remove_file(&made[0]).unwrap();
        fs::write(&made[0], "another").unwrap();
        fs::remove_file(&made[1]).unwrap();
        assert_eq!(fs::read_to_string(&made[2]).unwrap(), "there");
        assert_eq!(fs::read_to_string(&target).unwrap(), "there");
        let later = place.path().join("4");
        links.link(target, &later).unwrap();
        assert_eq!(fs::symlink_metadata(later).unwrap().ino(), inodes[0]);
    }

    #[test]
    fn a_link_is_made_where_no_other_can_be_kept() {
        let place = tempfile::tempdir().unwrap();
        let links = Links::new(&place.path().join("nowhere"));
        for name in ["1", "2"] {
            links.link("/nowhere".into(), &place.path().join(name)).unwrap();
            assert_eq!(fs::read_link(place.path().join(name)).unwrap(), Path::new("/nowhere"));
        }
    }
}
