//! The Debian base, where what makes it cannot, or does not come to its end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
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
    let (repository, _) = building("");
    let scratch = repository.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let made = || {
        let entries = fs::read_dir(&scratch).unwrap().map(|entry| entry.unwrap().path());
        let made = entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("mmdebstrap."));
        made.collect::<Vec<_>>()
    };
    let mut call = repository.command(&["build", "bare", "--no-cache"]);
    call.env("TMPDIR", &scratch).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = call.spawn().unwrap();
    let asked = Instant::now();
    // It has a root file system by then, and file systems mounted in it.
    while !made().iter().any(|root| root.join("var/lib/dpkg/status").exists()) {
        assert!(asked.elapsed() < Duration::from_mins(2), "it makes none");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(2));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(made(), Vec::<std::path::PathBuf>::new());
}
