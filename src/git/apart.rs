//! git, apart from a repository's own configuration: an empty one in a temporary directory, with the objects of the other.
//!
//! What reaches a remote, or signs, runs programs that the configuration names: those of the user and of the machine are
//! theirs, those of the repository may be somebody else's. Who somebody is may stand in the repository all the same.

use std::path::Path;
use std::process::Command;

use super::{GitError, bare, said};

/// What a repository may say of who commits, and whether that is signed. None of it is run.
const IDENTITY: &[&str] = &[
    "user.name",
    "user.email",
    "user.signingKey",
    "author.name",
    "author.email",
    "committer.name",
    "committer.email",
    "commit.gpgSign",
    "gpg.format",
];

/// A repository of its own that shares the objects of another.
#[derive(Debug)]
pub(super) struct Apart {
    directory: tempfile::TempDir,
    objects: String,
    identity: Vec<String>,
}

impl Apart {
    /// One that shares the objects of the repository at `root`.
    pub(super) fn from(root: &Path) -> Result<Self, GitError> {
        let asked = |arguments: &[&str]| said(bare(root).args(arguments)).map(|text| text.trim().to_owned());
        let path = |name: &str| asked(&["rev-parse", "--path-format=absolute", "--git-path", name]);
        let objects = path("objects")?;
        let format = asked(&["rev-parse", "--show-object-format"])?;
        let directory = tempfile::tempdir()?;
        let format = format!("--object-format={format}");
        let made = ["init", "--quiet", "--bare", "--template=", &format, "."];
        said(bare(directory.path()).args(made).env_remove("GIT_DIR"))?;
        // The history of a shallow clone ends where this file says.
        let _ = std::fs::copy(path("shallow")?, directory.path().join("shallow"));
        let stated = |key: &&str| {
            let value = asked(&["config", "--get", key])
                .ok()
                .filter(|value| !value.is_empty())?;
            Some(format!("{key}={value}"))
        };
        Ok(Self {
            identity: IDENTITY.iter().filter_map(stated).collect(),
            objects,
            directory,
        })
    }

    /// A call of git in it, with no way to other machines.
    pub(super) fn git(&self) -> Command {
        let mut command = bare(self.directory.path());
        for setting in &self.identity {
            command.arg("-c").arg(setting);
        }
        // What no reference of this repository leads to is not unused.
        for setting in ["gc.auto=0", "maintenance.auto=false", "fetch.writeCommitGraph=false"] {
            command.arg("-c").arg(setting);
        }
        command
            .env("GIT_DIR", self.directory.path())
            .env("GIT_OBJECT_DIRECTORY", &self.objects)
            .env("GIT_INDEX_FILE", self.directory.path().join("index"))
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_COMMON_DIR");
        command
    }
}
