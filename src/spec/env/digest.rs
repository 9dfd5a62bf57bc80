//! The digest of an environment's floating spec files, by which a frozen spec knows what it was made from.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::{EnvironmentFiles, Lists, SpecError};
use crate::reference::{Digest, Hasher};

/// The digest of all that an environment is solved from: its specs with the files that they name, and the lists that all
/// environments share, unless it goes without them.
pub fn digest(files: &EnvironmentFiles, shared: &[PathBuf]) -> Result<Digest, SpecError> {
    let specs = files.floating().cloned().collect::<Vec<_>>();
    digest_of_lists(files, &Lists::read(&specs)?, &Lists::read(shared)?)
}

/// The same, where the environment's own lists and those that are shared have been read.
pub fn digest_of_lists(files: &EnvironmentFiles, own: &Lists, shared: &Lists) -> Result<Digest, SpecError> {
    let mut read = own.files.clone();
    read.sort();
    // A clone of the base environment holds what is shared in any case.
    let alone = files.no_common && files.create.is_some();
    if !alone {
        read.extend_from_slice(&shared.files);
    }
    let kind = if files.no_common { "no-common" } else { "" };
    digest_of(&read, kind)
}

/// The digest of these files, by name and content, and of `kind`.
pub fn digest_of(files: &[PathBuf], kind: &str) -> Result<Digest, SpecError> {
    let mut hasher = Hasher::default();
    hasher.part("kind", kind.as_bytes());
    for path in files {
        let content = match fs::read(path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => {
                let path = path.clone();
                return Err(SpecError::Read { path, source });
            }
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        hasher.part(&name, &content);
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_digest_follows_the_floating_files_and_no_others() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("cal");
        fs::create_dir(&dir).unwrap();
        let shared = root.path().join("all.pip");
        let write = |path: &Path, text: &str| fs::write(path, text).unwrap();
        let of = || digest(&super::super::load(&dir).unwrap(), std::slice::from_ref(&shared)).unwrap();
        write(&shared, "six\n");
        write(&dir.join("cal.pip"), "-r more.txt\n");
        write(&dir.join("more.txt"), "numpy\n");
        let before = of();
        for (file, text) in [
            ("cal-frozen.yml", "name: cal\n"),
            ("cal-frozen.lock", "x"),
            ("kernel.name", "Cal"),
        ] {
            write(&dir.join(file), text);
            assert_eq!(of(), before, "{file}");
        }
        write(&dir.join("more.txt"), "scipy\n");
        let changed = of();
        assert_ne!(changed, before);
        write(&shared, "six<2\n");
        assert_ne!(of(), changed);
    }
}
