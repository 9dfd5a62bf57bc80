//! Files that are kept for later: written at once or not at all, and read only if nothing has changed them.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::reference::Digest;

/// Keeps `content` at `path`, behind a line that has its digest.
pub(super) fn keep(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, &[Digest::of(content).as_str().as_bytes(), b"\n", content], 0o644)
}

/// What is kept at `path`; `None` where nothing is, or something damaged.
pub(super) fn kept(path: &Path) -> Option<Vec<u8>> {
    let mut file = fs::read(path).ok()?;
    let end = file.iter().position(|&byte| byte == b'\n')?;
    let content = file.split_off(end + 1);
    (file[..end] == *Digest::of(&content).as_str().as_bytes()).then_some(content)
}

/// Writes a file at once, or not at all.
pub(super) fn write(path: &Path, parts: &[&[u8]], mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
