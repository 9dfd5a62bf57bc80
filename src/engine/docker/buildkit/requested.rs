//! The part of a context that a build asks for.

use std::path::{Component, Path, PathBuf};

use tonic::metadata::MetadataMap;

use crate::context::{Entry, EntryKind};

/// The part of the context that the engine asks for. More than it asks for does no harm: it picks what it copies.
#[derive(Debug, PartialEq)]
pub(super) enum Requested {
    /// The whole context.
    All,
    /// No file at all.
    Nothing,
    /// What is below these paths, and the directories above them.
    Below(Vec<PathBuf>),
}

impl Requested {
    /// Reads the patterns of a request: the sources of `COPY`, which may hold wildcards.
    pub fn new(metadata: &MetadataMap) -> Self {
        let patterns = metadata
            .get_all("followpaths")
            .iter()
            .map(|value| value.to_str().unwrap_or_default())
            .collect::<Vec<_>>();
        // The context has applied it already.
        if patterns == [".dockerignore"] {
            return Self::Nothing;
        }
        // Names that a header cannot carry come percent-encoded: those builds are given everything.
        if patterns.is_empty() || metadata.contains_key("followpaths-encoded") {
            return Self::All;
        }
        let below = patterns.into_iter().map(before_wildcard).collect::<Vec<_>>();
        if below.iter().any(|path| path.as_os_str().is_empty()) {
            Self::All
        } else {
            Self::Below(below)
        }
    }

    /// The entries to list, in their order.
    pub fn select(self, mut entries: Vec<Entry>) -> Vec<Entry> {
        match self {
            Self::All => entries,
            Self::Nothing => Vec::new(),
            Self::Below(mut below) => {
                let covers = |below: &[PathBuf], path: &Path| {
                    below
                        .iter()
                        .any(|base| path.starts_with(base) || base.starts_with(path))
                };
                // What a wanted link points to is wanted as well, through any number of links.
                loop {
                    let more = entries
                        .iter()
                        .filter(|entry| covers(&below, &entry.path))
                        .filter_map(target)
                        .filter(|target| !below.contains(target))
                        .collect::<Vec<_>>();
                    if more.is_empty() {
                        break;
                    }
                    below.extend(more);
                    below.sort();
                    below.dedup();
                }
                entries.retain(|entry| covers(&below, &entry.path));
                entries
            }
        }
    }
}

/// The longest beginning of `pattern` that holds no wildcard.
fn before_wildcard(pattern: &str) -> PathBuf {
    Path::new(pattern)
        .components()
        .filter(|part| !matches!(part, Component::RootDir | Component::CurDir))
        .take_while(|part| {
            !part
                .as_os_str()
                .as_encoded_bytes()
                .iter()
                .any(|byte| b"*?[\\".contains(byte))
        })
        .collect()
}

/// Where in the context a link points to.
fn target(entry: &Entry) -> Option<PathBuf> {
    let EntryKind::Symlink(link) = &entry.kind else {
        return None;
    };
    let mut path = entry.path.parent()?.to_owned();
    for part in link.components() {
        match part {
            Component::RootDir => path.clear(),
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, link: Option<&str>) -> Entry {
        Entry {
            path: path.into(),
            kind: link.map_or(EntryKind::Directory, |target| EntryKind::Symlink(target.into())),
            mode: 0o755,
            modified: 0,
        }
    }

    fn selected(patterns: &[&str], entries: Vec<Entry>) -> Vec<String> {
        let mut metadata = MetadataMap::new();
        for pattern in patterns {
            metadata.append("followpaths", pattern.parse().unwrap());
        }
        let kept = Requested::new(&metadata).select(entries);
        kept.iter().map(|entry| entry.path.display().to_string()).collect()
    }

    fn tree() -> Vec<Entry> {
        let plain = ["a", "a/x.py", "b", "b/c", "b/c/d", "z"];
        plain.into_iter().map(|path| entry(path, None)).collect()
    }

    #[test]
    fn only_what_a_copy_names_is_listed() {
        assert_eq!(selected(&["/b/c"], tree()), ["b", "b/c", "b/c/d"]);
        assert_eq!(selected(&["."], tree()).len(), 6);
        assert_eq!(selected(&[], tree()).len(), 6);
    }

    #[test]
    fn a_wildcard_lists_all_that_it_could_match() {
        assert_eq!(selected(&["/a/*.py", "z"], tree()), ["a", "a/x.py", "z"]);
        assert_eq!(selected(&["*/c"], tree()).len(), 6);
    }

    #[test]
    fn the_target_of_a_wanted_link_is_listed_too() {
        let mut entries = tree();
        entries.push(entry("zz", Some("./b/../zzz")));
        entries.push(entry("zzz", Some("/b/c")));
        assert_eq!(selected(&["zz"], entries), ["b", "b/c", "b/c/d", "zz", "zzz"]);
    }

    #[test]
    fn the_ignore_file_is_not_applied_twice() {
        let entries = vec![entry(".dockerignore", None)];
        assert_eq!(selected(&[".dockerignore"], entries.clone()), [""; 0]);
        assert_eq!(selected(&["."], entries), [".dockerignore"]);
    }
}
