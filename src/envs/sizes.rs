//! How many bytes the packages of an environment take.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::error::io_error;
use super::stage::Owners;
use super::{EnvsError, tree};
use crate::packages::{Manager, Package};

/// What the files of an environment take.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// All of them, in bytes.
    pub all: u64,
    /// Those of each package, by whether it is conda's and its name.
    packages: HashMap<(bool, String), u64>,
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
                *sizes.packages.entry(key).or_default() += metadata.len();
            }
        }
        Ok(sizes)
    }

    /// What the files of a package take; `None` where no record says which they are.
    pub fn package(&self, package: &Package) -> Option<u64> {
        let is_conda = match package.manager {
            Manager::Venv => return None,
            Manager::Conda => true,
            Manager::Pip => false,
        };
        self.packages.get(&(is_conda, package.name.clone())).copied()
    }
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
            sizes.package(&Package {
                name: "a".to_owned(),
                manager,
                ..Package::of_venv("1")
            })
        };
        assert_eq!(package(Manager::Pip), Some(110 + record));
        assert_eq!(package(Manager::Conda), None);
    }
}
