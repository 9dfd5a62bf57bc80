//! What people do with secrets: a clone of their repository, an edit that ends in a commit, the push of that, and variables
//! for a shell.
//!
//! In plain text a secret is in memory, or in a private directory, which is memory; on the disk and in git it is encrypted.

mod edit;
mod error;
mod exports;
mod login;
mod push;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::address;
use crate::git::remote::{self, RemoteError, Variables};
use crate::git::{self, standing};

pub use self::edit::{Edited, Editing, edit, editor};
pub use self::error::SecretsError;
pub use self::exports::{Exports, exports};
pub use self::login::login;
pub use self::push::push;

/// What a call for a clone came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cloned {
    /// There was none, and now there is.
    Made,
    /// It was behind the remote by so many commits, which it has now.
    Updated {
        /// How many.
        commits: usize,
    },
    /// It has all that the remote has.
    Current {
        /// How many commits are not pushed.
        ahead: usize,
        /// How many files are edited and not committed.
        edited: usize,
    },
}

/// Makes `directory` a clone of the repository at `address`, closed to other users; or brings the clone that is there up to
/// date, if nothing in it is lost by that.
pub fn clone(address: &str, directory: &Path, variables: &Variables) -> Result<Cloned, SecretsError> {
    if fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) || directory.is_file() {
        return update(address, directory, variables);
    }
    let parent = directory.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(SecretsError::file(parent))?;
    // Killed half-way, it leaves no half of a clone under that name.
    let closed = fs::Permissions::from_mode(0o700);
    let mut made = tempfile::Builder::new();
    let made = made
        .prefix(".floe-clone-")
        .permissions(closed.clone())
        .tempdir_in(parent);
    let made = made.map_err(SecretsError::file(parent))?;
    let clone = made.path().join("clone");
    remote::clone(address, &clone, variables)?;
    fs::set_permissions(&clone, closed).map_err(SecretsError::file(&clone))?;
    fs::rename(&clone, directory).map_err(SecretsError::file(directory))?;
    Ok(Cloned::Made)
}

fn update(address: &str, directory: &Path, variables: &Variables) -> Result<Cloned, SecretsError> {
    let root = clone_of(address, directory)?;
    unfinished(&root)?;
    let branch = current_branch(&root)?;
    let upstream = standing::upstream(&root, &branch);
    let edited = standing::edited(&root)?;
    let here = git::commit(&root, "HEAD");
    let there = remote::fetch(&root, address, &upstream, variables)?;
    let count = |from: Option<&str>, less: Option<&str>| match from {
        Some(from) => standing::missing(&root, from, less).map(|commits| commits.len()),
        None => Ok(0),
    };
    let behind = count(there.as_deref(), here.as_deref())?;
    let ahead = count(here.as_deref(), there.as_deref())?;
    if let Some(there) = &there {
        standing::remember(&root, &upstream, there)?;
        if behind > 0 && ahead > 0 {
            return Err(SecretsError::Parted {
                directory: root,
                upstream,
                ahead,
                behind,
            });
        }
        if behind > 0 && !edited.is_empty() {
            return Err(SecretsError::Uncommitted {
                directory: root,
                paths: edited,
                behind,
            });
        }
        if behind > 0 {
            standing::fast_forward(&root, there)?;
            return Ok(Cloned::Updated { commits: behind });
        }
    }
    Ok(Cloned::Current {
        ahead,
        edited: edited.len(),
    })
}

/// The top of the clone of the repository at `address` that `directory` is.
fn clone_of(address: &str, directory: &Path) -> Result<PathBuf, SecretsError> {
    let foreign = |other: Option<String>| SecretsError::Foreign {
        directory: directory.to_owned(),
        address: address::without_credentials(address),
        other: other.map(|other| address::without_credentials(&other)),
    };
    let root = clone_at(directory).ok_or_else(|| foreign(None))?;
    let origin = standing::origin(&root);
    // A password in it may have changed.
    let same = |origin: &String| bare_address(origin) == bare_address(address);
    if origin.as_ref().is_some_and(same) {
        Ok(root)
    } else {
        Err(foreign(origin))
    }
}

/// The address without credentials and what may stand at its end or not.
fn bare_address(address: &str) -> String {
    let address = match url::Url::parse(address) {
        Ok(url) if url.has_host() => address::without_user(url).to_string(),
        _ => address.to_owned(),
    };
    address.trim_end_matches('/').trim_end_matches(".git").to_owned()
}

/// The top of the clone that `directory` is, if it is one and not a part of another repository.
fn clone_at(directory: &Path) -> Option<PathBuf> {
    let directory = directory.canonicalize().ok()?;
    standing::top(&directory).filter(|top| *top == directory)
}

fn unfinished(root: &Path) -> Result<(), SecretsError> {
    standing::unfinished(root).map_or(Ok(()), |what| {
        Err(SecretsError::Unfinished {
            directory: root.to_owned(),
            what,
        })
    })
}

fn current_branch(root: &Path) -> Result<String, SecretsError> {
    standing::branch(root).ok_or_else(|| SecretsError::Detached {
        directory: root.to_owned(),
    })
}

impl From<RemoteError> for SecretsError {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}
