//! The push of committed secrets: only what is encrypted leaves, and nothing is forced.

use std::path::Path;

use regex::Regex;
use serde_yaml::Value;

use super::{SecretsError, clone_of, current_branch, unfinished};
use crate::git::remote::{self, RemoteError, Variables};
use crate::git::{self, standing};
use crate::sops;

/// What a push came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// How many commits the remote has now that it had not; 0 where it had all.
    pub commits: usize,
    /// How many files are edited and not committed, which stay here.
    pub edited: usize,
}

/// Pushes what is committed in the clone at `directory` to the repository at `address`, unless a secret among it is in plain
/// text, in whichever of the commits.
pub fn push(address: &str, directory: &Path, variables: &Variables) -> Result<Pushed, SecretsError> {
    if !directory.is_dir() {
        return Err(SecretsError::NoClone {
            directory: directory.to_owned(),
        });
    }
    // Nobody gets the secrets of somebody else.
    let root = clone_of(address, directory)?;
    unfinished(&root)?;
    let branch = current_branch(&root)?;
    let upstream = standing::upstream(&root, &branch);
    let edited = standing::edited(&root)?.len();
    let Some(here) = git::commit(&root, "HEAD") else {
        return Ok(Pushed { commits: 0, edited });
    };
    let there = standing::remembered(&root, &upstream);
    let commits = standing::missing(&root, &here, there.as_deref())?;
    if commits.is_empty() {
        return Ok(Pushed { commits: 0, edited });
    }
    for commit in &commits {
        check(&root, commit, there.as_deref())?;
    }
    match remote::push(&root, address, &here, &upstream, variables) {
        Ok(()) => {}
        Err(RemoteError::Moved { .. }) => {
            let there = remote::fetch(&root, address, &upstream, variables)?;
            let behind = there.as_ref().map(|there| standing::missing(&root, there, Some(&here)));
            let behind = behind.transpose()?.map_or(0, |commits| commits.len());
            if let Some(there) = there {
                standing::remember(&root, &upstream, &there)?;
            }
            return Err(SecretsError::Parted {
                directory: root,
                upstream,
                ahead: commits.len(),
                behind,
            });
        }
        Err(error) => return Err(error.into()),
    }
    standing::remember(&root, &upstream, &here)?;
    Ok(Pushed {
        commits: commits.len(),
        edited,
    })
}

/// Refuses a commit that brings a secret in plain text.
fn check(root: &Path, commit: &str, there: Option<&str>) -> Result<(), SecretsError> {
    let text = |path: &str| git::file_in_commit(root, commit, Path::new(path));
    let rules = Rules::of(text(CONFIG)?.as_deref());
    for path in standing::brought(root, commit)? {
        if !rules.cover(&path) {
            continue;
        }
        let text = text(&path)?.unwrap_or_default();
        let values = sops::plain_values(&text);
        if !sops::is_encrypted(&text) || !values.is_empty() {
            return Err(SecretsError::PlainCommit {
                directory: root.to_owned(),
                path,
                commit: commit.chars().take(12).collect(),
                values,
                there: there.map(|there| there.chars().take(12).collect()),
            });
        }
    }
    Ok(())
}

/// sops's rules of a repository.
const CONFIG: &str = ".sops.yaml";

/// Which files of a repository hold secrets.
enum Rules {
    /// Those whose paths fit one of these, as `.sops.yaml` says.
    Fitting(Vec<Regex>),
    /// No rule tells secrets from what else is there: files of values are secrets, hidden ones are not.
    All,
}

impl Rules {
    fn of(config: Option<&str>) -> Self {
        let config = config.and_then(|text| serde_yaml::from_str::<Value>(text).ok());
        let rules = config
            .as_ref()
            .and_then(|config| config.get("creation_rules")?.as_sequence());
        let patterns = rules.map(|rules| {
            let pattern = |rule: &Value| Regex::new(rule.get("path_regex")?.as_str()?).ok();
            rules.iter().map(pattern).collect::<Option<Vec<_>>>()
        });
        patterns
            .flatten()
            .filter(|patterns| !patterns.is_empty())
            .map_or(Self::All, Self::Fitting)
    }

    fn cover(&self, path: &str) -> bool {
        match self {
            Self::Fitting(patterns) => path != CONFIG && patterns.iter().any(|pattern| pattern.is_match(path)),
            Self::All => {
                let is_hidden = path.split('/').any(|name| name.starts_with('.') && name != ".env");
                let end = path.rsplit('.').next().unwrap_or_default();
                !is_hidden && ["yaml", "yml", "json", "env", "ini"].contains(&end)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_sops_tell_which_files_are_secrets_and_without_any_all_files_of_values_are() {
        let rules = Rules::of(Some("creation_rules:\n  - path_regex: ^prod/\n    age: x\n"));
        assert!(rules.cover("prod/key") && !rules.cover("mkdocs.yml") && !rules.cover(CONFIG));
        for none in [
            None,
            Some("creation_rules:\n  - age: x\n  - path_regex: a\n"),
            Some("["),
        ] {
            let rules = Rules::of(none);
            assert!(rules.cover("a/secrets.yaml") && rules.cover(".env"), "{none:?}");
            assert!(!rules.cover("README.md") && !rules.cover(CONFIG) && !rules.cover(".github/workflows/a.yml"));
        }
    }
}
