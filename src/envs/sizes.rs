//! How many bytes the packages of an environment take, and which large libraries they bring.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::error::io_error;
use super::stage::Owners;
use super::{EnvsError, tree};
use crate::packages::{Manager, Package};

/// Libraries of fewer bytes are not told.
const LARGE: u64 = 1 << 20;

/// What the files of an environment take.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// All of them, in bytes.
    pub all: u64,
    /// Those of each package, by whether it is conda's and its name.
    packages: HashMap<(bool, String), Held>,
}

/// What the files of a package take.
#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    libraries: BTreeMap<String, u64>,
}

impl Sizes {
    /// Measures what is below `prefix`, less what is below `except`. A file with several names counts once, for the first of them
    /// in the order of names; one that several packages claim is of none.
    pub fn of(prefix: &Path, except: &Path) -> Result<Self, EnvsError> {
        let (owners, entries) = rayon::join(|| Owners::read(prefix), || tree::walk_less(prefix, Some(except)));
        let (owners, mut files) = (owners?, entries?);
        files.retain(|entry| entry.file_type().is_file());
        // To look at them is most of the work where the kernel has not seen them yet.
        let looked_at = files.par_iter().map(|entry| {
            let path = entry.path();
            path.symlink_metadata().map_err(io_error(path))
        });
        let looked_at = looked_at.collect::<Result<Vec<_>, _>>()?;
        let mut sizes = Self::default();
        let mut seen = HashSet::new();
        for (entry, metadata) in files.iter().zip(looked_at) {
            if metadata.nlink() > 1 && !seen.insert((metadata.dev(), metadata.ino())) {
                continue;
            }
            sizes.all += metadata.len();
            let path = entry.path().strip_prefix(prefix).unwrap_or(entry.path());
            if let Some(owner) = owners.of(path) {
                let key = (owner < owners.conda, owners.names[owner].clone());
                let held = sizes.packages.entry(key).or_default();
                held.bytes += metadata.len();
                let library = entry.file_name().to_str().and_then(library);
                if let Some(library) = library.filter(|_| metadata.len() >= LARGE) {
                    *held.libraries.entry(library).or_default() += metadata.len();
                }
            }
        }
        Ok(sizes)
    }

    /// Has a package say what its files take, where a record says which they are.
    pub fn tell(&self, package: &mut Package) {
        let is_conda = match package.manager {
            Manager::Venv => return,
            Manager::Conda => true,
            Manager::Pip => false,
        };
        if let Some(held) = self.packages.get(&(is_conda, package.name.clone())) {
            package.size = Some(held.bytes);
            package.libraries.clone_from(&held.libraries);
        }
    }
}

/// The name under which programs load a library, by the name of its file: `libcublas.so.12` of `libcublas.so.12.4.5`. Wheels that
/// bring the library of another project put a digest into it: `libgfortran.so.5` of `libgfortran-040039e1.so.5.0.0`.
fn library(file: &str) -> Option<String> {
    let (name, version) = file.rsplit_once(".so")?;
    let named = name.strip_prefix("lib").filter(|name| !name.is_empty())?;
    let is_digest = |part: &&str| part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let named = match named.rsplit_once('-') {
        Some((before, digest)) if is_digest(&digest) => before,
        _ => named,
    };
    let major = match version.strip_prefix('.') {
        Some(version) => version.split('.').next().filter(|major| !major.is_empty()),
        None if version.is_empty() => None,
        None => return None,
    };
    Some(match major {
        Some(major) => format!("lib{named}.so.{major}"),
        None => format!("lib{named}.so"),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_count_for_their_package_once_and_for_the_environment_whosever_they_are() {
        let prefix = tempfile::tempdir().unwrap();
        let site = prefix.path().join("lib/python3.11/site-packages");
        let write = |path: &str, bytes: usize| {
            let path = site.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![b' '; bytes]).unwrap();
        };
        write("a.py", 100);
        write("__pycache__/a.cpython-311.pyc", 10);
        write("left.txt", 1000);
        fs::hard_link(site.join("a.py"), site.join("b.py")).unwrap();
        fs::create_dir(site.join("a-1.dist-info")).unwrap();
        let record = "a.py,,\nb.py,,\na-1.dist-info/RECORD,,\n";
        fs::write(site.join("a-1.dist-info/RECORD"), record).unwrap();
        let other = prefix.path().join("envs");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("of-another"), "x").unwrap();
        let sizes = Sizes::of(prefix.path(), &other).unwrap();
        let record = record.len() as u64;
        assert_eq!(sizes.all, 1110 + record);
        let package = |manager| {
            let mut package = Package {
                name: "a".to_owned(),
                manager,
                ..Package::of_venv("1")
            };
            sizes.tell(&mut package);
            package.size
        };
        assert_eq!(package(Manager::Pip), Some(110 + record));
        assert_eq!(package(Manager::Conda), None);
    }

    #[test]
    fn a_library_is_known_by_the_name_under_which_programs_load_it() {
        for (file, name) in [
            ("libcublas.so.12.4.5.8", Some("libcublas.so.12")),
            ("libcublas.so.12", Some("libcublas.so.12")),
            ("libmkl_core.so", Some("libmkl_core.so")),
            ("libgfortran-040039e1.so.5.0.0", Some("libgfortran.so.5")),
            ("libscipy_openblas64_-56d6093b.so", Some("libscipy_openblas64_.so")),
            ("libc++-abi.so.1", Some("libc++-abi.so.1")),
            ("_core.cpython-311-x86_64-linux-gnu.so", None),
            ("lib.so.1", None),
            ("libx.solver.so.1", Some("libx.solver.so.1")),
            ("libx.sonnet", None),
            ("libx.py", None),
        ] {
            assert_eq!(library(file).as_deref(), name, "{file}");
        }
    }
}
