//! `.dockerignore` beside Docker's own client, which sends what it leaves to the engine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use floe::context::{Context, EntryKind};

/// What every context holds.
const FILES: &[&str] = &[
    "Dockerfile",
    "#a",
    "a",
    "a.txt",
    "a^b",
    "b",
    "x1",
    "x{1,2}",
    "dir/a",
    "dir/a.txt",
    "dir/b.py",
    "dir/dir/a",
    "dir/dir/b.py",
    "dir/keep/x.py",
    "dir/keep/y.py",
    "keep/x.py",
    "keep/y.py",
    "README.md",
    "README-secret.md",
    "[x",
    ".hidden/a",
];

/// Files of patterns, each a way in which git's rules or a hasty reading differ from Docker's.
const PATTERNS: &[&str] = &[
    "",
    "a",
    "/a",
    "./a\nb/",
    "**/a",
    "**a",
    "dir/**",
    "dir/**/a",
    "**/dir",
    "*",
    "*\n!dir/keep",
    "*\n!dir/keep/x.py",
    "dir\n!dir/keep/**\ndir/keep/y.py",
    "**/*.py\n!**/keep\n",
    "!a\na",
    "a\n!a",
    "*.md\n!README*.md\nREADME-secret.md",
    "*.md\nREADME-secret.md\n!README*.md",
    "x{1,2}",
    "x?",
    "[ab]",
    "[^ab]",
    "[a-b].txt\ndir/[^a]*",
    "*/a",
    "*/*/a",
    "a/../b",
    "\u{feff}a",
    "#a",
    " #a",
    "\\#a",
    "a^b",
    "\\[x",
    "  b  \n\n# a comment\n",
    ".*\n",
    "../a",
    "dir/../a",
];

/// The files that an image has which was built by Docker's own client from the context.
fn by_docker(context: &Path) -> BTreeSet<String> {
    let docker = |arguments: &[&str]| {
        let mut command = Command::new("docker");
        let ended = command.args(arguments).env("DOCKER_BUILDKIT", "0").output().unwrap();
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        ended.stdout
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    let image = text(docker(&["build", "--quiet", context.to_str().unwrap()]));
    let container = text(docker(&["create", &image, "nothing"]));
    let exported = docker(&["export", &container]);
    docker(&["rm", &container]);
    docker(&["rmi", "--force", &image]);
    let mut archive = tar::Archive::new(exported.as_slice());
    let entries = archive.entries().unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.header().entry_type().is_file());
    let names = files.map(|entry| entry.path().unwrap().to_string_lossy().into_owned());
    names
        .filter_map(|name| Some(name.strip_prefix("context/")?.to_owned()))
        .collect()
}

#[test]
fn what_dockers_client_sends_is_what_floe_sends() {
    let directory = tempfile::tempdir().unwrap();
    for file in FILES {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    // A directory of its own, so that nothing of the engine's is among the files.
    fs::write(directory.path().join("Dockerfile"), "FROM scratch\nCOPY . /context/\n").unwrap();
    for patterns in PATTERNS {
        fs::write(directory.path().join(".dockerignore"), patterns).unwrap();
        let entries = Context::new(directory.path()).entries().unwrap();
        let files = entries
            .iter()
            .filter(|entry| matches!(entry.kind, EntryKind::File { .. }));
        let own = files.map(|entry| entry.path.to_string_lossy().into_owned());
        // Docker sends these two to the engine in any case.
        let but = |name: &String| name != "Dockerfile" && name != ".dockerignore";
        let own = own.filter(but).collect::<BTreeSet<_>>();
        let docker = by_docker(directory.path()).into_iter().filter(but).collect();
        assert_eq!(own, docker, "{patterns:?}");
    }
}
