//! The names by which the `RECORD` of a python distribution lists files.

use std::path::{Component, Path, PathBuf};

/// The file that a `RECORD` calls `name`, relative to the prefix, below which `site_packages` is given; `None` where the name
/// leads out of that.
pub(super) fn path(site_packages: &Path, name: &str) -> Option<PathBuf> {
    let name = name.trim_matches('"').replace("\"\"", "\"");
    let mut result = PathBuf::new();
    for component in site_packages.join(name).components() {
        match component {
            Component::ParentDir if !result.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            Component::Normal(name) => result.push(name),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(result)
}
