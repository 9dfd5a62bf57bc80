//! Why secrets were not cloned, edited, pushed or exported.

use std::io;
use std::path::{Path, PathBuf};

use crate::fault::{Explained, Kind, Place};
use crate::git::GitError;
use crate::git::remote::RemoteError;
use crate::private::PrivateError;
use crate::sops::SopsError;

/// Why secrets were not cloned, edited, pushed or exported. Nothing of a secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// No setting says where the secrets are.
    #[error("SECRETS_REPO is not set: whose secrets?")]
    Unset,
    /// There is no clone.
    #[error("{directory} is no clone of a repository of secrets")]
    NoClone {
        /// Where it would be.
        directory: PathBuf,
    },
    /// Where the clone would be is something else.
    #[error("{directory} is no clone of {address}{}", of(.other.as_deref()))]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// The repository that it would be a clone of.
        address: String,
        /// The repository that it is a clone of.
        other: Option<String>,
    },
    /// The file lies in no git repository.
    #[error("{path} lies in no git repository")]
    NoRepository {
        /// The file.
        path: PathBuf,
    },
    /// The clone and the remote both have commits that the other has not.
    #[error("{upstream} of the remote has {behind} commits that {directory} has not, and lacks {ahead} that are here")]
    Parted {
        /// The clone.
        directory: PathBuf,
        /// The branch of the remote.
        upstream: String,
        /// How many commits are here alone.
        ahead: usize,
        /// How many commits are there alone.
        behind: usize,
    },
    /// An update would overwrite what somebody has edited.
    #[error("{directory} is {behind} commits behind, and holds edits that nobody has committed: {}", listed(.paths))]
    Uncommitted {
        /// The clone.
        directory: PathBuf,
        /// The files.
        paths: Vec<PathBuf>,
        /// How many commits it is behind.
        behind: usize,
    },
    /// Somebody has begun something in the repository and not ended it.
    #[error("a {what} has been begun in {directory} and not ended")]
    Unfinished {
        /// The repository.
        directory: PathBuf,
        /// What, as git calls it.
        what: &'static str,
    },
    /// No branch is checked out.
    #[error("no branch is checked out in {directory}")]
    Detached {
        /// The repository.
        directory: PathBuf,
    },
    /// A commit that was to be pushed holds a secret in plain text.
    #[error("the commit {commit} holds {path} in plain text{}", named(.values))]
    PlainCommit {
        /// The clone.
        directory: PathBuf,
        /// The file, from the top of the repository.
        path: String,
        /// The commit.
        commit: String,
        /// The names of the values, where others are encrypted.
        values: Vec<String>,
        /// The last commit that the remote has.
        there: Option<String>,
    },
    /// There is no editor.
    #[error("the editor {program} does not start: {source}")]
    NoEditor {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The editor failed.
    #[error("the editor ended with {how}: nothing has changed")]
    Editor {
        /// How it ended.
        how: String,
    },
    /// The command that authorizes failed.
    #[error("SECRETS_LOGIN failed ({how})")]
    Login {
        /// How it ended.
        how: String,
    },
    /// What was decrypted holds no names and values there.
    #[error("{path} holds no mapping of names to values{}", below(.under))]
    NoMapping {
        /// The encrypted file.
        path: PathBuf,
        /// The name below which they were looked for; empty for the top level.
        under: String,
    },
    /// git does not know who commits.
    #[error("git does not know who you are, so {path} is encrypted and not committed")]
    Nobody {
        /// The file.
        path: PathBuf,
    },
    /// git failed to commit what is encrypted.
    #[error("{path} is encrypted and not committed: {source}")]
    Commit {
        /// The file.
        path: PathBuf,
        /// What git says.
        source: GitError,
    },
    /// The call was interrupted.
    #[error("interrupted: nothing has changed")]
    Interrupted(Kind),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// sops refuses.
    #[error(transparent)]
    Sops(#[from] SopsError),
    /// There is no private directory.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// The remote repository refuses.
    #[error(transparent)]
    Remote(RemoteError),
    /// git fails.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl SecretsError {
    /// What turns an error of the operating system into one that names `path`.
    pub(super) fn file(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// What git failed of when it was to commit the encrypted file at `path`.
    pub(super) fn of_commit(source: GitError, path: &Path) -> Self {
        const UNKNOWN: &[&str] = &[
            "Please tell me who you are",
            "unable to auto-detect email",
            "empty ident",
        ];
        let path = path.to_owned();
        let said = source.to_string();
        if UNKNOWN.iter().any(|words| said.contains(words)) {
            return Self::Nobody { path };
        }
        Self::Commit { path, source }
    }
}

impl Explained for SecretsError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unset
            | Self::NoClone { .. }
            | Self::NoRepository { .. }
            | Self::Unfinished { .. }
            | Self::Detached { .. }
            | Self::NoEditor { .. }
            | Self::NoMapping { .. }
            | Self::Nobody { .. } => Kind::Invalid,
            Self::Foreign { .. }
            | Self::Parted { .. }
            | Self::Uncommitted { .. }
            | Self::PlainCommit { .. }
            | Self::Login { .. } => Kind::Refused,
            Self::Editor { .. } => Kind::Nothing,
            Self::Interrupted(kind) => *kind,
            Self::File { .. } | Self::Commit { .. } => Kind::Internal,
            Self::Sops(error) => error.kind(),
            Self::Private(error) => error.kind(),
            Self::Remote(error) => error.kind(),
            Self::Git(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unset => {
                "set it in setup-env to the address of their repository; for secrets in this repository, name the \
                 deployment and the stage, as in `floe secrets edit hub prod`"
                    .to_owned()
            }
            Self::NoClone { .. } => "`floe secrets clone` makes it".to_owned(),
            Self::Foreign { .. } => "move it away, or name another directory by SECRETS_DIR".to_owned(),
            Self::NoRepository { .. } => {
                "secrets are edited where git keeps them: in a clone, or in this repository".to_owned()
            }
            Self::Parted {
                directory, upstream, ..
            } => format!(
                "your commits stay here, encrypted. `git -C {0} branch mine` keeps them aside and `git -C {0} switch -C \
                 {upstream} origin/{upstream}` takes theirs; then make your change again: \
                 `floe secrets edit` and push. `git -C {0} diff mine` says which names differ",
                directory.display()
            ),
            Self::Uncommitted { directory, .. } => format!(
                "`git -C {0} stash` puts them aside; then call this again",
                directory.display()
            ),
            Self::Unfinished { directory, what } => format!(
                "`git -C {0} status` says how to end or undo the {what}",
                directory.display()
            ),
            Self::Detached { directory } => format!("`git -C {} switch BRANCH` takes one", directory.display()),
            Self::PlainCommit {
                directory, path, there, ..
            } => {
                let back = there.as_ref().map_or(String::new(), |there| {
                    format!(
                        "`git -C {} reset {there}` takes back the commits that are here alone, and keeps the files; ",
                        directory.display()
                    )
                });
                format!("nothing was pushed: {back}encrypt {path} with `sops encrypt -i` and commit again")
            }
            Self::NoEditor { .. } => "set VISUAL or EDITOR (or SOPS_EDITOR, which comes first) to yours".to_owned(),
            Self::Login { .. } => "SECRETS_LOGIN in setup-env says which command that is; try it by itself".to_owned(),
            Self::Nobody { .. } => {
                "set user.name and user.email in git's configuration; then `floe secrets edit` commits what is there"
                    .to_owned()
            }
            Self::Commit { .. } => "once that is mended, `floe secrets edit` commits what is there".to_owned(),
            Self::Editor { .. } | Self::NoMapping { .. } | Self::Interrupted(_) | Self::File { .. } | Self::Git(_) => {
                return None;
            }
            Self::Sops(error) => return error.hint(),
            Self::Private(error) => return error.hint(),
            Self::Remote(error) => return error.hint(),
        })
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Sops(error) => error.place(),
            _ => None,
        }
    }
}

fn of(other: Option<&str>) -> String {
    other.map(|other| format!(", but of {other}")).unwrap_or_default()
}

fn below(name: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!(" under {name}")
    }
}

fn named(values: &[String]) -> String {
    match values {
        [] => String::new(),
        [first] => format!(": {first}"),
        [first, rest @ ..] => format!(": {first} and {} more", rest.len()),
    }
}

fn listed(paths: &[PathBuf]) -> String {
    const MOST: usize = 3;
    let names = paths.iter().take(MOST).map(|path| path.display().to_string());
    let mut names = names.collect::<Vec<_>>();
    if paths.len() > MOST {
        names.push(format!("{} more", paths.len() - MOST));
    }
    names.join(", ")
}
