//! Which package a file of an environment belongs to, as the records say that the installers have left.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::envs::error::{EnvsError, io_error};
use crate::envs::recorded;
use crate::spec::frozen::normalized;

/// The packages of an environment, and their files.
#[derive(Debug, Default)]
pub(in crate::envs) struct Owners {
    /// The names of the packages, those of conda first. One of conda's and one of pip's may have the same.
    pub names: Vec<String>,
    /// How many of them are conda's.
    pub conda: usize,
    /// The packages that say of a file that they brought it, where another says so, too.
    pub contested: BTreeSet<usize>,
    /// For each file, relative to the prefix, the package that brought it; `None` where several say so.
    files: HashMap<PathBuf, Option<usize>>,
}

/// What is used of a record of conda's.
#[derive(Deserialize)]
struct Record {
    name: String,
    #[serde(default)]
    files: Vec<PathBuf>,
}

impl Owners {
    /// Reads the records of the environment at `prefix`.
    pub fn read(prefix: &Path) -> Result<Self, EnvsError> {
        let mut owners = Self::default();
        for path in listed(&prefix.join("conda-meta"))? {
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let bytes = fs::read(&path).map_err(io_error(&path))?;
            let record = serde_json::from_slice::<Record>(&bytes).map_err(|error| EnvsError::Record {
                path: path.clone(),
                message: error.to_string(),
            })?;
            let own = relative(&path, prefix).to_owned();
            owners.add(record.name, record.files.into_iter().chain([own]));
        }
        owners.conda = owners.names.len();
        for library in listed(&prefix.join("lib"))? {
            for distribution in listed(&library.join("site-packages"))? {
                let Some(stem) = distribution.to_str().and_then(|path| path.strip_suffix(".dist-info")) else {
                    continue;
                };
                let name = Path::new(stem).file_name().unwrap_or_default().to_string_lossy();
                // Another release may spell it otherwise, and lie where this one did.
                let name = normalized(name.split_once('-').map_or(&*name, |(name, _)| name));
                let record = distribution.join("RECORD");
                // What conda has installed it has recorded itself.
                if owners.files.contains_key(relative(&record, prefix)) {
                    continue;
                }
                match fs::read_to_string(&record) {
                    Ok(text) => {
                        let site_packages = relative(&library, prefix).join("site-packages");
                        owners.add(name, recorded(&text, &site_packages));
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(source) => return Err(io_error(&record)(source)),
                }
            }
        }
        Ok(owners)
    }

    fn add(&mut self, name: String, files: impl IntoIterator<Item = PathBuf>) {
        let package = self.names.len();
        self.names.push(name);
        for file in files {
            match self.files.entry(file) {
                Entry::Vacant(place) => drop(place.insert(Some(package))),
                Entry::Occupied(mut known) if *known.get() != Some(package) => {
                    let other = known.get_mut().take();
                    self.contested.extend(other.into_iter().chain([package]));
                }
                Entry::Occupied(_) => {}
            }
        }
    }

    /// The package that the file at `path`, relative to the prefix, belongs to, if it belongs to one alone. Bytecode belongs
    /// to whoever has the source.
    pub fn of(&self, path: &Path) -> Option<usize> {
        match self.files.get(path) {
            Some(owner) => *owner,
            None => self.files.get(&source(path)?).copied().flatten(),
        }
    }
}

/// The source of the bytecode at `path`: of `x/__pycache__/y.cpython-311.pyc` it is `x/y.py`.
fn source(path: &Path) -> Option<PathBuf> {
    let cache = path.parent().filter(|parent| parent.ends_with("__pycache__"))?;
    let name = path.file_name()?.to_str()?.strip_suffix(".pyc")?;
    let (name, _) = name.split_once(".cpython-")?;
    Some(cache.parent()?.join(format!("{name}.py")))
}

/// The files that a `RECORD` lists, relative to the prefix.
fn recorded(text: &str, site_packages: &Path) -> Vec<PathBuf> {
    let names = text.lines().filter_map(|line| line.rsplitn(3, ',').nth(2));
    names.filter_map(|name| recorded::path(site_packages, name)).collect()
}

/// What is in a directory, in the order of names; nothing where there is none, or a link to one.
fn listed(directory: &Path) -> Result<Vec<PathBuf>, EnvsError> {
    if directory.is_symlink() || !directory.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(directory).map_err(io_error(directory))?;
    let entries = entries.map(|entry| Ok(entry.map_err(io_error(directory))?.path()));
    let mut entries = entries.collect::<Result<Vec<_>, EnvsError>>()?;
    entries.sort();
    Ok(entries)
}

fn relative<'a>(path: &'a Path, prefix: &Path) -> &'a Path {
    path.strip_prefix(prefix).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_package_that_recorded_it_and_to_none_if_two_did() {
        let prefix = tempfile::tempdir().unwrap();
        let site = "lib/python3.11/site-packages";
        let write = |path: &str, text: &str| {
            let path = prefix.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "conda-meta/numpy-2.0-0.json",
            &format!(r#"{{"name": "numpy", "files": ["{site}/numpy/a.py", "{site}/numpy-2.0.dist-info/RECORD"]}}"#),
        );
        write(&format!("{site}/numpy-2.0.dist-info/RECORD"), "numpy/other.py,,\n");
        write(
            &format!("{site}/tool-1.dist-info/RECORD"),
            "../../../bin/tool,sha256=x,9\nshared/x.py,,\n\"odd, \"\"name\"\".py\",,\n../../../../out,,\n/etc/out,,\ntool-1.dist-info/RECORD,,\n",
        );
        write(
            &format!("{site}/other-1.dist-info/RECORD"),
            "shared/x.py,,\nother.py,,\n",
        );
        let owners = Owners::read(prefix.path()).unwrap();
        let of = |path: &str| owners.of(Path::new(path)).map(|package| owners.names[package].as_str());
        assert_eq!(of(&format!("{site}/numpy/a.py")), Some("numpy"));
        assert_eq!(
            of(&format!("{site}/numpy/__pycache__/a.cpython-311.pyc")),
            Some("numpy")
        );
        assert_eq!(of(&format!("{site}/numpy/other.py")), None, "conda's own record counts");
        assert_eq!(of("bin/tool"), Some("tool"));
        assert_eq!(of(&format!("{site}/odd, \"name\".py")), Some("tool"));
        assert_eq!(of(&format!("{site}/shared/x.py")), None);
        assert_eq!(of(&format!("{site}/shared/__pycache__/x.cpython-311.pyc")), None);
        assert_eq!(of(&format!("{site}/other.py")), Some("other"));
        assert_eq!(of("conda-meta/history"), None);
        assert_eq!(of("out"), None);
    }
}
