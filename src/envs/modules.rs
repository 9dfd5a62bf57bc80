//! What can be imported of an installed package, by its metadata: no code of the environment runs.
//!
//! A distribution's files are in its `RECORD`, a conda package's in its record below `conda-meta`. The module to import is the
//! first directory of a file's path that is a regular package, so that of `google/cloud/storage/__init__.py` it is
//! `google.cloud.storage`: importing a namespace that others share would say nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::spec::frozen::normalized;

/// No more modules than this are imported of a package.
pub const MOST_MODULES: usize = 16;

/// The longest file of metadata that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// What is beside a package's modules in carelessly made archives.
const BESIDE: [&str; 7] = ["test", "tests", "testing", "doc", "docs", "examples", "benchmarks"];

/// What can be imported of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Importable {
    /// These modules, in the order of their names.
    Modules(BTreeSet<String>),
    /// It is installed, and holds none.
    Nothing,
    /// It is not installed.
    Absent,
}

/// What can be imported of each of these packages in the environment at `prefix`.
#[must_use]
pub fn importable(prefix: &Path, packages: &[String]) -> BTreeMap<String, Importable> {
    let installed = Metadata::read(prefix);
    let of = |name: &String| (name.clone(), installed.importable(prefix, name));
    packages.iter().map(of).collect()
}

/// Whether the text is the name of a module.
#[must_use]
pub fn is_module(text: &str) -> bool {
    text.len() <= 200 && !text.is_empty() && text.split('.').all(is_identifier)
}

fn is_identifier(text: &str) -> bool {
    let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    word && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Where the metadata of what is installed lies, relative to the prefix, by the names of packages.
#[derive(Default)]
struct Metadata {
    distributions: BTreeMap<String, String>,
    records: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    files: Vec<String>,
}

impl Metadata {
    fn read(prefix: &Path) -> Self {
        let mut found = Self::default();
        for python in names(&prefix.join("lib")) {
            let directory = format!("lib/{python}/site-packages");
            if !python.starts_with("python") || prefix.join("lib").join(&python).is_symlink() {
                continue;
            }
            for entry in names(&prefix.join(&directory)) {
                if let Some(stem) = entry.strip_suffix(".dist-info") {
                    let name = stem.split_once('-').map_or(stem, |(name, _)| name);
                    found
                        .distributions
                        .insert(normalized(name), format!("{directory}/{entry}"));
                }
            }
        }
        for entry in names(&prefix.join("conda-meta")) {
            // `<name>-<version>-<build>.json`, and only the name may hold more of the hyphens.
            let parts = entry.strip_suffix(".json").map(|stem| stem.rsplitn(3, '-'));
            if let Some(name) = parts.and_then(|mut parts| parts.nth(2)) {
                found.records.insert(normalized(name), format!("conda-meta/{entry}"));
            }
        }
        found
    }

    fn importable(&self, prefix: &Path, package: &str) -> Importable {
        let name = normalized(package);
        let distribution = self.distributions.get(&name).map(|path| prefix.join(path));
        let record = self.records.get(&name).map(|path| prefix.join(path));
        let mut modules = BTreeSet::new();
        if let Some(distribution) = &distribution {
            let listed = text(&distribution.join("RECORD")).unwrap_or_default();
            modules = self::modules(listed.lines().map(|line| line.split(',').next().unwrap_or_default()));
            if modules.is_empty() {
                // Of an editable installation nothing but this tells.
                let listed = text(&distribution.join("top_level.txt")).unwrap_or_default();
                modules = listed
                    .lines()
                    .map(str::trim)
                    .filter(|name| is_module(name))
                    .map(str::to_owned)
                    .collect();
            }
        }
        if let (true, Some(record)) = (modules.is_empty(), &record) {
            let files = text(record).and_then(|text| serde_json::from_str::<Record>(&text).ok());
            let files = files.map(|record| record.files).unwrap_or_default();
            let below = files
                .iter()
                .filter_map(|file| Some(file.split_once("/site-packages/")?.1));
            modules = self::modules(below);
        }
        match (modules.is_empty(), distribution.is_some() || record.is_some()) {
            (false, _) => Importable::Modules(modules),
            (true, true) => Importable::Nothing,
            (true, false) => Importable::Absent,
        }
    }
}

/// The modules that these files make, by their paths below site-packages.
fn modules<'a>(files: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let paths = files.filter_map(module).collect::<Vec<_>>();
    let packages = paths.iter().filter(|path| path.last() == Some(&"__init__"));
    let packages = packages.map(|path| &path[..path.len() - 1]).collect::<BTreeSet<_>>();
    let found = paths.iter().map(|path| {
        let lengths = 1..path.len();
        let regular = lengths
            .map(|length| &path[..length])
            .find(|package| packages.contains(package));
        regular.unwrap_or(path.as_slice())
    });
    let found = found
        .filter(|path| path.last() != Some(&"__init__"))
        .collect::<BTreeSet<_>>();
    let public = |path: &&&[&str]| !path.iter().any(|name| name.starts_with('_')) && !BESIDE.contains(&path[0]);
    let public_ones = found.iter().filter(public).collect::<Vec<_>>();
    let mut chosen = if public_ones.is_empty() {
        found.iter().collect()
    } else {
        public_ones
    };
    // Those nearest to the root stand for what lies below.
    chosen.sort_by_key(|path| path.len());
    let names = chosen.into_iter().take(MOST_MODULES).map(|path| path.join("."));
    names.filter(|name| is_module(name)).collect()
}

