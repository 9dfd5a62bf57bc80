//! The edge to git: what it knows of a repository's commits. Every call runs the `git` program.

mod apart;
mod commit;
pub mod record;
pub mod remote;
pub mod standing;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use self::commit::{
    NewCommit, Tip, commit_beside, file_here, has_branch, history, is_the_same_change, make_branch, tip, uncommitted,
};
use crate::fault::{Explained, Kind};

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

impl Explained for GitError {
    fn kind(&self) -> Kind {
        Kind::Internal
    }
}

/// What git knows of the commit that last touched some files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// This one, by the first 12 digits of its hash; the files are as it left them.
    By(String),
    /// None that the files still are as it left them, or none at all.
    Nobody,
    /// There is a repository, and what it says cannot be believed or had.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// The last commit that touched `paths` in the repository at `root`. Merge commits are left out, since they touch nothing
/// themselves.
#[must_use]
pub fn last_commit(root: &Path, paths: &[PathBuf]) -> Touched {
    match asked(root, paths) {
        Ok(touched) => touched,
        // A directory that is in no repository has no history, which is nothing to speak of.
        Err(GitError::Failed(said)) if said.contains("not a git repository") => Touched::Nobody,
        Err(GitError::Start(error)) if error.kind() == io::ErrorKind::NotFound => Touched::Nobody,
        Err(error) => Touched::Unknown {
            reason: error.to_string().lines().next().unwrap_or_default().to_owned(),
        },
    }
}

fn asked(root: &Path, paths: &[PathBuf]) -> Result<Touched, GitError> {
    let of_paths = |arguments: &[&str]| {
        let mut words = arguments.iter().map(OsStr::new).collect::<Vec<_>>();
        words.push(OsStr::new("--"));
        words.extend(paths.iter().map(|path| path.as_os_str()));
        git(root, &words)
    };
    let shallow = git(root, &["rev-parse", "--git-path", "shallow"])?;
    if git(root, &["rev-parse", "--verify", "--quiet", "HEAD"]).is_err() {
        return Ok(Touched::Nobody);
    }
    let status = ["status", "--porcelain", "--no-renames", "--ignore-submodules=all"];
    if !of_paths(&status)?.trim().is_empty() {
        return Ok(Touched::Nobody);
    }
    let hash = of_paths(&["log", "-1", "--no-merges", "--no-show-signature", "--format=%H"])?;
    let hash = hash.trim();
    if hash.is_empty() {
        return Ok(Touched::Nobody);
    }
    // The first commits of a shallow clone seem to have touched everything.
    let cut = std::fs::read_to_string(root.join(shallow.trim())).unwrap_or_default();
    if cut.lines().any(|commit| commit == hash) {
        return Ok(Touched::Unknown {
            reason: "the clone is shallow, and its history ends before the commit that touched them last; \
                     `git fetch --unshallow` gets the rest"
                .to_owned(),
        });
    }
    Ok(Touched::By(hash.chars().take(12).collect()))
}

/// The hash of the commit that `name` stands for in the repository at `root`.
#[must_use]
pub fn commit(root: &Path, name: &str) -> Option<String> {
    let name = format!("{name}^{{commit}}");
    let hash = git(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).ok()?;
    // Some versions repeat the option that ends the others.
    hash.split_whitespace().last().map(str::to_owned)
}

/// What names the commit before the last change of the file at `path`, relative to `root`, whether that change is a commit's
/// or nobody's yet. `None` where the file has had no other content, or nobody can know.
#[must_use]
pub fn before(root: &Path, path: &Path) -> Option<String> {
    let committed = file_in_commit(root, "HEAD", path).ok()??;
    if std::fs::read_to_string(root.join(path)).ok() != Some(committed) {
        return Some("HEAD".to_owned());
    }
    match last_commit(root, &[path.to_owned()]) {
        Touched::By(commit) => self::commit(root, &format!("{commit}^")),
        _ => None,
    }
}

