//! The Debian base, where what makes it cannot, or does not come to its end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use world::Ended;

use crate::workshop::Workshop;

/// A repository whose base is not built yet, and a call that builds it by a program that does what `script` says.
fn building(script: &str) -> (Workshop, Command) {
    let repository = Workshop::new();
    let program = repository.write("bin/mmdebstrap", &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    repository.write("missions/bare/environments/bare/bare.pip", "iniconfig\n");
    let mut call = repository.command(&["build", "bare"]);
    let path = std::env::var("PATH").unwrap();
    call.env("PATH", format!("{}:{path}", repository.path().join("bin").display()))
        .env("APT_MIRROR", "http://mirror.example.org/debian");
    (repository, call)
}

#[test]
fn a_user_who_may_make_no_base_is_told_what_it_takes() {
    let (_repository, mut call) =
        building("echo 'E: unable to pick chroot mode automatically (use --mode for manual selection)' >&2; exit 25");
    let ended = Ended::of(call.output().unwrap()).expect(101);
    ended.says(&["may not do so as this user", "hint: `apt-get install uidmap`"]);
}

#[test]
fn what_makes_the_base_removes_what_it_has_made_when_it_is_interrupted() {
    interrupted_when("it has begun", |scratch| {
        let made = walkdir::WalkDir::new(scratch).min_depth(1).max_depth(2);
        let mut made = made.into_iter().filter_map(Result::ok);
        made.any(|entry| entry.path().join("var/lib/dpkg/status").exists())
    });
    interrupted_when("something is mounted there", |scratch| {
        let mut processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        processes.any(|process| is_mounted(scratch, &process.join("mounts")))
    });
}

/// Whether a file system is mounted below a directory, by what lists them.
fn is_mounted(directory: &Path, mounts: &Path) -> bool {
    fs::read_to_string(mounts).is_ok_and(|text| text.contains(directory.to_str().unwrap()))
}

/// Interrupts a build at a moment, by the directory for what is temporary.
fn interrupted_when(moment: &str, is_there: impl Fn(&Path) -> bool) {
    let (repository, _) = building("");
    let scratch = repository.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let mut call = repository.command(&["build", "bare", "--no-cache"]);
    call.env("TMPDIR", &scratch).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = call.spawn().unwrap();
    let asked = Instant::now();
    while !is_there(&scratch) {
        assert!(asked.elapsed() < Duration::from_mins(2), "it is not seen that {moment}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let left = fs::read_dir(&scratch).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(left.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new(), "{moment}");
    assert!(!is_mounted(&scratch, Path::new("/proc/mounts")), "{moment}");
}