/// The parts of the name of the module that a file is; `None` if it is none.
fn module(file: &str) -> Option<Vec<&str>> {
    let (directory, name) = file.rsplit_once('/').unwrap_or(("", file));
    let (_, extension) = name.rsplit_once('.')?;
    let stem = name.split('.').next().filter(|_| ["py", "so"].contains(&extension))?;
    let directories = directory.split('/').filter(|part| !part.is_empty());
    let path = directories.chain([stem]).collect::<Vec<_>>();
    path.iter().all(|part| is_identifier(part)).then_some(path)
}

/// The names of what is in a directory; none where it cannot be read.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn text(file: &Path) -> Option<String> {
    let about = fs::metadata(file).ok()?;
    let bytes = (about.is_file() && about.len() <= LONGEST).then(|| fs::read(file).ok())??;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Prefix(tempfile::TempDir);

    impl Prefix {
        fn new(files: &[(&str, &str)]) -> Self {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let file = root.path().join(path);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            Self(root)
        }

        fn of(&self, package: &str) -> Importable {
            importable(self.0.path(), &[package.to_owned()])
                .remove(package)
                .unwrap()
        }
    }

    fn these(names: &[&str]) -> Importable {
        Importable::Modules(names.iter().map(|&name| name.to_owned()).collect())
    }

    const SITE: &str = "lib/python3.12/site-packages";

    #[test]
    fn what_a_distribution_holds_is_told_by_its_record_namespaces_aside() {
        let records = [
            (
                "plain",
                "plain/__init__.py,sha256=x,1\nplain/sub/__init__.py,,\nplain_cli.py,,\n../../../bin/plain,,\n",
            ),
            (
                "Google_Cloud",
                "google/cloud/storage/__init__.py,,\ngoogle/cloud/storage/x.py,,\n",
            ),
            ("space", "ns/one.py,,\nns/two/__init__.py,,\n"),
            ("private", "_private.abi3.so,,\n"),
            (
                "both",
                "_ext.cpython-312-x86_64-linux-gnu.so,,\nboth/__init__.py,,\ntests/__init__.py,,\n",
            ),
            ("types_x", "x-stubs/__init__.pyi,,\n"),
        ];
        let files = records.map(|(name, text)| (format!("{SITE}/{name}-1.0.dist-info/RECORD"), text));
        let files = files
            .iter()
            .map(|(path, text)| (path.as_str(), *text))
            .collect::<Vec<_>>();
        let prefix = Prefix::new(&files);
        assert_eq!(prefix.of("plain"), these(&["plain", "plain_cli"]));
        assert_eq!(prefix.of("google-cloud"), these(&["google.cloud.storage"]));
        assert_eq!(prefix.of("space"), these(&["ns.one", "ns.two"]));
        assert_eq!(prefix.of("private"), these(&["_private"]));
        assert_eq!(prefix.of("both"), these(&["both"]));
        assert_eq!(prefix.of("types-x"), Importable::Nothing);
        assert_eq!(prefix.of("gone"), Importable::Absent);
    }

    #[test]
    fn a_conda_package_is_told_by_its_record_and_an_editable_one_by_its_top_level() {
        let prefix = Prefix::new(&[
            (
                "conda-meta/py-tables-3.1-h1_0.json",
                r#"{"name": "py-tables", "files": ["bin/x", "lib/python3.12/site-packages/tables/__init__.py"]}"#,
            ),
            ("conda-meta/libgdal-3.1-h1_0.json", r#"{"files": ["lib/libgdal.so"]}"#),
            (&format!("{SITE}/ed-1.dist-info/RECORD"), "__editable__.ed.pth,,\n"),
            (&format!("{SITE}/ed-1.dist-info/top_level.txt"), "ed\nnot a module\n"),
        ]);
        assert_eq!(prefix.of("py_tables"), these(&["tables"]));
        assert_eq!(prefix.of("libgdal"), Importable::Nothing);
        assert_eq!(prefix.of("ed"), these(&["ed"]));
    }
}
