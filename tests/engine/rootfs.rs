//! A root filesystem made of a few programs of this machine, so that no registry is needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs that the tests use in containers.
const PROGRAMS: [&str; 7] = ["sh", "cat", "mkdir", "sleep", "touch", "true", "dd"];

/// Writes an archive of the programs and the libraries that they load to `path`.
///
/// A file with `name` sets it apart from others, which the builder would otherwise answer from its cache.
pub fn write(path: &Path, name: &str) {
    let mut files = BTreeSet::new();
    let mut archive = tar::Builder::new(fs::File::create(path).unwrap());
    for program in PROGRAMS {
        let found = ["/usr/bin", "/bin"].map(|dir| Path::new(dir).join(program));
        let found = found
            .iter()
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("no {program} here"));
        files.extend(libraries(found));
        append(&mut archive, found, &format!("bin/{program}"));
    }
    for library in files {
        append(
            &mut archive,
            &library,
            library.to_str().unwrap().trim_start_matches('/'),
        );
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(name.len() as u64);
    archive.append_data(&mut header, "name", name.as_bytes()).unwrap();
    // Every container gets these mounted.
    for directory in ["dev", "proc", "sys", "etc", "run", "tmp"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        archive.append_data(&mut header, directory, &b""[..]).unwrap();
    }
    archive.finish().unwrap();
}

fn append(archive: &mut tar::Builder<fs::File>, source: &Path, name: &str) {
    let content = fs::read(source).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, name, &content[..]).unwrap();
}

/// What the dynamic loader loads for `program`, itself included.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let listed = Command::new("ldd").arg(program).output().unwrap();
    let words = String::from_utf8(listed.stdout).unwrap();
    words
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}
