//! The channel that other tests install from is itself sound.

mod installing;
mod serving;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use world::channel::{Channel, once};

#[test]
fn the_index_lists_every_archive_with_its_true_hash_and_size() {
    let channel = Channel::shared();
    let mut count = 0;
    for subdir in ["linux-64", "noarch"] {
        let directory = channel.dir().join(subdir);
        let text = fs::read(directory.join("repodata.json")).unwrap();
        let compressed = fs::read(directory.join("repodata.json.zst")).unwrap();
        assert_eq!(zstd::decode_all(compressed.as_slice()).unwrap(), text);
        let index: Value = serde_json::from_slice(&text).unwrap();
        let mut listed = BTreeSet::new();
        for section in ["packages", "packages.conda"] {
            for (name, record) in index[section].as_object().unwrap() {
                let bytes = fs::read(directory.join(name)).unwrap();
                let digest = format!("{:x}", Sha256::digest(&bytes));
                assert_eq!(record["sha256"], digest, "{name}");
                assert_eq!(record["size"], bytes.len(), "{name}");
                listed.insert(name.clone());
            }
        }
        let lying = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let lying = lying
            .filter(|name| !name.starts_with("repodata."))
            .collect::<BTreeSet<_>>();
        assert_eq!(listed, lying);
        count += listed.len();
    }
    assert!(count >= 100, "there are {count} archives");
}

#[test]
fn each_generation_has_the_same_bytes() {
    let shared = Channel::shared();
    let scratch = tempfile::tempdir().unwrap();
    let again = Channel::generate(scratch.path(), shared.dir().parent().unwrap());
    assert_eq!(digests(shared.dir()), digests(again.dir()));
}

#[test]
fn a_damaged_copy_leaves_the_shared_channel_whole() {
    let shared = Channel::shared();
    let scratch = tempfile::tempdir().unwrap();
    let copy = shared.copy_to(&scratch.path().join("copy"));
    assert_eq!(digests(shared.dir()), digests(copy.dir()));
    fs::write(copy.dir().join("noarch/repodata.json"), "{").unwrap();
    assert_ne!(digests(shared.dir()), digests(copy.dir()));
}

#[test]
fn what_is_made_once_is_there_complete_or_not_at_all() {
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("target");
    let cut = std::panic::catch_unwind(|| {
        once(&target, |part| {
            fs::write(part.join("half"), "").unwrap();
            panic!("cut short");
        });
    });
    assert!(cut.is_err() && !target.exists());
    let made = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                once(&target, |part| {
                    made.fetch_add(1, Ordering::SeqCst);
                    fs::write(part.join("whole"), "").unwrap();
                });
                assert!(target.join("whole").exists());
            });
        }
    });
    assert_eq!((made.into_inner(), target.join("half").exists()), (1, false));
}

/// The SHA-256 of every file below a directory.
fn digests(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    let named = files.map(|entry| {
        let path = entry.path().strip_prefix(root).unwrap().display().to_string();
        (path, Sha256::digest(fs::read(entry.path()).unwrap()).to_vec())
    });
    named.collect()
}
