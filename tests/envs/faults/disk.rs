//! File systems that are full.
//!
//! Each test mounts a small one in a mount namespace of its own, so that nothing stays behind, and runs all of its
//! commands there, in one shell.

use world::{mounted, through};

use super::site::{Ended, Form, Site, ended};

/// What every script begins with: a word for a command of floe's, which is the shell's own name, and its exit code.
const BEGIN: &str = r#"
set -u
call() { "$0" applet "$@"; echo "== $1 ended with $?"; }
"#;

/// Runs a script where `$DISK`, the directory `name` of the site, is a file system of this capacity.
fn on_small_disk(site: &Site, name: &str, capacity: &str, script: &str) -> Ended {
    let disk = site.path(name);
    std::fs::create_dir_all(&disk).unwrap();
    let shell = through(&["sh", "-c", &format!("{BEGIN}{script}")], &site.command(&[]));
    let mut command = mounted("mount -t tmpfs -o size=\"$SIZE\" tmpfs \"$DISK\" || exit 99", &shell);
    command.env("SIZE", capacity).env("DISK", disk);
    let ended = ended(&mut command);
    assert_ne!(ended.code, 99, "no file system can be mounted here: {}", ended.said);
    ended
}

const REFUSED: &str = "
    call kernel-setup x
    call env-export x
    mount -o remount,size=2g \"$DISK\"
";

const CODES: [&str; 4] = [
    "== env-create ended with 101",
    "no space left on device",
    "== kernel-setup ended with 3",
    "== env-export ended with 3",
];

#[test]
fn a_disk_that_is_full_of_the_environment_is_told_and_more_space_repairs() {
    let site = Site::new(Form::Frozen, &["python", "fixtool"]);
    let script = format!("call env-create x x-frozen.yml {REFUSED} call env-create x x-frozen.yml; call env-export x");
    let ended = on_small_disk(&site, "conda", "20m", &script).says(&CODES);
    ended.says(&["hint", "== env-create ended with 0", "== env-export ended with 0"]);
}

#[test]
fn a_disk_that_is_full_of_packages_is_told_and_more_space_repairs() {
    let site = Site::new(Form::Floating, &["python", "fixtool"]);
    let script = format!("call env-create x x.yml {REFUSED} call env-create x x.yml; call env-export x");
    let ended = on_small_disk(&site, "packages", "10m", &script).says(&CODES);
    ended.says(&["hint", "== env-create ended with 0", "== env-export ended with 0"]);
}

#[test]
fn an_update_that_fills_the_disk_leaves_nothing_that_looks_complete() {
    let site = Site::new(Form::Floating, &["fixlib=1.1"]);
    site.write("more.conda", "numpy\n");
    let script = format!(
        "call env-create x x.yml; call env-update x more.conda {REFUSED}
         call env-update x more.conda; call env-export x"
    );
    let ended = on_small_disk(&site, "conda", "20m", &script);
    let ended = ended.says(&[
        "== env-create ended with 0",
        "== env-update ended with 101",
        "no space left on device",
        "== kernel-setup ended with 3",
        "== env-export ended with 3",
    ]);
    ended.says(&["== env-update ended with 0", "== env-export ended with 0"]);
}
