//! A run's directory that cannot be written to.
//!
//! Each test mounts a small file system in a mount namespace of its own, so that nothing stays behind.

use world::{Ended, mounted};

use crate::site::Site;

/// Runs `floe test tiny` where `.floe` is a file system with these options of `mount`.
fn tested(site: &Site, options: &str) -> Ended {
    let disk = site.repository.path().join(".floe");
    let floe = site.prepared(&["test", "tiny"]);
    let mut command = mounted("mount -t tmpfs -o \"$OPTIONS\" tmpfs \"$DISK\" || exit 99", &floe);
    command.env("OPTIONS", options).env("DISK", disk);
    let ended = Ended::of(command.output().unwrap());
    assert_ne!(ended.code, 99, "no file system can be mounted here: {}", ended.stderr);
    ended
}

/// Prints more than the small disk holds.
const MUCH: &str = "dd if=/dev/zero bs=1024 count=300";

#[test]
fn a_disk_that_is_full_of_the_log_is_told_after_the_verdict_and_a_pass_is_none() {
    let site = Site::new(MUCH);
    let ended = tested(&site, "size=100k").expect(1);
    let verdict = ended.stderr.find("PASSED tiny").expect("the verdict is shown");
    let told = ended
        .stderr
        .find("events.jsonl: No space left on device")
        .expect("the disk is named");
    assert!(verdict < told, "{}", ended.stderr);
    ended.says(&["hint: ", "is the disk full?"]);
}

#[test]
fn a_failure_stands_though_its_reports_cannot_be_written() {
    let site = Site::new(&format!("{MUCH}\nexit 3"));
    tested(&site, "size=100k")
        .expect(100)
        .says(&["FAILED tiny", "No space left on device"]);
}

#[test]
fn a_directory_that_cannot_be_written_is_told_before_anything_runs() {
    let site = Site::new("echo it ran");
    let ended = tested(&site, "ro,size=1m")
        .expect(1)
        .says(&["/.floe/runs/", "Read-only file system", "hint: "]);
    assert!(!ended.stderr.contains("it ran"), "{}", ended.stderr);
}
