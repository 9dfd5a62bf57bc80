//! Names and references, parsed once: missions, environments, deployments, digests, images, tests.
//!
//! After construction nobody handles the string: a value of one of these types is well formed.

mod digest;
mod image;
pub mod media_type;
mod stage;
mod tag;
mod test;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::digest::{Digest, Hasher};
pub use self::image::{ImageReference, ImageTag, RegistryHost, RegistryPath, Role};
pub use self::stage::{DeploymentName, StageName};
pub use self::tag::OwnTag;
pub use self::test::{TestId, TestKind};
use crate::fault::{Explained, Kind};

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

impl Explained for ReferenceError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
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

use text_type;

text_type!(
    /// The name of a mission: a directory under `missions/` and part of an image's repository.
    MissionName
);
text_type!(
    /// The name of an environment, which is also the name of its Jupyter kernel.
    EnvironmentName
);
/// Names of images that floe makes for its own use.
const RESERVED: &[&str] = &["base", "common", "debian", "foundation", "upstream"];

/// A mission's name is a component of its images' repositories, by the grammar of the distribution specification.
impl FromStr for MissionName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |rule| ReferenceError {
            kind: "mission name",
            text: text.to_owned(),
            rule,
        };
        if RESERVED.contains(&text) {
            return Err(invalid(
                "base, common, debian, foundation and upstream are images of floe's own",
            ));
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let separators = text.split(allowed).filter(|between| !between.is_empty());
        let separated = separators
            .clone()
            .all(|between| matches!(between, "." | "_" | "__") || between.chars().all(|c| c == '-'));
        if separated && well_formed(text, |c| allowed(c) || "._-".contains(c)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(invalid(
                "use lower-case letters and digits, separated by '.', '_', '__' or any number of '-'",
            ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mission_name_cannot_leave_its_directory() {
        for text in ["", "..", "../x", "a/b", ".x", "Roman", "-x", "x\n"] {
            assert!(text.parse::<MissionName>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_mission_name_is_one_that_registries_take_and_none_of_floes_own() {
        for text in [
            "a..b",
            "a___b",
            "a._b",
            "a-.b",
            "base",
            "common",
            "debian",
            "foundation",
            "upstream",
        ] {
            assert!(text.parse::<MissionName>().is_err(), "{text:?} was accepted");
        }
        for text in ["roman-2.1_x", "a__b", "a---b", "commons"] {
            let name = text.parse::<MissionName>().unwrap();
            assert!(format!("floe/{name}").parse::<ImageReference>().is_ok(), "{text}");
        }
    }
}
