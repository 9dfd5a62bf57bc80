//! The files of a chart that tell which values it knows, from its directory or its archive.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::Archive;
use walkdir::WalkDir;

/// More than this is read of no chart, in bytes.
const LIMIT: u64 = 64 << 20;

/// More files than these are looked at in no chart.
const MOST_FILES: usize = 20_000;

/// Charts within charts are looked at no deeper than this.
const DEEPEST: usize = 4;

/// The texts of files, by their paths below the chart; archives of other charts as they are.
pub(super) struct Files {
    texts: BTreeMap<PathBuf, Vec<u8>>,
    depth: usize,
}

impl Files {
    /// Those of the chart in a directory or an archive. `None` if they cannot be read, or are more than any chart has.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let texts = if path.is_dir() {
            of_directory(path)?
        } else {
            of_archive(File::open(path).ok()?)?
        };
        Some(Self { texts, depth: 0 })
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        let bytes = self.texts.get(Path::new(name))?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The words of the values file and of the templates.
    pub(super) fn words(&self) -> BTreeSet<String> {
        let speaks = |path: &Path| path == Path::new("values.yaml") || path.starts_with("templates");
        let texts = self.texts.iter().filter(|(path, _)| speaks(path));
        let mut words = BTreeSet::new();
        for (_, bytes) in texts {
            let text = String::from_utf8_lossy(bytes);
            let found = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
            words.extend(found.filter(|word| !word.is_empty()).map(str::to_owned));
        }
        words
    }

    /// Those of each chart that lies in `charts/`.
    pub(super) fn children(&self) -> Vec<Self> {
        let depth = self.depth + 1;
        if depth > DEEPEST {
            return Vec::new();
        }
        let mut directories = BTreeMap::<PathBuf, BTreeMap<PathBuf, Vec<u8>>>::new();
        let mut found = Vec::new();
        for (path, bytes) in &self.texts {
            let Ok(below) = path.strip_prefix("charts") else {
                continue;
            };
            let mut parts = below.components();
            let Some(first) = parts.next() else { continue };
            let rest = parts.as_path();
            if rest.as_os_str().is_empty() {
                let texts = is_archive(below).then(|| of_archive(bytes.as_slice())).flatten();
                found.extend(texts);
            } else {
                let chart = directories.entry(Path::new(&first).to_owned()).or_default();
                chart.insert(rest.to_owned(), bytes.clone());
            }
        }
        found.extend(directories.into_values());
        found.into_iter().map(|texts| Self { texts, depth }).collect()
    }
}

fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tgz")
}

/// Whether a file tells anything of values.
fn matters(path: &Path) -> bool {
    let names = ["Chart.yaml", "values.yaml", "values.schema.json"];
    let inner = std::iter::successors(Some(path), |path| {
        let below = path.strip_prefix("charts").ok()?;
        let mut parts = below.components();
        parts.next();
        Some(parts.as_path())
    });
    inner.into_iter().any(|path| {
        names.iter().any(|name| path == Path::new(name))
            || path.starts_with("templates")
            || path.parent() == Some(Path::new("charts")) && is_archive(path)
    })
}

fn of_directory(directory: &Path) -> Option<BTreeMap<PathBuf, Vec<u8>>> {
    let mut texts = BTreeMap::new();
    let mut left = LIMIT;
    // What a link leads to may lie anywhere.
    for entry in WalkDir::new(directory).min_depth(1).into_iter().take(MOST_FILES) {
        let entry = entry.ok()?;
        let path = entry.path().strip_prefix(directory).ok()?;
        if entry.file_type().is_file() && matters(path) {
            texts.insert(path.to_owned(), bounded(File::open(entry.path()).ok()?, &mut left)?);
        }
    }
    Some(texts)
}

/// The files of an archive, in which a chart lies in a directory of its own.
fn of_archive(packed: impl Read) -> Option<BTreeMap<PathBuf, Vec<u8>>> {
    let mut texts = BTreeMap::new();
    let mut left = LIMIT;
    let mut archive = Archive::new(GzDecoder::new(packed).take(2 * LIMIT));
    for entry in archive.entries().ok()?.take(MOST_FILES) {
        let entry = entry.ok()?;
        let path = entry.path().ok()?.into_owned();
        let mut parts = path.components().filter(|part| *part != Component::CurDir);
        parts.next();
        let path = parts.collect::<PathBuf>();
        if entry.header().entry_type().is_file() && matters(&path) {
            texts.insert(path, bounded(entry, &mut left)?);
        }
    }
    Some(texts)
}

/// What `source` holds, if it is no more than what is left to be read.
fn bounded(source: impl Read, left: &mut u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(*left + 1).read_to_end(&mut bytes).ok()?;
    *left = left.checked_sub(bytes.len() as u64)?;
    Some(bytes)
}
