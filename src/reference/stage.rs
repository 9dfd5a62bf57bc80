//! The names of deployments and their stages, which are parts of paths and of names of branches.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ReferenceError, text_type, well_formed};

text_type!(
    /// The name of a deployment: a directory below `deployments/`.
    DeploymentName
);
text_type!(
    /// The name of a stage of a deployment.
    StageName
);

impl FromStr for DeploymentName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        checked("deployment name", text).map(Self)
    }
}

impl FromStr for StageName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        checked("stage name", text).map(Self)
    }
}

fn checked(kind: &'static str, text: &str) -> Result<String, ReferenceError> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    // What git takes for no part of a branch's name.
    let is_git = |text: &str| !text.contains("..") && !text.to_ascii_lowercase().ends_with(".lock");
    if well_formed(text, allowed) && is_git(text) {
        return Ok(text.to_owned());
    }
    Err(ReferenceError {
        kind,
        text: text.to_owned(),
        rule: "use letters, digits, '.', '_' and '-', beginning and ending with a letter or digit",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_called_as_people_like_and_never_leaves_its_directory_nor_breaks_a_branch() {
        for text in ["Prod", "base", "common", "cae-dev", "v2.1_x"] {
            assert!(
                text.parse::<StageName>().is_ok() && text.parse::<DeploymentName>().is_ok(),
                "{text}"
            );
        }
        for text in [
            "", "..", "../x", "a/b", ".x", "a..b", "x.lock", "X.LOCK", "a b", "-x", "x.", "x\n",
        ] {
            let refused = text.parse::<StageName>().unwrap_err();
            assert!(refused.to_string().starts_with("stage name"), "{refused}");
        }
    }
}
