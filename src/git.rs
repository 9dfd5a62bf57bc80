//! The edge to git: what it knows of a repository's commits. Every call runs the `git` program.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What git refused or could not do.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program cannot be started.
    #[error("git: {0}")]
    Start(#[from] io::Error),
    /// git says that it failed.
    #[error("{0}")]
    Failed(String),
}

/// The abbreviated hash of the last commit that touched `paths` in the repository at `root`.
///
/// `None` where that says nothing about what is built: outside of git, or with uncommitted changes under `paths`. Merge
/// commits are left out, since they touch nothing themselves.
#[must_use]
pub fn last_commit(root: &Path, paths: &[PathBuf]) -> Option<String> {
    let of_paths = |arguments: &[&str]| {
        let mut words = arguments.iter().map(OsStr::new).collect::<Vec<_>>();
        words.push(OsStr::new("--"));
        words.extend(paths.iter().map(|path| path.as_os_str()));
        git(root, &words).ok()
    };
    if !of_paths(&["status", "--porcelain"])?.trim().is_empty() {
        return None;
    }
    let hash = of_paths(&["log", "-1", "--no-merges", "--format=%h", "--abbrev=12"])?;
    Some(hash.trim().to_owned()).filter(|hash| !hash.is_empty())
}

/// The hash of the commit that `name` stands for in the repository at `root`.
#[must_use]
pub fn commit(root: &Path, name: &str) -> Option<String> {
    let name = format!("{name}^{{commit}}");
    let hash = git(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).ok()?;
    // Some versions repeat the option that ends the others.
    hash.split_whitespace().last().map(str::to_owned)
}

/// The text of a file as it was in a commit, by its path below `root`. `None` if the commit has no such file.
pub fn file_in_commit(root: &Path, commit: &str, path: &Path) -> Result<Option<String>, GitError> {
    let object = format!("{commit}:./{}", path.display());
    if git(root, &["cat-file", "-e", &object]).is_err() {
        return Ok(None);
    }
    git(root, &["cat-file", "blob", &object]).map(Some)
}

/// The names of what was in a directory below `root` in a commit; none if there was no such directory.
pub fn names_in_commit(root: &Path, commit: &str, directory: &Path) -> Result<Vec<String>, GitError> {
    let object = format!("{commit}:./{}", directory.display());
    if git(root, &["cat-file", "-e", &object]).is_err() {
        return Ok(Vec::new());
    }
    let names = git(root, &["ls-tree", "--name-only", "-z", &object])?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

/// What git prints; the error is what it says.
fn git(root: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<String, GitError> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(GitError::Failed(said.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_commit_is_named_only_for_a_clean_tree_and_only_if_it_touched_the_paths() {
        let dir = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
            let mut command = Command::new("git");
            let output = command
                .arg("-C")
                .arg(dir.path())
                .args(identity)
                .args(arguments)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let commit = |file: &str| {
            fs::write(dir.path().join(file), file).unwrap();
            git(&["add", "."]);
            git(&["commit", "-qm", file]);
            git(&["rev-parse", "--short=12", "HEAD"])
        };
        git(&["init", "-q"]);
        let first = commit("a");
        commit("b");
        let paths = [PathBuf::from("a")];
        assert_eq!(last_commit(dir.path(), &paths), Some(first.clone()));
        fs::write(dir.path().join("b"), "changed").unwrap();
        assert_eq!(last_commit(dir.path(), &paths), Some(first));
        fs::write(dir.path().join("a"), "changed").unwrap();
        assert_eq!(last_commit(dir.path(), &paths), None);
    }
}
