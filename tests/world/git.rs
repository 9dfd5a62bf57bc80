//! git as somebody whom no configuration names calls it.

use std::path::Path;
use std::process::Command;

use super::run;

/// Runs git in `directory` and returns what it printed.
#[track_caller]
pub fn git(directory: &Path, words: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    run(Command::new("git").arg("-C").arg(directory).args(identity).args(words))
}

/// Makes a repository of a directory, whose one commit holds these files.
#[track_caller]
pub fn committed(directory: &Path, files: &[&str]) {
    git(directory, &["init", "-q"]);
    git(directory, &[&["add"], files].concat());
    git(directory, &["commit", "-qm", "all"]);
}
