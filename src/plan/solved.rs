//! What floating specs were solved to on this machine: frozen specs that the repository does not hold, or not yet.
//!
//! A floating build solves first and then builds from what came of it, as a frozen build does from the repository. So the
//! image that is tested is the one that its frozen specs make.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::reference::Digest;
use crate::spec::SpecError;
use crate::spec::draft;
use crate::spec::frozen::{Frozen, Outline};

/// The directory of what was solved, each frozen spec at its path in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solved {
    directory: PathBuf,
}

impl Solved {
    /// What is in this directory. Nothing is created until something is kept.
    #[must_use]
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The directory of what belongs at `path`, relative to the repository.
    pub(super) fn below(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// The frozen spec that stands for the one at `path`, relative to the repository. One that cannot be read is as good as
    /// none.
    #[must_use]
    pub fn find(&self, path: &Path) -> Option<PathBuf> {
        let kept = self.directory.join(path);
        Outline::read(&kept).is_ok().then_some(kept)
    }

    /// The same, if it came of this.
    #[must_use]
    pub fn find_of(&self, path: &Path, of: &Digest) -> Option<PathBuf> {
        self.find(path).filter(|_| self.is_known(path, of))
    }

    /// Whether it is known what comes of this, which may be nothing. What cannot be read is not known any more.
    #[must_use]
    pub fn is_known(&self, path: &Path, of: &Digest) -> bool {
        let known = fs::read_to_string(self.origin(path)).ok();
        let is_whole = self.find(path).is_some() || !self.directory.join(path).exists();
        known.as_deref() == Some(of.as_str()) && is_whole
    }

    /// Keeps a frozen spec that came of `of`.
    pub fn keep(&self, path: &Path, frozen: &Frozen, of: &Digest) -> Result<(), SpecError> {
        let mut files = frozen.files(&self.directory.join(path))?;
        files.push((self.origin(path), of.to_string()));
        draft::replace(&files)
    }

    /// Keeps that nothing comes of `of` before an image is built.
    pub fn keep_nothing(&self, path: &Path, of: &Digest) -> Result<(), SpecError> {
        let kept = self.directory.join(path);
        for file in [Frozen::lock_path(&kept), kept] {
            match fs::remove_file(&file) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(SpecError::Read { path: file, source });
                }
                _ => {}
            }
        }
        draft::replace(&[(self.origin(path), of.to_string())])
    }

    /// Where it is said what a frozen spec came of.
    fn origin(&self, path: &Path) -> PathBuf {
        self.directory.join(path).with_extension("digest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_solved_is_found_for_what_it_came_of_until_nothing_comes_of_it() {
        let root = tempfile::tempdir().unwrap();
        let solved = Solved::at(root.path().join("solved"));
        let path = Path::new("missions/m/environments/x/x-frozen.yml");
        let frozen = Frozen {
            name: "x".to_owned(),
            python: Some("3.11.2".to_owned()),
            ..Frozen::default()
        };
        assert_eq!(solved.find(path), None);
        solved.keep(path, &frozen, &Digest::of(b"specs")).unwrap();
        let kept = solved.find_of(path, &Digest::of(b"specs")).unwrap();
        assert_eq!(Frozen::load(&kept).unwrap(), frozen);
        assert_eq!(solved.find_of(path, &Digest::of(b"others")), None);
        fs::write(&kept, "{").unwrap();
        assert_eq!(solved.find(path), None, "a damaged one counts");
        assert!(
            !solved.is_known(path, &Digest::of(b"specs")),
            "a damaged one is not solved again"
        );
        for _ in 0..2 {
            solved.keep_nothing(path, &Digest::of(b"others")).unwrap();
        }
        assert!(solved.is_known(path, &Digest::of(b"others")));
        assert_eq!(solved.find_of(path, &Digest::of(b"others")), None);
    }
}
