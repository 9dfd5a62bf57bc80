//! A commit that is made beside what is checked out: neither the index nor a file of the working tree is touched. It is made
//! first, and a branch leads to it only then.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{GitError, bare, git, said};

/// A commit to make.
pub struct NewCommit<'a> {
    /// The commit that it begins from.
    pub parent: &'a str,
    /// Files below the root with their new texts. Each must be a file of the parent.
    pub files: &'a [(PathBuf, String)],
    /// What the commit says.
    pub message: &'a str,
}

/// Makes a commit in the repository at `root` that no branch leads to. Returns its hash. Where anything fails, and where no
/// branch is made of it, nothing but unnamed objects is left, which git removes in time.
pub fn commit_beside(root: &Path, commit: &NewCommit<'_>) -> Result<String, GitError> {
    let prefix = git(root, &["rev-parse", "--show-prefix"])?;
    let prefix = Path::new(prefix.trim_end_matches('\n'));
    let directory = git(root, &["rev-parse", "--absolute-git-dir"])?;
    let directory = Path::new(directory.trim_end_matches('\n'));
    // An index of its own, beside the one of the working tree.
    let index = tempfile::Builder::new().prefix("floe-index-").tempdir_in(directory)?;
    let index = index.path().join("index");
    let with_index = |arguments: &[&str]| {
        let mut command = bare(root);
        command.env("GIT_INDEX_FILE", &index);
        said(command.args(arguments))
    };
    with_index(&["read-tree", commit.parent])?;
    for (path, text) in commit.files {
        let path = prefix.join(path);
        let path = path.to_string_lossy();
        let listed = with_index(&[
            "ls-files",
            "--stage",
            "-z",
            "--full-name",
            "--",
            &format!(":(top,literal){path}"),
        ])?;
        let mode = listed.split(' ').next().filter(|mode| mode.starts_with("100"));
        let mode = mode.ok_or_else(|| GitError::Failed(format!("{path} is no file of {}", commit.parent)))?;
        let object = hash(
            bare(root).args(["hash-object", "-w", "--no-filters", "--stdin"]),
            text.as_bytes(),
        )?;
        with_index(&["update-index", "--cacheinfo", &format!("{mode},{object},{path}")])?;
    }
    let tree = with_index(&["write-tree"])?;
    let tree = tree.trim();
    hash(
        bare(root).args(["commit-tree", tree, "-p", commit.parent, "-F", "-"]),
        commit.message.as_bytes(),
    )
}

/// Makes a branch of the repository at `root` that leads to a commit. One of its name must not be there yet.
pub fn make_branch(root: &Path, branch: &str, commit: &str) -> Result<(), GitError> {
    let reference = format!("refs/heads/{branch}");
    git(root, &["check-ref-format", &reference])
        .map_err(|_| GitError::Failed(format!("\"{branch}\" is no name of a branch")))?;
    let none = "0".repeat(commit.len());
    git(root, &["update-ref", "-m", "floe", &reference, commit, &none]).map(drop)
}

/// Whether two commits hold the same files and have the same parents.
#[must_use]
pub fn is_the_same_change(root: &Path, one: &str, other: &str) -> bool {
    let told = |commit: &str| {
        git(
            root,
            &["show", "--no-patch", "--no-show-signature", "--format=%T %P", commit],
        )
        .ok()
    };
    told(one).is_some_and(|one| Some(one) == told(other))
}

/// The hash that git prints, given `bytes`.
pub(super) fn hash(command: &mut Command, bytes: &[u8]) -> Result<String, GitError> {
    let printed = fed(command, bytes)?;
    Ok(String::from_utf8_lossy(&printed).trim().to_owned())
}

/// What git prints, given `input`.
pub(super) fn fed(command: &mut Command, input: &[u8]) -> Result<Vec<u8>, GitError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // git may print before it has read all.
        let sent = scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(input)));
        let output = child.wait_with_output()?;
        if output.status.success() {
            sent.join().ok().flatten().transpose()?;
            Ok(output.stdout)
        } else {
            Err(GitError::Failed(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            ))
        }
    })
}

/// The tip of a branch, as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tip {
    /// This commit.
    Commit(String),
    /// There is no such branch.
    None,
    /// The branch here and the one of `origin` went different ways.
    Parted,
}

/// The tip of `branch`, of what is checked out where none is named. Of the branch here and that of `origin` the one that
/// goes on from the other counts.
#[must_use]
pub fn tip(root: &Path, branch: Option<&str>) -> Tip {
    let Some(branch) = branch else {
        return super::commit(root, "HEAD").map_or(Tip::None, Tip::Commit);
    };
    let here = super::commit(root, &format!("refs/heads/{branch}"));
    let there = super::commit(root, &format!("refs/remotes/origin/{branch}"));
    let (here, there) = match (here, there) {
        (None, None) => return Tip::None,
        (Some(one), None) | (None, Some(one)) => return Tip::Commit(one),
        (Some(here), Some(there)) => (here, there),
    };
    let goes_on = |from: &str, to: &str| git(root, &["merge-base", "--is-ancestor", from, to]).is_ok();
    if goes_on(&here, &there) {
        Tip::Commit(there)
    } else if goes_on(&there, &here) {
        Tip::Commit(here)
    } else {
        Tip::Parted
    }
}

/// The commits that changed `paths` on the way to `tip`, the last one first, at most `most`. What came in by a merge
/// counts as the merge.
pub fn history(root: &Path, tip: &str, paths: &[PathBuf], most: usize) -> Result<Vec<Past>, GitError> {
    let most = format!("--max-count={most}");
    let mut words = [
        "log",
        "--first-parent",
        "--no-show-signature",
        "--format=%H %ct",
        &most,
        tip,
        "--",
    ]
    .map(str::to_owned)
    .to_vec();
    words.extend(paths.iter().map(|path| format!(":(literal){}", path.display())));
    let listed = git(root, &words)?;
    let past = listed.lines().filter_map(|line| {
        let (commit, time) = line.split_once(' ')?;
        Some(Past {
            commit: commit.to_owned(),
            time: time.parse().ok()?,
        })
    });
    Ok(past.collect())
}

/// A commit of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Its hash.
    pub commit: String,
    /// When it was made, in seconds since 1970.
    pub time: i64,
}

/// The files below `paths` that are not as the last commit left them, by their paths below the root of the work tree.
pub fn uncommitted(root: &Path, paths: &[PathBuf]) -> Result<Vec<PathBuf>, GitError> {
    let mut words = [
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        "--ignore-submodules=all",
        "--",
    ]
    .map(str::to_owned)
    .to_vec();
    words.extend(paths.iter().map(|path| format!(":(literal){}", path.display())));
    let listed = git(root, &words)?;
    let changed = listed.split_terminator('\0').filter_map(|line| line.get(3..));
    Ok(changed.map(PathBuf::from).collect())
}

/// Whether there is a branch of this name here.
#[must_use]
pub fn has_branch(root: &Path, branch: &str) -> bool {
    super::commit(root, &format!("refs/heads/{branch}")).is_some()
}

/// The text of a file in the working tree. `None` if there is none.
pub fn file_here(root: &Path, path: &Path) -> std::io::Result<Option<String>> {
    match fs::read_to_string(root.join(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
