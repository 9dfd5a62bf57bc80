//! The identity of a test, and the kinds of tests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Digest, Hasher, ReferenceError};

/// The identity of one test, e.g. `roman-cal::imports::numpy` or `roman-cal::test`.
///
/// The owner is an environment, or a mission for its own test script (`mission:roman::test`): no environment has such a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TestId {
    /// The environment (or mission) that the test belongs to.
    pub owner: String,
    /// What kind of test it is.
    pub kind: TestKind,
    /// The module, the notebook, or what a server is asked for; empty for a script.
    pub name: String,
}

/// The kinds of tests that floe runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum TestKind {
    /// One module is imported in a process of its own.
    Import,
    /// One notebook is executed on its kernel.
    Notebook,
    /// An executable is run and must exit with 0.
    Script,
    /// The image is started as a hub starts it, and asked for something.
    Server,
}

impl TestKind {
    /// Every kind, in the order in which people are shown tests: what says most about an environment comes first.
    pub const ALL: [Self; 4] = [Self::Script, Self::Server, Self::Notebook, Self::Import];

    /// The word that stands for it in an ID.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Import => "imports",
            Self::Notebook => "notebooks",
            Self::Script => "test",
            Self::Server => "server",
        }
    }

    /// Its tests in a few words, for people who choose among kinds.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Import => "Modules that are imported",
            Self::Notebook => "Notebooks that are executed",
            Self::Script => "Scripts of environments and missions",
            Self::Server => "What a server of the image answers",
        }
    }

    /// Whether an owner has at most one test of this kind, so that the kind alone names it.
    fn is_single(self) -> bool {
        self == Self::Script
    }
}

impl FromStr for TestKind {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.word() == text);
        found.ok_or_else(|| ReferenceError {
            kind: "kind of test",
            text: text.to_owned(),
            rule: "expected imports, notebooks, test or server",
        })
    }
}

impl TryFrom<String> for TestKind {
    type Error = ReferenceError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TestKind> for &'static str {
    fn from(kind: TestKind) -> Self {
        kind.word()
    }
}

/// What stands before the name of a mission where it owns a test.
const MISSION: &str = "mission:";

impl TestId {
    /// The digest of a set of tests, whatever their order.
    #[must_use]
    pub fn digest<'a>(tests: impl IntoIterator<Item = &'a Self>) -> Digest {
        let mut tests = tests.into_iter().collect::<Vec<_>>();
        tests.sort();
        tests.dedup();
        let mut hasher = Hasher::default();
        for id in tests {
            hasher.part("test", id.to_string().as_bytes());
        }
        hasher.finish()
    }

    /// The test that imports `module` in `environment`.
    #[must_use]
    pub fn import(environment: &str, module: &str) -> Self {
        Self {
            owner: environment.to_owned(),
            kind: TestKind::Import,
            name: module.to_owned(),
        }
    }

    /// The test that executes the notebook at `path` on the kernel of `environment`.
    #[must_use]
    pub fn notebook(environment: &str, path: &str) -> Self {
        Self {
            owner: environment.to_owned(),
            kind: TestKind::Notebook,
            name: path.to_owned(),
        }
    }

    /// The `test` script of an environment.
    #[must_use]
    pub fn script(owner: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            kind: TestKind::Script,
            name: String::new(),
        }
    }

    /// The `test` script of a mission.
    #[must_use]
    pub fn of_mission(mission: &str) -> Self {
        Self::script(&format!("{MISSION}{mission}"))
    }

    /// The file that defines it, below the `tests/` of its owner; `None` where no file does.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self.kind {
            TestKind::Import | TestKind::Script => Some(self.kind.word()),
            TestKind::Notebook => Some(&self.name),
            TestKind::Server => None,
        }
    }

    /// The mission whose own script it is, if it is one.
    #[must_use]
    pub fn mission(&self) -> Option<&str> {
        self.owner.strip_prefix(MISSION)
    }

    /// Whether it is a test of this environment itself, and not of a server that starts there.
    #[must_use]
    pub fn is_of(&self, environment: &str) -> bool {
        self.owner == environment && self.kind != TestKind::Server
    }

    /// The test that a server of the image, or of one of its environments, answers when it is asked for `what`: `api`,
    /// `lab` or `kernel`.
    #[must_use]
    pub fn server(owner: &str, what: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            kind: TestKind::Server,
            name: what.to_owned(),
        }
    }
}

impl fmt::Display for TestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, kind, name } = self;
        if kind.is_single() {
            write!(f, "{owner}::{}", kind.word())
        } else {
            write!(f, "{owner}::{}::{name}", kind.word())
        }
    }
}

impl FromStr for TestId {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || ReferenceError {
            kind: "test ID",
            text: text.to_owned(),
            rule: "expected ENVIRONMENT::imports::MODULE, ENVIRONMENT::notebooks::FILE, ENVIRONMENT::server::WHAT or ENVIRONMENT::test",
        };
        let (owner, rest) = text.split_once("::").ok_or_else(invalid)?;
        let (word, name) = rest
            .split_once("::")
            .map_or((rest, None), |(word, name)| (word, Some(name)));
        let kind = word.parse::<TestKind>().map_err(|_| invalid())?;
        let whole = match name {
            None => kind.is_single(),
            Some(name) => !kind.is_single() && !name.is_empty(),
        };
        if owner.is_empty() || !whole {
            return Err(invalid());
        }
        Ok(Self {
            owner: owner.to_owned(),
            kind,
            name: name.unwrap_or_default().to_owned(),
        })
    }
}

impl TryFrom<String> for TestId {
    type Error = ReferenceError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TestId> for String {
    fn from(id: TestId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_id_reads_back_as_it_was_written() {
        for text in [
            "roman-cal::imports::numpy",
            "roman-cal::notebooks::sub/intro.ipynb",
            "mission:roman::test",
            "roman::server::lab",
        ] {
            assert_eq!(text.parse::<TestId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_set_of_tests_has_one_digest_in_any_order_and_each_test_counts() {
        let [a, b, c] = ["a", "b", "c"].map(|name| TestId::import("cal", name));
        assert_eq!(TestId::digest([&a, &b, &c]), TestId::digest([&c, &a, &b, &a]));
        assert_ne!(TestId::digest([&a, &b, &c]), TestId::digest([&a, &b]));
    }

    #[test]
    fn a_malformed_test_id_is_refused() {
        for text in [
            "",
            "x",
            "::test",
            "x::imports::",
            "x::imports",
            "x::test::y",
            "x::what::y",
        ] {
            assert!(text.parse::<TestId>().is_err(), "{text:?} was accepted");
        }
    }
}
