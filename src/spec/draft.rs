//! Files that are replaced together: all of them are written beside those that they replace before the first one takes its
//! place.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::SpecError;
use super::env::SpecKind;

/// Replaces each file by its text, in this order. Where one cannot be replaced, those before it get back what they held.
pub fn replace(files: &[(PathBuf, String)]) -> Result<(), SpecError> {
    let drafts = files.iter().map(|(path, text)| Draft::write(path, text));
    let drafts = drafts.collect::<Result<Vec<_>, _>>()?;
    let mut earlier = Vec::new();
    for draft in drafts {
        let (path, held) = (draft.path.clone(), fs::read(&draft.path).ok());
        if let Err(error) = draft.publish() {
            for (path, held) in earlier.into_iter().rev() {
                restore(path, held);
            }
            return Err(error);
        }
        earlier.push((path, held));
    }
    Ok(())
}

/// Removes the drafts in `directory` that calls left which were killed. What a call is writing stays.
pub fn sweep(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| is_draft(path)) {
        // Whoever writes it holds its lock.
        if fs::File::open(&path).is_ok_and(|draft| draft.try_lock().is_ok()) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether a file is called as the draft of a spec is: `.x.pip.4242`.
fn is_draft(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    let parts = name.and_then(|name| name.strip_prefix('.')?.rsplit_once('.'));
    let Some((replaced, process)) = parts else {
        return false;
    };
    let replaced = Path::new(replaced);
    let is_spec = SpecKind::of(replaced).is_some() || replaced.extension() == Some(OsStr::new("lock"));
    let is_file = || fs::symlink_metadata(path).is_ok_and(|about| about.is_file());
    process.parse::<u32>().is_ok() && is_spec && is_file()
}

/// Puts back what a file held. What cannot be put back is told by the error that led here.
fn restore(path: PathBuf, held: Option<Vec<u8>>) {
    let _ = match held {
        Some(bytes) => fs::write(path, bytes),
        None => fs::remove_file(path),
    };
}

/// A file written beside the one that it is to replace, and removed if it never does.
struct Draft {
    written: PathBuf,
    path: PathBuf,
    /// What tells others that it is being written.
    lock: Option<fs::File>,
}

impl Draft {
    fn write(path: &Path, text: &str) -> Result<Self, SpecError> {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        let mut draft = Self {
            written: path.with_file_name(name),
            path: path.to_owned(),
            lock: None,
        };
        // The base environment is frozen beside lists that a repository need not have.
        let made = fs::create_dir_all(path.parent().unwrap_or(Path::new(".")));
        let written = made.and_then(|()| claimed(&draft.written)).and_then(|mut file| {
            if let Ok(about) = fs::metadata(path) {
                file.set_permissions(about.permissions())?;
            }
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            Ok(file)
        });
        draft.lock = Some(written.map_err(|source| draft.failed(source))?);
        Ok(draft)
    }

    fn publish(self) -> Result<(), SpecError> {
        fs::rename(&self.written, &self.path).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> SpecError {
        SpecError::Read {
            path: self.path.clone(),
            source,
        }
    }
}

/// A new file that no other call takes for one that was left.
fn claimed(path: &Path) -> io::Result<fs::File> {
    loop {
        let file = fs::File::create(path)?;
        // Where a file system has no locks, nothing is swept either.
        let _ = file.lock();
        if path.exists() {
            return Ok(file);
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After publishing there is nothing left to remove.
        let _ = fs::remove_file(&self.written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_replaced_or_none() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("a"), "old").unwrap();
        // What is to be replaced by a file is a directory.
        fs::create_dir_all(at("c/d")).unwrap();
        let files = ["a", "b", "c"].map(|name| (at(name), "new".to_owned()));
        assert!(replace(&files).is_err());
        assert_eq!(fs::read_to_string(at("a")).unwrap(), "old");
        assert!(!at("b").exists());
        let below_a_file = (root.path().join("a/x"), String::new());
        assert!(replace(&[files[0].clone(), below_a_file]).is_err());
        assert_eq!(fs::read_to_string(at("a")).unwrap(), "old");

        replace(&files[..2]).unwrap();
        assert_eq!(fs::read_to_string(at("b")).unwrap(), "new");
        let left = fs::read_dir(root.path()).unwrap();
        assert_eq!(left.count(), 3, "a draft was left");
    }

    #[test]
    fn a_draft_that_nobody_writes_any_more_is_swept_and_nothing_else_is() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.pip");
        let written = Draft::write(&path, "new").unwrap();
        for left in [".x.pip.4242", ".x-frozen.yml.4242", ".x-frozen.lock.4242"] {
            fs::write(root.path().join(left), "half").unwrap();
        }
        let others = [".x.pip.bak", ".notes.4242", "x.pip.4242", ".x.pip"];
        for other in others {
            fs::write(root.path().join(other), "mine").unwrap();
        }
        sweep(root.path());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), others.len() + 1);
        written.publish().unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "new");
    }

    #[test]
    fn a_directory_that_is_not_there_is_made() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("common/common-env/base-frozen.yml");
        replace(&[(path.clone(), "new".to_owned())]).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "new");
    }
}
