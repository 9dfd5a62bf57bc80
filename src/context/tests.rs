//! Which files a build can copy.

use super::*;

fn tree(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    dir
}

fn paths(context: &Context) -> Vec<String> {
    let entries = context.entries().unwrap();
    entries.iter().map(|e| e.path.display().to_string()).collect()
}

#[test]
fn dockerignore_patterns_are_relative_to_the_root_and_exceptions_come_back() {
    let dir = tree(&["a.log", "sub/a.log", "deep/x/keep.md", "deep/x/drop.md", "deep/y"]);
    fs::write(
        dir.path().join(".dockerignore"),
        "# comment\n*.log\ndeep\n!deep/x/keep.md\n",
    )
    .unwrap();
    let found = paths(&Context::new(dir.path()));
    assert_eq!(
        found,
        [".dockerignore", "deep", "deep/x", "deep/x/keep.md", "sub", "sub/a.log"]
    );
}

#[test]
fn the_overlay_adds_files_and_their_directories_but_replaces_none() {
    let dir = tree(&["common-scripts/env-clone"]);
    let agent = dir.path().join("common-scripts/env-clone");
    let context = Context::new(dir.path())
        .with("common-scripts/env-clone", Overlay::Symlink("floe".into()))
        .with("new/env-update", Overlay::Symlink("floe".into()))
        .with(
            "new/floe",
            Overlay::File {
                source: agent,
                mode: 0o755,
            },
        );
    let entries = context.entries().unwrap();
    let kinds = entries
        .iter()
        .map(|e| (e.path.to_str().unwrap(), matches!(e.kind, EntryKind::Symlink(_))))
        .collect::<Vec<_>>();
    assert_eq!(
        kinds,
        [
            ("common-scripts", false),
            ("common-scripts/env-clone", false),
            ("new", false),
            ("new/env-update", true),
            ("new/floe", false)
        ]
    );
}

#[test]
fn what_counts_of_a_file_is_its_content_and_its_mode_but_not_its_time() {
    let dir = tree(&["a"]);
    let file = dir.path().join("a");
    let context = Context::new(dir.path());
    let digests_now = || digests(&context.entries().unwrap()).unwrap();
    let modes_now = || modes(&context.entries().unwrap());
    let (first, first_modes) = (digests_now(), modes_now());
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    assert_eq!(digests_now(), first);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(digests_now(), first);
    assert_ne!(modes_now(), first_modes);
    fs::write(&file, "b").unwrap();
    assert_ne!(digests_now(), first);
}
