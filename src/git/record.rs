//! Commits that floe makes: of one file, with everything else of the repository as it was.
//!
//! The commit is made of the bytes of the file, by way of an index of its own: no filter, no hook and no other file that
//! somebody has staged takes part. Only when the commit exists do the repository's index and branch move.

use std::path::Path;
use std::process::Command;

use super::apart::Apart;
use super::commit::hash;
use super::{GitError, bare, commit, git, guarded, said};

/// Commits `bytes` as the file at `path`, relative to the top of the repository at `root`, on top of what is checked out.
/// Returns the hash.
///
/// The file itself is not written. On failure, index and branch are as they were.
pub fn commit_file(root: &Path, path: &str, bytes: &[u8], message: &str) -> Result<String, GitError> {
    let apart = Apart::from(root)?;
    let trimmed = |command: &mut Command| said(command).map(|text| text.trim().to_owned());
    let blob = hash(
        apart.git().args(["hash-object", "-w", "--no-filters", "--stdin"]),
        bytes,
    )?;
    let entry = format!("100644,{blob},{path}");
    let head = commit(root, "HEAD");
    if let Some(head) = &head {
        said(apart.git().args(["read-tree", head]))?;
    }
    said(apart.git().args(["update-index", "--add", "--cacheinfo", &entry]))?;
    let tree = trimmed(apart.git().arg("write-tree"))?;
    let mut made = apart.git();
    made.args(["commit-tree", &tree, "-m", message]);
    if let Some(head) = &head {
        made.args(["-p", head]);
    }
    let signs = ["config", "--type=bool", "--get", "commit.gpgSign"];
    if said(apart.git().args(signs)).is_ok_and(|value| value.trim() == "true") {
        // The program that signs may ask for a password.
        made.arg("-S").env_remove("LC_ALL");
    }
    let new = trimmed(&mut made)?;
    let before = git(
        root,
        &["ls-files", "--stage", "-z", "--full-name", "--", &format!(":/{path}")],
    )?;
    said(indexed(root)?.args(["update-index", "--add", "--cacheinfo", &entry]))?;
    let old = head.unwrap_or_else(|| "0".repeat(new.len()));
    let subject = format!("commit (floe): {}", message.lines().next().unwrap_or_default());
    let moved = said(bare(root).args(["update-ref", "-m", &subject, "HEAD", &new, &old]));
    if let Err(error) = moved {
        // The index as it was.
        let absent = format!("0 {} 0\t{path}\0", "0".repeat(blob.len()));
        let entry = if before.is_empty() { absent } else { before };
        let _ = hash(
            indexed(root)?.args(["update-index", "-z", "--index-info"]),
            entry.as_bytes(),
        );
        return Err(error);
    }
    Ok(new)
}

/// git at the top of the work tree, since `update-index` takes paths from where it runs; it compares what is there by the
/// filters of the repository, too.
fn indexed(root: &Path) -> Result<Command, GitError> {
    let top = git(root, &["rev-parse", "--show-toplevel"]).unwrap_or_default();
    let top = Path::new(top.trim_end_matches('\n'));
    guarded(if top.as_os_str().is_empty() { root } else { top })
}
