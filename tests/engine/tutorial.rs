//! `docs/tutorial.md`: its blocks, typed one after the other from an empty directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use world::document::{blocks, script};
use world::{Ended, LocalRegistry};

use crate::workshop::{docker, turn};

/// The blocks that are for a person, by their first lines. Everything else is run.
const NOT_RUN: &[&str] = &[
    "$ floe shell --env sky",
    "$ docker run --detach --publish 127.0.0.1:5000:5000 registry:2",
    "localhost:5000/platform/sky@sha256:958cb01c…",
];

/// Removes the mission's images.
struct Images;

impl Drop for Images {
    fn drop(&mut self) {
        let images = docker(&["images", "--quiet", "--filter", "reference=floe/sky"]);
        for image in images.lines() {
            let _ = Command::new("docker").args(["rmi", "--force", image]).output();
        }
    }
}

#[test]
fn the_tutorial_leads_from_an_empty_directory_to_an_image_in_a_registry() {
    let _turn = turn();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial.md");
    let page = fs::read_to_string(page).unwrap();
    let left_out = blocks(&page).into_iter().filter(|block| block.kind != "sh");
    let left_out = left_out.map(|block| block.text.lines().next().unwrap().to_owned());
    assert_eq!(left_out.collect::<Vec<_>>(), NOT_RUN);

    let registry = LocalRegistry::start();
    let place = tempfile::tempdir().unwrap();
    let programs = place.path().join("bin");
    fs::create_dir(&programs).unwrap();
    symlink(world::program(), programs.join("floe")).unwrap();
    // The wheel brings it, beside the program.
    let uv = world::venv("uv", &["uv"]);
    symlink(uv.join("bin/uv"), programs.join("uv")).unwrap();
    let script = script(&page).replace("localhost:5000", &format!("localhost:{}", registry.port()));

    let _images = Images;
    let mut command = Command::new("bash");
    command
        .args(["--noprofile", "--norc", "-euo", "pipefail", "-c", &script])
        .current_dir(place.path());
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", programs.display()));
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "t");
        command.env(format!("GIT_{who}_EMAIL"), "t@example.org");
    }
    let ended = Ended::of(command.output().unwrap()).expect(0);
    let pushed = format!("localhost:{}/platform/sky@sha256:", registry.port());
    let last = ended.stdout.lines().last().unwrap();
    assert!(last.starts_with(&pushed), "{last}");
    ended.says(&["'30.9 billion'"]);
}
