//! Names and references, parsed once: missions, environments, digests, images, tests.
//!
//! After construction nobody handles the string: a value of one of these types is well formed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A name or reference that is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} is not valid: {rule}")]
pub struct ReferenceError {
    /// What the text should have been, e.g. `mission name`.
    pub kind: &'static str,
    /// The text as it was given.
    pub text: String,
    /// What a valid one looks like.
    pub rule: &'static str,
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text of this value.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ReferenceError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

text_type!(
    /// The name of a mission: a directory under `missions/` and part of an image's repository.
    MissionName
);
text_type!(
    /// The name of an environment, which is also the name of its Jupyter kernel.
    EnvironmentName
);
text_type!(
    /// A SHA-256 digest in the form `sha256:<64 hex digits>`.
    Digest
);

impl FromStr for MissionName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if well_formed(text, allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError {
                kind: "mission name",
                text: text.to_owned(),
                rule: "use lower-case letters, digits, '.', '_' and '-', beginning and ending with a letter or digit",
            })
        }
    }
}

impl FromStr for EnvironmentName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if well_formed(text, allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError {
                kind: "environment name",
                text: text.to_owned(),
                rule: "use letters, digits, '.', '_' and '-', beginning and ending with a letter or digit",
            })
        }
    }
}

impl EnvironmentName {
    const BASE: &str = "base";

    /// The environment that a base image brings, and that others start from.
    #[must_use]
    pub fn base() -> Self {
        Self(Self::BASE.to_owned())
    }

    /// Whether it is the base environment.
    #[must_use]
    pub fn is_base(&self) -> bool {
        self.0 == Self::BASE
    }
}

fn well_formed(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 100 && edge(text.chars().next()) && edge(text.chars().last()) && text.chars().all(allowed)
}

impl FromStr for Digest {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError {
                kind: "digest",
                text: text.to_owned(),
                rule: "expected sha256: and 64 lower-case hexadecimal digits",
            })
        }
    }
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.raw(bytes);
        hasher.finish()
    }

    /// The first 12 hexadecimal digits: enough for people and tags.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0["sha256:".len()..][..12]
    }
}

/// Builds a [`Digest`] from named parts, so that no two different sequences of parts collide.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds one named part; the lengths are part of what is hashed.
    pub fn part(&mut self, name: &str, bytes: &[u8]) {
        for field in [name.as_bytes(), bytes] {
            self.0.update((field.len() as u64).to_le_bytes());
            self.0.update(field);
        }
    }

    /// Adds bytes as they are, for hashing a file piece by piece.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything added.
    #[must_use]
    pub fn finish(self) -> Digest {
        use fmt::Write as _;
        let mut text = String::from("sha256:");
        for byte in self.0.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        Digest(text)
    }
}

/// A repository and a tag, e.g. `floe/roman:0123456789ab` or `registry.example.org/hub/roman:v1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageTag {
    /// The repository, with the registry's host where there is one.
    pub repository: String,
    /// The tag, without the colon.
    pub tag: String,
}

impl fmt::Display for ImageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// The identity of one test, e.g. `roman-cal::imports::numpy` or `roman-cal::test`.
///
/// The owner is an environment, or a mission for its own test script (`roman::test`).
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

/// The kinds of tests that floe runs, each by the word that stands for it in an ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TestKind {
    /// One module is imported in a process of its own.
    #[serde(rename = "imports")]
    Import,
    /// One notebook is executed on its kernel.
    #[serde(rename = "notebooks")]
    Notebook,
    /// An executable is run and must exit with 0.
    #[serde(rename = "test")]
    Script,
    /// The image is started as a hub starts it, and asked for something.
    #[serde(rename = "server")]
    Server,
}

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

    /// The `test` script of an environment or mission.
    #[must_use]
    pub fn script(owner: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            kind: TestKind::Script,
            name: String::new(),
        }
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
        match self.kind {
            TestKind::Import => write!(f, "{}::imports::{}", self.owner, self.name),
            TestKind::Notebook => write!(f, "{}::notebooks::{}", self.owner, self.name),
            TestKind::Script => write!(f, "{}::test", self.owner),
            TestKind::Server => write!(f, "{}::server::{}", self.owner, self.name),
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
        if owner.is_empty() {
            return Err(invalid());
        }
        match rest.split_once("::") {
            Some(("imports", name)) if !name.is_empty() => Ok(Self::import(owner, name)),
            Some(("notebooks", name)) if !name.is_empty() => Ok(Self::notebook(owner, name)),
            Some(("server", name)) if !name.is_empty() => Ok(Self::server(owner, name)),
            None if rest == "test" => Ok(Self::script(owner)),
            _ => Err(invalid()),
        }
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
            "roman::test",
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
        for text in ["", "x", "::test", "x::imports::", "x::what::y"] {
            assert!(text.parse::<TestId>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_mission_name_cannot_leave_its_directory() {
        for text in ["", "..", "../x", "a/b", ".x", "Roman", "-x", "x\n"] {
            assert!(text.parse::<MissionName>().is_err(), "{text:?} was accepted");
        }
        assert!("roman-2.1_x".parse::<MissionName>().is_ok());
    }

    #[test]
    fn parts_that_concatenate_alike_differ_in_digest() {
        let digest = |parts: &[(&str, &str)]| {
            let mut hasher = Hasher::default();
            for (name, text) in parts {
                hasher.part(name, text.as_bytes());
            }
            hasher.finish()
        };
        assert_ne!(digest(&[("a", "bc")]), digest(&[("ab", "c")]));
        assert_ne!(digest(&[("a", "b"), ("", "")]), digest(&[("a", "b")]));
    }

    #[test]
    fn a_digest_is_the_sha256_of_the_bytes() {
        // `printf abc | sha256sum`
        assert_eq!(
            Digest::of(b"abc").as_str(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Digest::of(b"abc").short(), "ba7816bf8f01");
    }
}