/// The files below `root` that are others than where this history and that of `name` parted, those that nobody has
/// committed included, by their paths below `root`.
pub fn changed_since(root: &Path, name: &str) -> Result<Vec<PathBuf>, GitError> {
    if git(root, &["rev-parse", "--git-dir"]).is_err() {
        return Err(GitError::Failed(format!("{} is in no git repository", root.display())));
    }
    let since = commit(root, name).ok_or_else(|| GitError::Failed(format!("there is no commit \"{name}\"")))?;
    let parted = git(root, &["merge-base", &since, "HEAD"]).map_err(|error| match error {
        GitError::Failed(said) if said.is_empty() => GitError::Failed(format!(
            "\"{name}\" and HEAD have no commit in common here; in a shallow clone, `git fetch --unshallow` gets the rest"
        )),
        other => other,
    })?;
    let compared = [
        "diff",
        "--name-only",
        "-z",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--ignore-submodules=all",
        "--relative",
        parted.trim(),
    ];
    let changed = git(root, &compared)?;
    let new = git(root, &["ls-files", "--others", "--exclude-standard", "-z"])?;
    let paths = changed.split_terminator('\0').chain(new.split_terminator('\0'));
    let paths = paths.map(PathBuf::from).collect::<BTreeSet<_>>();
    Ok(paths.into_iter().collect())
}

/// Whether files that match these pathspecs, taken from `root`, are others than at `HEAD`, or new.
pub fn is_edited(root: &Path, specs: &[String]) -> Result<bool, GitError> {
    if git(root, &["rev-parse", "--git-dir"]).is_err() {
        return Err(GitError::Failed(format!("{} is in no git repository", root.display())));
    }
    let status = [
        "status",
        "--porcelain",
        "--no-renames",
        "--ignore-submodules=all",
        "--untracked-files=all",
        "--",
    ];
    let words = status.into_iter().chain(specs.iter().map(String::as_str));
    Ok(!git(root, &words.collect::<Vec<_>>())?.trim().is_empty())
}

/// The commit before the last one that touched files which match these pathspecs. `None` if there is none before, or no commit
/// at all.
pub fn before_last_touch(root: &Path, specs: &[String]) -> Result<Option<String>, GitError> {
    if git(root, &["rev-parse", "--verify", "--quiet", "HEAD"]).is_err() {
        return Ok(None);
    }
    let log = ["log", "-1", "--no-merges", "--no-show-signature", "--format=%H", "--"];
    let words = log.into_iter().chain(specs.iter().map(String::as_str));
    let hash = git(root, &words.collect::<Vec<_>>())?;
    if hash.trim().is_empty() {
        return Ok(None);
    }
    let before = commit(root, &format!("{}^", hash.trim()));
    let shallow = git(root, &["rev-parse", "--is-shallow-repository"])?;
    if before.is_none() && shallow.trim() == "true" {
        return Err(GitError::Failed(
            "the clone is shallow, and its history ends before the commit that touched the specs last; \
             `git fetch --unshallow` gets the rest"
                .to_owned(),
        ));
    }
    Ok(before)
}

