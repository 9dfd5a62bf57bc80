//! Files that are replaced together: all of them are written beside those that they replace before the first one takes its
//! place.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::SpecError;

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

/// Puts back what a file held. What cannot be put back is told by the error that led here.
fn restore(path: PathBuf, held: Option<Vec<u8>>) {
    let _ = match held {
        Some(bytes) => fs::write(path, bytes),
        None => fs::remove_file(path),
    };
}

/// A file written beside the one that it is to replace, and removed if it never does.
struct Draft {
    draft: PathBuf,
    path: PathBuf,
}

impl Draft {
    fn write(path: &Path, text: &str) -> Result<Self, SpecError> {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        let draft = Self {
            draft: path.with_file_name(name),
            path: path.to_owned(),
        };
        // The base environment is frozen beside lists that a repository need not have.
        let made = fs::create_dir_all(path.parent().unwrap_or(Path::new(".")));
        let written = made.and_then(|()| fs::File::create(&draft.draft)).and_then(|mut file| {
            if let Ok(about) = fs::metadata(path) {
                file.set_permissions(about.permissions())?;
            }
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|source| draft.failed(source))?;
        Ok(draft)
    }

    fn publish(self) -> Result<(), SpecError> {
        fs::rename(&self.draft, &self.path).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> SpecError {
        SpecError::Read {
            path: self.path.clone(),
            source,
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After publishing there is nothing left to remove.
        let _ = fs::remove_file(&self.draft);
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
    fn a_directory_that_is_not_there_is_made() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("common/common-env/base-frozen.yml");
        replace(&[(path.clone(), "new".to_owned())]).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "new");
    }
}
