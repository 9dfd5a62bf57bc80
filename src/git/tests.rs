//! Repositories as people have them, and as somebody else may.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use super::*;

struct Case(tempfile::TempDir);

impl Case {
    fn new() -> Self {
        let case = Self(tempfile::tempdir().unwrap());
        case.git(&["init", "-q"]);
        case
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn git(&self, arguments: &[&str]) -> String {
        run_in(self.root(), arguments)
    }

    /// Commits a file with its own name as content. Returns the beginning of the commit's hash.
    fn commit(&self, file: &str) -> String {
        fs::write(self.root().join(file), file).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "-qm", file]);
        self.git(&["rev-parse", "--short=12", "HEAD"])
    }

    fn last(&self, path: &str) -> Touched {
        last_commit(self.root(), &[PathBuf::from(path)])
    }
}

fn run_in(root: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    let mut command = Command::new("git");
    let output = command
        .arg("-C")
        .arg(root)
        .args(identity)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_commit_is_named_only_for_a_clean_tree_and_only_if_it_touched_the_paths() {
    let case = Case::new();
    assert_eq!(case.last("a"), Touched::Nobody, "there is no commit yet");
    let first = case.commit("a");
    case.commit("b");
    assert_eq!(case.last("a"), Touched::By(first.clone()));
    fs::write(case.root().join("b"), "changed").unwrap();
    assert_eq!(case.last("a"), Touched::By(first));
    fs::write(case.root().join("a"), "changed").unwrap();
    assert_eq!(case.last("a"), Touched::Nobody);
    assert_eq!(last_commit(Path::new("/"), &[PathBuf::from("etc")]), Touched::Nobody);
}

#[test]
fn nothing_that_a_repositorys_configuration_names_is_run() {
    let case = Case::new();
    case.commit("a");
    let marker = case.root().join("ran");
    let script = case.root().join("script");
    fs::write(&script, format!("#! /bin/sh\ntouch {}\ncat\n", marker.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let program = script.to_str().unwrap();
    let hooks = case.root().join("hooks");
    fs::create_dir(&hooks).unwrap();
    for hook in ["post-index-change", "fsmonitor-watchman"] {
        fs::copy(&script, hooks.join(hook)).unwrap();
    }
    for (key, value) in [
        ("core.fsmonitor", program),
        ("core.hooksPath", hooks.to_str().unwrap()),
        ("core.pager", program),
        ("core.sshCommand", program),
        ("log.showSignature", "true"),
        ("gpg.program", program),
        ("diff.external", program),
        ("diff.x.textconv", program),
        ("filter.x.clean", program),
        ("filter.x.process", program),
        ("filter.x.required", "true"),
        ("filter.a.b.clean", program),
    ] {
        case.git(&["config", key, value]);
    }
    fs::write(case.root().join(".gitattributes"), "* filter=x diff=x\nc filter=a.b\n").unwrap();
    fs::write(case.root().join("a"), "b").unwrap();
    for path in ["a", "c", ".gitattributes"] {
        let _ = case.last(path);
    }
    let head = commit(case.root(), "HEAD").unwrap();
    assert_eq!(
        file_in_commit(case.root(), &head, Path::new("a")).unwrap().as_deref(),
        Some("a")
    );
    assert_eq!(names_in_commit(case.root(), &head, Path::new(".")).unwrap(), ["a"]);
    assert!(!marker.exists());
    // The traps work: git by itself runs them.
    let _ = Command::new("git")
        .arg("-C")
        .arg(case.root())
        .arg("status")
        .output()
        .unwrap();
    assert!(marker.exists());
}

#[test]
fn a_shallow_clone_is_believed_only_where_its_history_reaches() {
    let case = Case::new();
    case.commit("a");
    let last = case.commit("b");
    let clone = tempfile::tempdir().unwrap();
    let source = format!("file://{}", case.root().display());
    run_in(clone.path(), &["clone", "-q", "--depth", "2", &source, "."]);
    // The older of the two commits is where the history is cut off.
    let Touched::Unknown { reason } = last_commit(clone.path(), &["a".into()]) else {
        panic!("the first commit of a shallow clone was believed");
    };
    assert!(reason.contains("shallow"), "{reason}");
    assert_eq!(last_commit(clone.path(), &["b".into()]), Touched::By(last));
}

#[test]
fn a_repository_of_another_user_is_not_believed_and_git_says_why() {
    let case = Case::new();
    case.commit("a");
    let trusts_all = case.git(&["config", "--default", "", "--get", "safe.directory"]) == "*";
    if !rustix::process::geteuid().is_root() || trusts_all {
        return;
    }
    for path in [case.root().to_owned(), case.root().join(".git")] {
        chown(path, Some(12345), None).unwrap();
    }
    let Touched::Unknown { reason } = case.last("a") else {
        panic!("a repository of another user was believed");
    };
    assert!(reason.contains("dubious ownership"), "{reason}");
}

#[test]
fn what_changed_counts_from_where_two_histories_parted_and_what_is_not_committed_counts() {
    let case = Case::new();
    fs::write(case.root().join(".gitignore"), "ignored\n").unwrap();
    case.commit("old");
    case.commit("gone");
    case.git(&["branch", "-M", "main"]);
    case.git(&["checkout", "-qb", "topic"]);
    case.commit("mine");
    case.git(&["checkout", "-q", "main"]);
    case.commit("theirs");
    case.git(&["checkout", "-q", "topic"]);
    for (file, text) in [("old", "edited"), ("new", ""), ("ignored", "")] {
        fs::write(case.root().join(file), text).unwrap();
    }
    fs::remove_file(case.root().join("gone")).unwrap();
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(
        changed_since(case.root(), "main").unwrap(),
        paths(&["gone", "mine", "new", "old"])
    );
    fs::create_dir(case.root().join("below")).unwrap();
    fs::write(case.root().join("below/x"), "").unwrap();
    assert_eq!(
        changed_since(&case.root().join("below"), "main").unwrap(),
        paths(&["x"])
    );
    assert!(
        changed_since(case.root(), "nowhere")
            .unwrap_err()
            .to_string()
            .contains("no commit \"nowhere\"")
    );
    case.git(&["checkout", "-q", "--orphan", "other"]);
    case.git(&["commit", "-qm", "other", "--allow-empty"]);
    assert!(
        changed_since(case.root(), "main")
            .unwrap_err()
            .to_string()
            .contains("no commit in common")
    );
}
