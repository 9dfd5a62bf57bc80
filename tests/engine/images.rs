//! `floe test --image`: images that floe did not build, on the real engine.

use std::fs;
use std::path::Path;
use std::process::Command;

use world::Ended;

use crate::workshop::{Workshop, turn};

/// An image with a Jupyter of its own and nothing of floe's: the base of the images that floe builds here.
fn jupyter() -> String {
    let repository = Workshop::new();
    repository.write("missions/tiny/environments/small/small.pip", "# nothing of its own\n");
    repository.floe(&["build", "tiny"]).expect(0);
    let known = repository.floe(&["build", "tiny"]).expect(0).stderr;
    let mut words = known.split_whitespace();
    words.find(|word| word.starts_with("floe/base:")).unwrap().to_owned()
}

/// A notebook of one cell.
fn notebook(path: &Path, source: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, world::notebook(&[source])).unwrap();
}

/// A call of floe in a directory that is no repository.
fn floe(directory: &Path, arguments: &[&str]) -> Ended {
    let mut command = world::floe_with_engine();
    Ended::of(command.args(arguments).current_dir(directory).output().unwrap())
}

#[test]
fn an_image_of_somebody_elses_is_tested_with_modules_notebooks_and_its_server() {
    let image = jupyter();
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let notebooks = directory.path().join("my notebooks");
    notebook(
        &notebooks.join("sub/reads.ipynb"),
        "assert open('data.txt').read() == 'here'",
    );
    fs::write(notebooks.join("sub/data.txt"), "here").unwrap();
    notebook(&notebooks.join("!fails #1.ipynb"), "x = 1\n1 / 0");
    notebook(&notebooks.join(".ipynb_checkpoints/sub-checkpoint.ipynb"), "1 / 0");
    // None of these is asked for.
    fs::write(notebooks.join("imports"), "nosuchmodule\n").unwrap();
    let tested = floe(
        directory.path(),
        &[
            "test",
            "--image",
            &image,
            "--imports",
            "json,numpy_that_is_not_there",
            "--notebooks",
            "my notebooks",
            "--server",
        ],
    );
    let tested = tested.expect(100);
    for passed in [
        "base::imports::json",
        "base::notebooks::sub/reads.ipynb",
        "image::server::api",
        "image::server::lab",
        "image::server::terminal",
        "base::server::kernel",
    ] {
        let line = tested.stderr.lines().find(|line| line.ends_with(passed));
        assert!(
            line.is_some_and(|line| line.contains("PASS")),
            "{passed}:\n{}",
            tested.stderr
        );
    }
    let tested = tested.says(&[
        "base::imports::numpy_that_is_not_there",
        "base::notebooks::!fails #1.ipynb",
        "ZeroDivisionError",
        "8 tests run: 6 passed, 2 failed",
    ]);
    assert!(!tested.stderr.contains("checkpoint") && !tested.stderr.contains("nosuchmodule"));
    let runs = fs::read_dir(directory.path().join(".floe/runs")).unwrap();
    let run = runs.flatten().next().unwrap().path();
    assert!(run.join("report.html").is_file() && run.join("notebooks/base/sub/reads.ipynb").is_file());
}

#[test]
fn an_image_that_is_not_there_or_of_another_kind_is_told_before_anything_runs() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let tested = floe(
        directory.path(),
        &["test", "--image", "floe/no-such-image:1", "--imports", "json"],
    );
    assert!([75, 101].contains(&tested.code), "{tested:?}");
    tested.says(&["floe/no-such-image:1"]);

    let other = format!("floe/test-other-{}", uuid::Uuid::new_v4().simple());
    let archive = directory.path().join("image.tar");
    save_for_another_architecture(&archive, &other);
    let loaded = Command::new("docker")
        .arg("load")
        .arg("--input")
        .arg(&archive)
        .output()
        .unwrap();
    assert!(loaded.status.success(), "{loaded:?}");
    let tested = floe(
        directory.path(),
        &["test", "--image", &format!("{other}:1"), "--imports", "json"],
    );
    let removed = Command::new("docker")
        .args(["rmi", &format!("{other}:1")])
        .output()
        .unwrap();
    assert!(removed.status.success());
    tested.expect(3).says(&["is an image for linux/s390x", "hint"]);
    assert!(!directory.path().join(".floe/runs").exists());
}

/// Writes what `docker save` would of an image without files for another kind of machine.
fn save_for_another_architecture(archive: &Path, name: &str) {
    let layer = tar::Builder::new(Vec::new()).into_inner().unwrap();
    let digest = floe::reference::Digest::of(&layer);
    let config = serde_json::json!({
        "architecture": "s390x", "os": "linux", "config": {"Cmd": ["true"]},
        "rootfs": {"type": "layers", "diff_ids": [digest.as_str()]},
    });
    let manifest = serde_json::json!([{
        "Config": "config.json", "RepoTags": [format!("{name}:1")], "Layers": ["layer.tar"],
    }]);
    let mut builder = tar::Builder::new(fs::File::create(archive).unwrap());
    for (path, bytes) in [
        ("layer.tar", layer),
        ("config.json", config.to_string().into_bytes()),
        ("manifest.json", manifest.to_string().into_bytes()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, &bytes[..]).unwrap();
    }
    builder.finish().unwrap();
}

#[test]
fn a_call_that_names_no_test_of_an_image_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    floe(directory.path(), &["test", "--image", "x"])
        .expect(4)
        .says(&["no test is named", "--imports"]);
    fs::create_dir(directory.path().join("empty")).unwrap();
    floe(directory.path(), &["test", "--image", "x", "--notebooks", "empty"])
        .expect(4)
        .says(&["holds no notebook"]);
    floe(directory.path(), &["test", "--imports", "json"])
        .expect(2)
        .says(&["--image"]);
}
