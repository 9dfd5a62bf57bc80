//! The inputs of an image: named digests, which together decide whether it is up to date and say what changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::reference::{Digest, Hasher};

pub(super) const PARENT: &str = "the image it extends";
pub(super) const DOCKERFILE: &str = "the composed Dockerfile";
pub(super) const AGENT: &str = "floe itself";
pub(super) const INSTALLER: &str = "how floe installs";

/// Begins the name of a file's mode among the inputs.
const MODE: &str = "the mode of ";

/// How many changed inputs a reason names.
const NAMED: usize = 3;

/// Everything that decides an image's content, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inputs(BTreeMap<String, Digest>);

impl Inputs {
    /// Adds an input by its digest.
    pub(super) fn part(&mut self, name: &str, digest: &Digest) {
        self.0.insert(name.to_owned(), digest.clone());
    }

    /// Adds an input by its text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.part(name, &Digest::of(text.as_bytes()));
    }

    /// Adds the mode of a file.
    pub(super) fn mode(&mut self, file: &str, mode: u32) {
        self.text(&format!("{MODE}{file}"), &format!("{mode:o}"));
    }

    /// The digest of all inputs: equal digests, equal inputs.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        for (name, digest) in &self.0 {
            hasher.part(name, digest.as_str().as_bytes());
        }
        hasher.finish()
    }

    /// The same, with the parent of others: for what extends an image that is not known yet.
    #[must_use]
    pub fn with_parent_of(mut self, others: Option<&Self>) -> Self {
        if let Some(parent) = others.and_then(|others| others.0.get(PARENT)) {
            self.part(PARENT, parent);
        }
        self
    }

    /// The names of the inputs that are others than before, new or gone.
    #[must_use]
    pub fn changed(&self, previous: &Self) -> Vec<String> {
        let names = self.0.keys().chain(previous.0.keys()).collect::<BTreeSet<_>>();
        let differs = |name: &&&String| self.0.get(**name) != previous.0.get(**name);
        let changed = names.iter().filter(differs);
        changed
            .map(|name| name.strip_prefix(MODE).unwrap_or(name).to_owned())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// Why an image with these inputs is to be built, when it was last built from `previous`.
    #[must_use]
    pub fn reason(&self, previous: Option<&Self>) -> String {
        let Some(previous) = previous else {
            return "not built before".to_owned();
        };
        let of = |name: &str| (self.0.get(name), previous.0.get(name));
        let names = self
            .0
            .keys()
            .chain(previous.0.keys().filter(|name| !self.0.contains_key(*name)));
        let mut changes = names
            .filter_map(|name| match of(name) {
                (Some(new), Some(old)) if new == old => None,
                (Some(_), Some(_)) => Some(format!("{name} changed")),
                // A file that is new or gone says it by itself.
                _ if name.starts_with(MODE) => None,
                (Some(_), None) => Some(format!("{name} is new")),
                (None, _) => Some(format!("{name} is gone")),
            })
            .collect::<Vec<_>>();
        // Files are what people changed; the Dockerfile composed of them and the parent follow.
        changes.sort_by_key(|change| [PARENT, DOCKERFILE].iter().any(|name| change.starts_with(name)));
        let more = changes.len().saturating_sub(NAMED);
        changes.truncate(NAMED);
        match (changes.is_empty(), more) {
            (true, _) => "its image is gone".to_owned(),
            (false, 0) => changes.join(", "),
            (false, more) => format!("{} and {more} more", changes.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(parts: &[(&str, &str)]) -> Inputs {
        let mut inputs = Inputs::default();
        for (name, text) in parts {
            inputs.text(name, text);
        }
        inputs
    }

    #[test]
    fn the_reason_names_what_changed_files_first() {
        let old = inputs(&[(PARENT, "a"), ("b.pip", "1"), ("c.pip", "1")]);
        let new = inputs(&[(PARENT, "b"), ("b.pip", "2"), ("d.pip", "1")]);
        let reason = new.reason(Some(&old));
        assert_eq!(reason, "b.pip changed, d.pip is new, c.pip is gone and 1 more");
        assert_eq!(new.reason(None), "not built before");
        assert_eq!(new.reason(Some(&new)), "its image is gone");
    }

    #[test]
    fn a_change_of_a_files_mode_is_called_one() {
        let of = |mode| {
            let mut inputs = inputs(&[("run.sh", "1")]);
            inputs.mode("run.sh", mode);
            inputs
        };
        assert_eq!(of(0o755).reason(Some(&of(0o644))), "the mode of run.sh changed");
        assert_ne!(of(0o755).digest(), of(0o644).digest());
        assert_eq!(
            of(0o755).reason(Some(&inputs(&[("a", "1")]))),
            "run.sh is new, a is gone"
        );
    }

    #[test]
    fn equal_inputs_have_equal_digests_and_any_change_shows() {
        let one = inputs(&[("a", "1"), ("b", "2")]);
        assert_eq!(one.digest(), inputs(&[("b", "2"), ("a", "1")]).digest());
        assert_ne!(one.digest(), inputs(&[("a", "2"), ("b", "1")]).digest());
        assert_ne!(one.digest(), inputs(&[("a", "1")]).digest());
    }
}
