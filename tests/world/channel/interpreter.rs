//! Python for the channel, out of Debian's: moved from `/usr` into an environment, and free of what Debian changed in it.

use std::fs;
use std::path::Path;

use walkdir::WalkDir;

use super::debian;
use super::package::{PLACEHOLDER, Package};

/// Debian's own site module is frozen into its interpreter, where no file of the package reaches it. What it does to the
/// interpreter of an environment is undone as it starts.
const SITECUSTOMIZE: &str = r#""""Makes site-packages of the environment the one place for packages."""
import os
import site
import sys

if sys.prefix == sys.base_prefix:

    def getsitepackages(prefixes=None):
        version = "python%d.%d" % sys.version_info[:2]
        return [os.path.join(prefix, "lib", version, "site-packages") for prefix in prefixes or [sys.prefix]]

    site.getsitepackages = getsitepackages
    sys.path[:] = [path for path in sys.path if not path.endswith("dist-packages")]
    if not sys.flags.no_site:
        for _path in getsitepackages():
            site.addsitedir(_path)
"#;

/// Modules of Debian's Python whose libraries the channel does not have.
const WITHOUT_LIBRARY: &[&str] = &["_dbm", "nis"];

const DEPENDS: &[&str] = &[
    "__glibc >=2.36",
    "bzip2 >=1.0.8,<2.0a0",
    "ca-certificates",
    "expat",
    "libffi >=3.4,<4.0a0",
    "libuuid",
    "ncurses",
    "openssl >=3,<4.0a0",
    "readline",
    "sqlite",
    "xz",
    "zlib",
];

/// Python 3.11 as a conda package.
pub fn python(debs: &Path) -> Package {
    let tree = debian::unpack(debs, debian::PYTHON);
    let library = tree.path().join("usr/lib/python3.11");
    let program = tree.path().join("usr/bin/python3.11");
    undo_debian(&library);
    debian::set_rpath(&[&program], "$ORIGIN/../lib");

    let version = debian::version(debs, "python3.11-minimal");
    let mut package = Package::new("python", &version, "h0000000_0_cpython")
        .depends(DEPENDS)
        .constrains(&["python_abi 3.11.* *_cp311"]);
    package.add("bin/python3.11", 0o755, fs::read(&program).unwrap());
    package.link("bin/python", "python3.11");
    package.link("bin/python3", "python3.11");
    let pydoc = format!("#!{PLACEHOLDER}/bin/python3.11\nimport pydoc\nif __name__ == '__main__':\n    pydoc.cli()\n");
    package.add_prefixed("bin/pydoc3.11", 0o755, pydoc);
    package.add(
        "lib/python3.11/site-packages/README.txt",
        0o644,
        "Third-party packages lie here.\n",
    );
    add_library(&mut package, &library);
    package
}

/// Adds the standard library.
fn add_library(package: &mut Package, library: &Path) {
    let files = WalkDir::new(library).into_iter().map(Result::unwrap);
    let files = files.filter(|entry| !entry.file_type().is_dir()).collect::<Vec<_>>();
    let modules = files
        .iter()
        .filter(|entry| is_extension(entry.path()))
        .map(walkdir::DirEntry::path);
    debian::set_rpath(&modules.collect::<Vec<_>>(), "$ORIGIN/../..");
    for entry in &files {
        let path = format!(
            "lib/python3.11/{}",
            entry.path().strip_prefix(library).unwrap().display()
        );
        let name = entry.file_name().to_string_lossy();
        if path.contains("__pycache__")
            || WITHOUT_LIBRARY
                .iter()
                .any(|module| name.starts_with(&format!("{module}.")))
        {
            continue;
        }
        if entry.path_is_symlink() {
            package.link(path, fs::read_link(entry.path()).unwrap().to_string_lossy());
        } else if name.starts_with("_sysconfigdata_") {
            let text = fs::read_to_string(entry.path()).unwrap();
            let text = text
                .replace("/usr", PLACEHOLDER)
                .replace("dist-packages", "site-packages");
            package.add_prefixed(path, 0o644, text);
        } else {
            let mode = if is_extension(entry.path()) { 0o755 } else { 0o644 };
            package.add(path, mode, fs::read(entry.path()).unwrap());
        }
    }
}

/// Takes out of the standard library what makes it the distribution's own.
fn undo_debian(library: &Path) {
    fs::remove_file(library.join("EXTERNALLY-MANAGED")).unwrap();
    fs::remove_file(library.join("sitecustomize.py")).unwrap();
    fs::write(library.join("sitecustomize.py"), SITECUSTOMIZE).unwrap();

    // Packages go to `site-packages`, not to `local/lib/python3.11/dist-packages`.
    let path = library.join("sysconfig.py");
    let text = fs::read_to_string(&path).unwrap();
    let start = text
        .find("    if sys.base_prefix != sys.prefix or hasattr")
        .expect("Debian's sysconfig.py");
    let end = start + text[start..].find("    return {\n").expect("Debian's sysconfig.py");
    let text = format!("{}    prefix_scheme = 'posix_prefix'\n{}", &text[..start], &text[end..]);
    fs::write(&path, text).unwrap();
}

fn is_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "so")
}
