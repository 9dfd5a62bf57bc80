//! Calls of programs that a test needs, and calls in surroundings of their own.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

/// Runs a program that must succeed, and returns what it wrote on standard output.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let ended = command.output();
    let ended = ended.unwrap_or_else(|error| panic!("{command:?} does not start ({error}); scripts/check installs it"));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success(),
        "{command:?} ended with {}:\n{said}",
        ended.status
    );
    String::from_utf8(ended.stdout).unwrap()
}

/// The same call, made by another program: `words` are that program and its arguments before those of `command`.
pub fn through(words: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(words[0]);
    outer
        .args(&words[1..])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = command.get_current_dir() {
        outer.current_dir(directory);
    }
    outer
}

/// The same call after `script`, by a shell in a mount namespace of its own, so that nothing mounted there stays behind.
/// If the script fails, the call ends with its exit code.
pub fn mounted(script: &str, command: &Command) -> Command {
    let script = format!("set -e\n{script}\nexec \"$@\"");
    // Whoever is not root is root in a namespace of users, too.
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let unshare: &[&str] = if root {
        &["unshare", "--mount"]
    } else {
        &["unshare", "--mount", "--map-root-user"]
    };
    through(&[unshare, &["sh", "-c", &script, "sh"]].concat(), command)
}