/// Writes the regular files below `paths` as they were in a commit, each at its path below `root`, into the directory `into`.
/// Paths that the commit does not have are left out, and so are links, which may lead anywhere.
pub fn files_of_commit(root: &Path, name: &str, paths: &[PathBuf], into: &Path) -> Result<(), GitError> {
    if git(root, &["rev-parse", "--git-dir"]).is_err() {
        return Err(GitError::Failed(format!("{} is in no git repository", root.display())));
    }
    let known = commit(root, name).ok_or_else(|| GitError::Failed(format!("there is no commit \"{name}\"")))?;
    let mut words = ["ls-tree", "-r", "-z", "--full-name", &known, "--"]
        .map(OsStr::new)
        .to_vec();
    words.extend(paths.iter().map(|path| path.as_os_str()));
    let prefix = git(root, &["rev-parse", "--show-prefix"])?;
    for entry in git(root, &words)?.split_terminator('\0') {
        let Some((about, path)) = entry.split_once('\t') else {
            continue;
        };
        let mut fields = about.split(' ');
        let (Some("100644" | "100755"), Some("blob"), Some(hash)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let below = Path::new(path.strip_prefix(prefix.trim_end()).unwrap_or(path));
        // Tests, which may be large, say nothing of packages.
        if below.iter().any(|part| part == "tests") {
            continue;
        }
        let file = into.join(below);
        std::fs::create_dir_all(file.parent().unwrap_or(into))?;
        std::fs::write(file, git(root, &["cat-file", "blob", hash])?)?;
    }
    Ok(())
}

/// The text of a file as it was in a commit, by its path below `root`. `None` if the commit has no such file.
pub fn file_in_commit(root: &Path, commit: &str, path: &Path) -> Result<Option<String>, GitError> {
    let object = format!("{commit}:./{}", path.display());
    if git(root, &["cat-file", "-e", &object]).is_err() {
        return Ok(None);
    }
    git(root, &["cat-file", "blob", &object]).map(Some)
}

/// The texts of files as they were in a commit, by their paths below `root`; `None` for each that the commit does not
/// have. One call of git reads them all.
pub fn files_in_commit(root: &Path, commit: &str, paths: &[PathBuf]) -> Result<Vec<Option<String>>, GitError> {
    let prefix = git(root, &["rev-parse", "--show-prefix"])?;
    let prefix = prefix.trim_end_matches('\n');
    let mut asked = String::new();
    for path in paths {
        let _ = writeln!(asked, "{commit}:{prefix}{}", path.display());
    }
    let printed = commit::fed(bare(root).args(["cat-file", "--batch"]), asked.as_bytes())?;
    let unclear = || GitError::Failed("git cat-file printed what is no list of files".to_owned());
    let mut rest = printed.as_slice();
    let mut texts = Vec::with_capacity(paths.len());
    for _ in paths {
        let end = memchr::memchr(b'\n', rest).ok_or_else(unclear)?;
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        if head.ends_with(" missing") {
            texts.push(None);
            continue;
        }
        let size = head.rsplit(' ').next().and_then(|size| size.parse::<usize>().ok());
        let size = size.filter(|size| *size < rest.len()).ok_or_else(unclear)?;
        // A directory of that name is no file.
        let text = head
            .contains(" blob ")
            .then(|| String::from_utf8_lossy(&rest[..size]).into_owned());
        texts.push(text);
        rest = &rest[size + 1..];
    }
    Ok(texts)
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
///
/// The repository may be somebody else's: nothing that its configuration names is run.
fn git(root: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<String, GitError> {
    let of_objects = arguments.first().and_then(|name| name.as_ref().to_str());
    if of_objects.is_some_and(|name| OF_OBJECTS.contains(&name)) {
        return said(bare(root).args(arguments));
    }
    said(guarded(root)?.args(arguments))
}

/// The commands of git that read no file of the working tree, so that there is no filter that they would run.
const OF_OBJECTS: &[&str] = &[
    "cat-file",
    "check-ref-format",
    "config",
    "log",
    "ls-tree",
    "merge-base",
    "rev-parse",
    "symbolic-ref",
    "update-ref",
];

/// git, which runs nothing that the configuration of the repository names.
fn guarded(root: &Path) -> Result<Command, GitError> {
    let mut command = bare(root);
    for name in filters(root)? {
        for key in ["clean", "smudge", "process"] {
            command.arg("-c").arg(format!("filter.{name}.{key}="));
        }
        command.arg("-c").arg(format!("filter.{name}.required=false"));
    }
    Ok(command)
}

/// git, which runs no monitor, hook, pager, signature program or transport, and writes nothing.
fn bare(root: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("--no-pager").arg("-C").arg(root);
    for setting in [
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
        "log.showSignature=false",
    ] {
        command.arg("-c").arg(setting);
    }
    command
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_ALLOW_PROTOCOL", "")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// The filters that the repository itself sets up, through which git would pass the content of files. Those of the user
/// and of the machine are theirs.
fn filters(root: &Path) -> Result<BTreeSet<String>, GitError> {
    let asked = [
        "config",
        "--null",
        "--show-scope",
        "--name-only",
        "--get-regexp",
        r"^filter\.",
    ];
    let listed = match said(bare(root).args(asked)) {
        Ok(listed) => listed,
        // It fails where there is none.
        Err(GitError::Failed(said)) if said.is_empty() => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let words = listed.split_terminator('\0').collect::<Vec<_>>();
    let own = words
        .chunks_exact(2)
        .filter(|pair| !matches!(pair[0], "global" | "system"));
    let names = own.filter_map(|pair| Some(pair[1].strip_prefix("filter.")?.rsplit_once('.')?.0.to_owned()));
    Ok(names.collect())
}

fn said(command: &mut Command) -> Result<String, GitError> {
    let output = command.output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(GitError::Failed(said.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests;
