//! Clones of conda environments run from their own prefix, and are what an installer would have made there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use floe::envs::{EnvsError, env_clone};
use floe::fault::Explained as _;
use rattler_conda_types::PrefixRecord;
use sha2::{Digest as _, Sha256};

use super::installed::{SPECS, install, pip_install, run};
use crate::place::{Place, name};

fn clone(place: &Place, from: &str, to: &str) -> PathBuf {
    env_clone(place.work(&name(to)), &name(from)).unwrap();
    place.prefix(to)
}

/// The files of a tree, by their paths below it.
fn files(root: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| !entry.file_type().is_dir());
    files
        .map(|entry| (entry.path().strip_prefix(root).unwrap().to_owned(), entry.into_path()))
        .collect()
}

fn is_record(path: &Path) -> bool {
    path.starts_with("conda-meta") && path.extension().is_some_and(|extension| extension == "json")
}

#[test]
fn a_clone_of_a_conda_environment_runs_when_its_source_is_gone() {
    let place = Place::new();
    let source = install(&place, "source", SPECS);
    pip_install(&source, &["tabulate==0.9.0"]);
    run(
        &source.join("bin/python"),
        &[
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode",
            "unchecked-hash",
            "-j",
            "0",
            source.join("lib").to_str().unwrap(),
        ],
    );
    fs::write(
        source.join("conda-meta/history"),
        format!("# cmd: {}/bin/conda\n", source.display()),
    )
    .unwrap();
    std::os::unix::fs::symlink(source.join("bin/python3"), source.join("bin/absolute")).unwrap();
    let history = fs::read(source.join("conda-meta/history")).unwrap();
    let copy = clone(&place, "source", "a-longer-name");
    let old = source.as_os_str().as_bytes();
    for (path, file) in files(&copy) {
        if is_record(&path) || path.extension().is_some_and(|extension| extension == "pyc") {
            continue;
        }
        let metadata = fs::symlink_metadata(&file).unwrap();
        let content = if metadata.is_symlink() {
            fs::read_link(&file).unwrap().as_os_str().as_bytes().to_vec()
        } else {
            fs::read(&file).unwrap()
        };
        let names_source = content.windows(old.len()).any(|window| window == old);
        assert_eq!(names_source, path.ends_with("conda-meta/history"), "{}", path.display());
        let before = fs::symlink_metadata(source.join(&path)).unwrap();
        assert_eq!(
            (metadata.mtime(), metadata.mode()),
            (before.mtime(), before.mode()),
            "{}",
            path.display()
        );
    }
    assert_eq!(fs::read(copy.join("conda-meta/history")).unwrap(), history);

    fs::rename(&source, source.with_file_name("gone")).unwrap();
    let python = copy.join("bin/python");
    let said = run(
        &python,
        &["-c", "import sys, numpy, ssl; print(sys.prefix, numpy.arange(4).sum())"],
    );
    assert_eq!(said, format!("{} 6\n", copy.display()));
    assert!(
        run(
            &python,
            &["-c", "import sysconfig; print(sysconfig.get_config_var('prefix'))"]
        )
        .starts_with(copy.to_str().unwrap())
    );
    for program in ["fixtool", "fixtool-script"] {
        assert_eq!(
            run(&copy.join("bin").join(program), &[]),
            format!("fixtool 0.2 {}\n", copy.display())
        );
    }
    assert_eq!(run(&copy.join("bin/fixlib-version"), &[]), "1.0 h1_1\n");
    assert!(run(&copy.join("bin/tabulate"), &["--help"]).contains("Usage"));
    let manifest =
        fs::read_to_string(copy.join("lib/python3.11/site-packages/tabulate-0.9.0.dist-info/RECORD")).unwrap();
    let script = fs::read(copy.join("bin/tabulate")).unwrap();
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&script));
    assert!(
        manifest.contains(&format!("bin/tabulate,sha256={digest},{}", script.len())),
        "{manifest}"
    );
    // Later changes find what they need, and take all of it away.
    pip_install(&copy, &["six==1.16.0"]);
    assert_eq!(
        run(&copy.join("bin/pip"), &["check"]),
        "No broken requirements found.\n"
    );
    run(&copy.join("bin/pip"), &["uninstall", "--yes", "tabulate", "fixtool"]);
    assert!(!copy.join("bin/tabulate").exists() && !copy.join("bin/fixtool").exists());
}

#[test]
fn a_clone_is_what_the_installer_would_have_made_there() {
    let place = Place::new();
    install(&place, "x", SPECS);
    let copy = clone(&place, "x", "other-name");
    let there = files(&copy).into_iter().map(|(path, file)| {
        let content = if is_record(&path) {
            Vec::new()
        } else {
            fs::read(file).unwrap()
        };
        (path, content)
    });
    let there = there.collect::<BTreeMap<_, _>>();
    let records = PrefixRecord::collect_from_prefix::<PrefixRecord>(&copy).unwrap();
    fs::remove_dir_all(&copy).unwrap();
    let fresh = install(&place, "other-name", SPECS);
    for (path, file) in files(&fresh) {
        let content = there
            .get(&path)
            .unwrap_or_else(|| panic!("{} is missing", path.display()));
        if !is_record(&path) {
            assert!(*content == fs::read(&file).unwrap(), "{} differs", path.display());
        }
    }
    for record in PrefixRecord::collect_from_prefix::<PrefixRecord>(&fresh).unwrap() {
        let same = |other: &&PrefixRecord| other.file_name() == record.file_name();
        let cloned = records.iter().find(same).unwrap();
        for (one, other) in cloned.paths_data.paths.iter().zip(&record.paths_data.paths) {
            assert_eq!(one, other);
        }
    }
}

#[test]
fn the_records_of_a_clone_hold_the_digests_of_its_files() {
    let place = Place::new();
    install(&place, "x", SPECS);
    let copy = clone(&place, "x", "y");
    let mut checked = 0;
    for record in PrefixRecord::collect_from_prefix::<PrefixRecord>(&copy).unwrap() {
        for entry in record.paths_data.paths {
            let file = copy.join(&entry.relative_path);
            if let Some(digest) = entry.sha256_in_prefix
                && !file.is_symlink()
            {
                assert!(
                    Sha256::digest(fs::read(&file).unwrap())[..] == digest[..],
                    "{}",
                    file.display()
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 5, "{checked}");
}

#[test]
fn a_clone_that_a_binary_has_no_room_for_is_refused_with_the_files_name() {
    let mut place = Place::new();
    let source = install(&place, "x", &["fixlib=1.0"]);
    fs::write(source.join("bin/python"), "").unwrap();
    let first = clone(&place, "x", &"y".repeat(100));
    assert!(
        fs::read(first.join("share/fixlib/prefix.bin"))
            .unwrap()
            .ends_with(b"\0tail")
    );
    place.layout.conda_dir = first;
    let second = clone(&place, "base", &"z".repeat(90));
    assert!(second.as_os_str().len() > 200, "{}", second.display());
    place.layout.conda_dir = second;
    let error = env_clone(place.work(&name(&"w".repeat(100))), &name("base")).unwrap_err();
    let EnvsError::NoRoom { path, room: 255, .. } = &error else {
        panic!("{error}");
    };
    assert!(path.ends_with("share/fixlib/prefix.bin"), "{error}");
    assert!(!place.prefix(&"w".repeat(100)).exists());
    assert!(error.hint().unwrap().contains("shorter name"));
}
