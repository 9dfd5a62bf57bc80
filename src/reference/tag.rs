//! Tags of one's own, for images in a registry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Digest, ReferenceError, text_type};

text_type!(
    /// A tag that somebody gives to an image beside the immutable ones of floe, e.g. `stable`. It may move.
    OwnTag
);

impl FromStr for OwnTag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const LONGEST: usize = 128;
        let invalid = |rule| ReferenceError {
            kind: "tag",
            text: text.to_owned(),
            rule,
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if text.len() > LONGEST || !text.starts_with(allowed) || !text.chars().all(|c| allowed(c) || ".-".contains(c)) {
            return Err(invalid(
                "use at most 128 letters, digits, '_', '.' and '-', the first none of '.' and '-'",
            ));
        }
        let hexadecimal = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_hexdigit());
        // The tags of inputs and commits, and those under which registries without referrers keep what is attached.
        let inputs = text.len() == Digest::SHORT && hexadecimal(text);
        if inputs || text.strip_prefix("git-").is_some_and(hexadecimal) || text.starts_with("sha256-") {
            return Err(invalid(
                "it looks like one that floe gives and never moves (12 hexadecimal digits, git-<commit>, sha256-<digest>)",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_of_ones_own_is_well_formed_and_none_that_floe_never_moves() {
        let longest = "x".repeat(128);
        for text in [
            "stable",
            "2026.1",
            "v1-rc_2",
            "_x",
            "git-flow",
            "0123456789abc",
            "cafe",
            &longest,
        ] {
            assert_eq!(text.parse::<OwnTag>().unwrap().as_str(), text);
        }
        let (longer, digest) = ("x".repeat(129), format!("sha256-{}", "0".repeat(64)));
        for text in ["", ".x", "-x", "a:b", "a/b", "a b", "ä", &longer] {
            assert!(text.parse::<OwnTag>().unwrap_err().rule.starts_with("use "), "{text:?}");
        }
        for text in ["0123456789ab", "ABCDEFabcdef", "git-0123abc", &digest] {
            let error = text.parse::<OwnTag>().unwrap_err();
            assert!(error.rule.contains("never moves"), "{text:?}: {error}");
        }
    }
}
