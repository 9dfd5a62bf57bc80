//! The machine and the repository that floe runs in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository that `directory` lies in: the nearest directory upwards with `missions/` and `common/`.
#[must_use]
pub fn repository(directory: &Path) -> Option<PathBuf> {
    let holds = |root: &&Path| root.join("missions").is_dir() && root.join("common").is_dir();
    directory.ancestors().find(holds).map(Path::to_owned)
}

/// The abbreviated hash of the last commit that touched `paths` in the repository at `root`.
///
/// `None` where that says nothing about what is built: outside of git, or with uncommitted changes under `paths`. Merge
/// commits are left out, since they touch nothing themselves.
#[must_use]
pub fn last_commit(root: &Path, paths: &[PathBuf]) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(arguments)
            .arg("--")
            .args(paths)
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if !git(&["status", "--porcelain"])?.is_empty() {
        return None;
    }
    git(&["log", "-1", "--no-merges", "--format=%h", "--abbrev=12"]).filter(|hash| !hash.is_empty())
}

/// The hash of the commit that `name` stands for in the repository at `root`.
#[must_use]
pub fn commit(root: &Path, name: &str) -> Option<String> {
    let name = format!("{name}^{{commit}}");
    let hash = git(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).ok()?;
    // Some versions repeat the option that ends the others.
    hash.split_whitespace().last().map(str::to_owned)
}

/// The text of a file as it was in a commit, by its path below `root`. `None` if the commit has no such file; the error
/// is what git says.
pub fn file_in_commit(root: &Path, commit: &str, path: &Path) -> Result<Option<String>, String> {
    let object = format!("{commit}:./{}", path.display());
    if git(root, &["cat-file", "-e", &object]).is_err() {
        return Ok(None);
    }
    git(root, &["cat-file", "blob", &object]).map(Some)
}

/// The names of what was in a directory below `root` in a commit; none if there was no such directory.
pub fn names_in_commit(root: &Path, commit: &str, directory: &Path) -> Result<Vec<String>, String> {
    let object = format!("{commit}:./{}", directory.display());
    if git(root, &["cat-file", "-e", &object]).is_err() {
        return Ok(Vec::new());
    }
    let names = git(root, &["ls-tree", "--name-only", "-z", &object])?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

/// What git prints; the error is what it says.
fn git(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// The process that owns a run, told apart from a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// When it started, as the kernel counts, with the boot that it belongs to.
    pub started: String,
}

impl Owner {
    /// The process that calls this.
    #[must_use]
    pub fn current() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        started(self.pid).is_some_and(|started| started == self.started)
    }
}

/// The start time of a process: the 22nd field of `/proc/<pid>/stat`, which follows a name that may hold anything.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let fields = stat.rsplit_once(") ")?.1;
    Some(format!("{}/{}", boot.trim(), fields.split(' ').nth(19)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_found_from_any_directory_below_it() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("missions/m/environments");
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(repository(&deep), None);
        fs::create_dir(dir.path().join("common")).unwrap();
        assert_eq!(repository(&deep).as_deref(), Some(dir.path()));
    }

    #[test]
    fn a_process_that_ended_is_not_mistaken_for_a_later_one() {
        let current = Owner::current();
        assert!(current.is_running());
        let earlier = Owner {
            started: "another boot/1".to_owned(),
            ..current
        };
        assert!(!earlier.is_running());
    }

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
