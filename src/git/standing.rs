//! Where a clone stands: its branch, what somebody has left unfinished in it, and what it has that a remote has not.

use std::path::{Path, PathBuf};

use super::{GitError, bare, commit, git, said};

/// The top of the work tree that `directory` lies in, if it lies in one.
#[must_use]
pub fn top(directory: &Path) -> Option<PathBuf> {
    let top = git(directory, &["rev-parse", "--show-toplevel"]).ok()?;
    Some(PathBuf::from(top.trim_end_matches('\n')))
}

/// The branch that is checked out, which may have no commit yet; `None` for a detached HEAD.
#[must_use]
pub fn branch(root: &Path) -> Option<String> {
    let name = git(root, &["symbolic-ref", "--quiet", "HEAD"]).ok()?;
    name.trim().strip_prefix("refs/heads/").map(str::to_owned)
}

/// The branch of the remote that the local one goes to: the configured one, or that of the same name.
#[must_use]
pub fn upstream(root: &Path, branch: &str) -> String {
    let configured = git(root, &["config", "--get", &format!("branch.{branch}.merge")]).ok();
    let name = configured.and_then(|name| name.trim().strip_prefix("refs/heads/").map(str::to_owned));
    name.unwrap_or_else(|| branch.to_owned())
}

/// The address of the remote `origin`, if there is one.
#[must_use]
pub fn origin(root: &Path) -> Option<String> {
    let address = git(root, &["config", "--get", "remote.origin.url"]).ok()?;
    Some(address.trim_end_matches('\n').to_owned())
}

/// The address that pushes to the remote `origin` go to, if there is one.
#[must_use]
pub fn pushed_to(root: &Path) -> Option<String> {
    let address = git(root, &["config", "--get", "remote.origin.pushurl"]).ok();
    let address = address.map(|address| address.trim_end_matches('\n').to_owned());
    let address = address.or_else(|| origin(root))?;
    if address.contains(':') || Path::new(&address).is_absolute() {
        return Some(address);
    }
    // A path is meant from the top of the work tree.
    Some(top(root)?.join(address).display().to_string())
}

/// What somebody has begun here and not ended, as git calls it: `merge`, `rebase` and the like.
#[must_use]
pub fn unfinished(root: &Path) -> Option<&'static str> {
    const MARKS: [(&str, &str); 5] = [
        ("MERGE_HEAD", "merge"),
        ("rebase-merge", "rebase"),
        ("rebase-apply", "rebase"),
        ("CHERRY_PICK_HEAD", "cherry-pick"),
        ("REVERT_HEAD", "revert"),
    ];
    let there = |name: &str| {
        let path = git(root, &["rev-parse", "--path-format=absolute", "--git-path", name]);
        path.is_ok_and(|path| Path::new(path.trim_end_matches('\n')).exists())
    };
    MARKS.iter().find(|(mark, _)| there(mark)).map(|(_, name)| *name)
}

/// The files of the repository, new ones included, that are other than in the last commit.
pub fn edited(root: &Path) -> Result<Vec<PathBuf>, GitError> {
    let status = ["status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all"];
    let said = git(root, &status)?;
    let paths = said.split_terminator('\0').filter_map(|entry| entry.get(3..));
    Ok(paths.map(PathBuf::from).collect())
}

/// The commits that `there` does not have, of those that lead to `here`, the oldest first.
pub fn missing(root: &Path, here: &str, there: Option<&str>) -> Result<Vec<String>, GitError> {
    let mut words = vec!["rev-list".to_owned(), "--reverse".to_owned(), here.to_owned()];
    words.extend(there.map(|there| format!("^{there}")));
    Ok(git(root, &words)?.lines().map(str::to_owned).collect())
}

/// The files that a commit brings, in comparison with each of its parents, by their paths from the top of the repository.
pub fn brought(root: &Path, commit: &str) -> Result<Vec<String>, GitError> {
    let words = [
        "diff-tree",
        "--root",
        "-m",
        "-r",
        "-z",
        "--no-commit-id",
        "--name-only",
        "--no-renames",
        "--diff-filter=d",
        commit,
    ];
    let said = git(root, &words)?;
    Ok(said.split_terminator('\0').map(str::to_owned).collect())
}

/// Moves what is checked out to `there`, which has all commits that are here.
pub fn fast_forward(root: &Path, there: &str) -> Result<(), GitError> {
    if commit(root, "HEAD").is_none() {
        // A clone of what was empty has no commit, and so nothing to lose.
        return git(root, &["reset", "--quiet", "--hard", there]).map(drop);
    }
    git(
        root,
        &["merge", "--quiet", "--ff-only", "--no-verify-signatures", there],
    )
    .map(drop)
}

/// Remembers where the branch of the remote `origin` is.
pub fn remember(root: &Path, branch: &str, there: &str) -> Result<(), GitError> {
    let reference = format!("refs/remotes/origin/{branch}");
    said(bare(root).args(["update-ref", &reference, there])).map(drop)
}

/// Where the branch of the remote `origin` was when it was last looked at.
#[must_use]
pub fn remembered(root: &Path, branch: &str) -> Option<String> {
    commit(root, &format!("refs/remotes/origin/{branch}"))
}
