//! Other repositories, reached over the network or on this machine: cloned, fetched from, pushed to.
//!
//! git is called apart from the local repository's configuration, so that nothing that this names is run; the user's own
//! helpers, keys and proxies serve as always. Only what an address can mean is allowed: files, ssh and https.

use std::path::Path;
use std::process::Command;

use super::apart::Apart;
use super::{GitError, bare, said};
use crate::address;
use crate::fault::{Explained, Kind, TRY_AGAIN, Trouble};

/// Why a remote repository did not do what it was asked to. Addresses are without credentials.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It cannot be reached.
    #[error("{address} cannot be reached: {said}")]
    Unreachable {
        /// Its address.
        address: String,
        /// What git said, in one line.
        said: String,
    },
    /// It wants to know who asks, or does not let them.
    #[error("{address} lets nobody in who asks like this: {said}")]
    Denied {
        /// Its address.
        address: String,
        /// What git said, in one line.
        said: String,
    },
    /// There is no repository.
    #[error("{address} is no git repository: {said}")]
    NoRepository {
        /// Its address.
        address: String,
        /// What git said, in one line.
        said: String,
    },
    /// The branch there has commits that are not here.
    #[error("{branch} of {address} has moved: it has commits that are not here")]
    Moved {
        /// Its address.
        address: String,
        /// The branch.
        branch: String,
    },
    /// It does not take what was pushed.
    #[error("{address} refused the push: {said}")]
    Refused {
        /// Its address.
        address: String,
        /// What it said, in one line.
        said: String,
    },
    /// git failed here.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl Explained for RemoteError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unreachable { .. } => Kind::Temporary,
            Self::Denied { .. } | Self::Moved { .. } | Self::Refused { .. } => Kind::Refused,
            Self::NoRepository { .. } => Kind::Invalid,
            Self::Git(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable { .. } => TRY_AGAIN,
            Self::Denied { .. } => {
                "log in first (SECRETS_LOGIN names a command that does), or ask for the right to this repository"
            }
            Self::NoRepository { .. } => "look at the address: SECRETS_REPO names it",
            Self::Refused { .. } => "its owners say what may be pushed there; the commits are still here",
            Self::Moved { .. } | Self::Git(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// Variables for git beside those of this process, such as the credentials of a session.
pub type Variables = [(String, String)];

/// Clones the repository at `address` as `directory`, which does not exist. No hook and no submodule comes with it.
pub fn clone(address: &str, directory: &Path, variables: &Variables) -> Result<(), RemoteError> {
    let parent = directory.parent().unwrap_or(Path::new("."));
    let mut command = bare(parent);
    command
        .args(["clone", "--quiet", "--template=", "--no-recurse-submodules", "--"])
        .arg(address)
        .arg(directory);
    reach(&mut command, address, variables).map(drop)
}

/// The commit that the branch of the repository at `address` is at, with all that it needs brought to the repository at
/// `root`. `None` if there is no such branch. Nothing else changes here.
pub fn fetch(root: &Path, address: &str, branch: &str, variables: &Variables) -> Result<Option<String>, RemoteError> {
    let apart = Apart::from(root)?;
    let reference = format!("refs/heads/{branch}");
    let listed = ["ls-remote", "--exit-code", "--", address, &reference];
    match reach(apart.git().args(listed), address, variables) {
        Ok(_) => {}
        // Its exit code says that there is none, and it says nothing.
        Err(RemoteError::Git(GitError::Failed(said))) if said.is_empty() => return Ok(None),
        Err(error) => return Err(error),
    }
    let fetched = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", address];
    let brought = format!("{reference}:refs/fetched");
    reach(apart.git().args(fetched).arg(brought), address, variables)?;
    let hash = said(apart.git().args(["rev-parse", "--verify", "refs/fetched"]))?;
    Ok(Some(hash.trim().to_owned()))
}

/// Makes `commit` of the repository at `root` what the branch of the repository at `address` is at, if that loses nothing
/// there.
pub fn push(root: &Path, address: &str, commit: &str, branch: &str, variables: &Variables) -> Result<(), RemoteError> {
    let apart = Apart::from(root)?;
    let pushed = format!("{commit}:refs/heads/{branch}");
    let words = [
        "push",
        "--quiet",
        "--no-verify",
        "--no-follow-tags",
        "--",
        address,
        &pushed,
    ];
    let moved = ["(fetch first)", "(non-fast-forward)", "(stale info)"];
    match reach(apart.git().args(words), address, variables) {
        Ok(_) => Ok(()),
        Err(RemoteError::Git(GitError::Failed(said))) if moved.iter().any(|word| said.contains(word)) => {
            Err(RemoteError::Moved {
                address: address::without_credentials(address),
                branch: branch.to_owned(),
            })
        }
        Err(RemoteError::Git(GitError::Failed(said))) if said.contains("rejected]") => Err(RemoteError::Refused {
            address: address::without_credentials(address),
            said: line(&said, &["remote:", "rejected]"]),
        }),
        Err(error) => Err(error),
    }
}

/// Runs a call of git that reaches a remote repository.
fn reach(command: &mut Command, address: &str, variables: &Variables) -> Result<String, RemoteError> {
    command
        .env("GIT_ALLOW_PROTOCOL", "file:ssh:https:http")
        // A person may be asked for a password.
        .env_remove("GIT_TERMINAL_PROMPT")
        .envs(variables.iter().map(|(name, value)| (name, value)));
    said(command).map_err(|error| match error {
        GitError::Failed(said) => told(address, &said),
        error @ GitError::Start(_) => error.into(),
    })
}

/// What git failed of, told by its words, which are in English here.
fn told(address: &str, said: &str) -> RemoteError {
    const DENIED: &[&str] = &[
        "Permission denied",
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "Host key verification failed",
        "returned error: 401",
        "returned error: 403",
        "access denied",
    ];
    const ABSENT: &[&str] = &[
        "does not appear to be a git repository",
        "does not exist",
        "not found",
        "No such file or directory",
        "transport '",
        "returned error: 404",
    ];
    const UNREACHABLE: &[&str] = &[
        "Could not resolve host",
        "Failed to connect",
        "Couldn't connect",
        "Connection refused",
        "Connection timed out",
        "Connection reset",
        "Connection closed",
        "Operation timed out",
        "No route to host",
        "Network is unreachable",
        "Could not resolve proxy",
        "Temporary failure in name resolution",
        "early EOF",
        "unexpected disconnect",
        "hung up unexpectedly",
        "returned error: 429",
        "returned error: 5",
        "Recv failure",
    ];
    let said = address::without_credentials(said);
    let first = |words: &[&str]| words.iter().any(|word| said.contains(word)).then(|| line(&said, words));
    let address = address::without_credentials(address);
    if let Some(said) = first(DENIED) {
        RemoteError::Denied { address, said }
    } else if let Some(said) = first(UNREACHABLE) {
        RemoteError::Unreachable { address, said }
    } else if let Some(said) = first(ABSENT) {
        RemoteError::NoRepository { address, said }
    } else if Trouble::of(&said).is_some_and(Trouble::may_pass) {
        let said = line(&said, &["fatal:"]);
        RemoteError::Unreachable { address, said }
    } else {
        RemoteError::Git(GitError::Failed(said))
    }
}

/// The first line that holds one of `words`.
fn line(said: &str, words: &[&str]) -> String {
    let holds = |line: &&str| words.iter().any(|word| line.contains(word));
    let line = said
        .lines()
        .find(holds)
        .or_else(|| said.lines().next())
        .unwrap_or_default();
    line.trim_start_matches("fatal: ")
        .trim_start_matches("remote: ")
        .trim()
        .to_owned()
}
