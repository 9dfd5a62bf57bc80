//! C libraries for the channel, out of the packages of Debian 12.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rayon::prelude::*;
use walkdir::WalkDir;

use super::package::Package;
use super::run;

/// The conda packages that Python needs, and the Debian packages whose libraries each holds.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("bzip2", &["libbz2-1.0"]),
    ("expat", &["libexpat1"]),
    ("libffi", &["libffi8"]),
    ("libuuid", &["libuuid1"]),
    ("ncurses", &["libncursesw6", "libtinfo6"]),
    ("openssl", &["libssl3"]),
    ("readline", &["libreadline8"]),
    ("sqlite", &["libsqlite3-0"]),
    ("xz", &["liblzma5"]),
    ("zlib", &["zlib1g"]),
];

/// The Debian packages that Python is made of.
pub const PYTHON: &[&str] = &[
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "python3.11-minimal",
    "python3.11",
];

/// Downloads the Debian packages into a directory.
pub fn download(directory: &Path) {
    let names = LIBRARIES.iter().flat_map(|(_, names)| names.iter()).chain(PYTHON);
    let names = names.collect::<Vec<_>>();
    let mut fetch = Command::new("apt-get");
    fetch.args(["-qq", "download"]).args(&names).current_dir(directory);
    if !fetch.output().is_ok_and(|ended| ended.status.success()) {
        run(Command::new("apt-get").args(["-qq", "update"]));
        run(&mut fetch);
    }
}

/// The C libraries as conda packages, each finding the others beside itself.
pub fn libraries(debs: &Path) -> Vec<Package> {
    let libraries = LIBRARIES.par_iter();
    libraries.map(|(name, sources)| library(debs, name, sources)).collect()
}

fn library(debs: &Path, name: &str, sources: &[&str]) -> Package {
    let mut package = Package::new(name, &version(debs, sources[0]), "h0000000_0");
    for source in sources {
        let tree = unpack(debs, &[source]);
        for directory in ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"] {
            let files = WalkDir::new(tree.path().join(directory))
                .max_depth(1)
                .into_iter()
                .flatten();
            let files = files.filter(|entry| entry.file_name().to_string_lossy().contains(".so"));
            for entry in files {
                let path = format!("lib/{}", entry.file_name().to_string_lossy());
                if entry.path_is_symlink() {
                    let target = fs::read_link(entry.path()).unwrap();
                    package.link(path, target.file_name().unwrap().to_string_lossy());
                } else {
                    set_rpath(&[entry.path()], "$ORIGIN");
                    package.add(path, 0o755, fs::read(entry.path()).unwrap());
                }
            }
        }
    }
    assert!(!package.files.is_empty(), "there are no libraries in {sources:?}");
    package
}

/// Sets where programs or libraries look for their libraries first.
pub fn set_rpath(paths: &[&Path], rpath: &str) {
    run(Command::new("patchelf").args(["--set-rpath", rpath]).args(paths));
}

/// The files of Debian packages in a directory of their own.
pub fn unpack(debs: &Path, names: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in names {
        run(Command::new("dpkg-deb")
            .arg("-x")
            .arg(archive(debs, name))
            .arg(directory.path()));
    }
    directory
}

/// A Debian package's version as its authors wrote it: without Debian's epoch and revision.
pub fn version(debs: &Path, name: &str) -> String {
    let full = run(Command::new("dpkg-deb")
        .arg("-f")
        .arg(archive(debs, name))
        .arg("Version"));
    let upstream = full.trim().rsplit(':').next().unwrap_or_default();
    let end = upstream
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(upstream.len());
    upstream[..end].trim_end_matches('.').to_owned()
}

fn archive(debs: &Path, name: &str) -> PathBuf {
    let start = format!("{name}_");
    let files = fs::read_dir(debs).unwrap().flatten();
    let mut found = files.filter(|entry| entry.file_name().to_string_lossy().starts_with(&start));
    found
        .next()
        .unwrap_or_else(|| panic!("{name} was not downloaded"))
        .path()
}
