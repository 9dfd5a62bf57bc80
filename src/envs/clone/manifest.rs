//! The `RECORD`s of python distributions, which hold the digest of every installed file.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use sha2::{Digest as _, Sha256};

use super::record::rewrite;
use crate::envs::EnvsError;
use crate::envs::error::io_error;
use crate::envs::recorded;

/// Makes every `RECORD` among `files` say what the `changed` files hold now. All paths are relative to `prefix`.
pub(super) fn update<'a>(
    prefix: &Path,
    files: impl Iterator<Item = &'a Path>,
    changed: &BTreeSet<PathBuf>,
) -> Result<(), EnvsError> {
    let manifests = files.filter(|path| path.ends_with("RECORD") && in_dist_info(path));
    manifests.collect::<Vec<_>>().into_par_iter().try_for_each(|path| {
        let file = prefix.join(path);
        let text = fs::read_to_string(&file).map_err(io_error(&file))?;
        match updated(&text, path, prefix, changed)? {
            Some(text) => rewrite(&file, text.as_bytes()).map_err(io_error(&file)),
            None => Ok(()),
        }
    })
}

fn in_dist_info(path: &Path) -> bool {
    path.parent()
        .is_some_and(|dir| dir.extension().is_some_and(|extension| extension == "dist-info"))
}

/// The new text of the manifest at `path`; `None` where it stays.
fn updated(text: &str, path: &Path, prefix: &Path, changed: &BTreeSet<PathBuf>) -> Result<Option<String>, EnvsError> {
    let site_packages = path.ancestors().nth(2).unwrap_or(Path::new(""));
    let mut result = String::new();
    let mut any = false;
    for line in text.split_inclusive('\n') {
        let end = &line[line.trim_end().len()..];
        let mut fields = line.trim_end().rsplitn(3, ',');
        let (size, digest, name) = (fields.next(), fields.next(), fields.next());
        let (Some(_), Some(digest), Some(name)) = (size, digest, name) else {
            result.push_str(line);
            continue;
        };
        let file = recorded::path(site_packages, name).filter(|file| changed.contains(file));
        // A file that is listed without a digest, as bytecode is, stays so.
        let Some(file) = file.filter(|_| digest.starts_with("sha256=")) else {
            result.push_str(line);
            continue;
        };
        let content = fs::read(prefix.join(&file)).map_err(io_error(&file))?;
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&content));
        // Writing to a string cannot fail.
        let _ = write!(result, "{name},sha256={digest},{}{end}", content.len());
        any = true;
    }
    Ok(any.then_some(result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_of_changed_files_change() {
        let prefix = tempfile::tempdir().unwrap();
        fs::create_dir(prefix.path().join("bin")).unwrap();
        fs::write(prefix.path().join("bin/tool"), "abc").unwrap();
        let path = Path::new("lib/python3.11/site-packages/x-1.dist-info/RECORD");
        let text = "../../../bin/tool,sha256=old,9\r\nx.py,sha256=kept,1\r\nx-1.dist-info/RECORD,,\r\n";
        let changed = [PathBuf::from("bin/tool")].into();
        // `printf abc | openssl sha256 -binary | base64`
        let expected = "../../../bin/tool,sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,3\r\n\
                        x.py,sha256=kept,1\r\nx-1.dist-info/RECORD,,\r\n";
        let found = updated(text, path, prefix.path(), &changed).unwrap();
        assert_eq!(found.as_deref(), Some(expected));
        assert_eq!(updated(text, path, prefix.path(), &BTreeSet::new()).unwrap(), None);
    }
}
