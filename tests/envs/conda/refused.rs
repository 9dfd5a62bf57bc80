//! What cannot be installed is refused with its place.

use std::fs;
use std::path::PathBuf;

use floe::envs::conda::{CondaError, Config, Question, solve};
use floe::event::Memory;
use floe::fault::{Explained as _, Kind};
use floe::spec::env::CondaSpec;
use rattler_conda_types::Subdir;
use world::channel::Channel;

use crate::place::{Place, conda_error, name, yml};

#[test]
fn a_package_that_no_channel_has_is_named_with_what_looks_like_it() {
    let place = Place::new();
    let error = conda_error(place.create("x", &yml(&["python", "fixlob", "ipykernle"])).unwrap_err());
    let text = error.to_string();
    let file = place.root.path().join("x.yml");
    for words in [
        format!("{}:3: no channel has a package `fixlob`", file.display()),
        format!("{}:4: no channel has a package `ipykernle`", file.display()),
        Channel::shared().file_url(),
    ] {
        assert!(text.contains(&words), "{text}");
    }
    assert_eq!(error.hint().as_deref(), Some("there is: fixlib"));
    assert!(!error.is_temporary() && error.kind() != Kind::Invalid);
    assert!(!place.layout.prefix(&name("x")).exists());
}

#[test]
fn versions_that_there_are_not_are_explained() {
    let place = Place::new();
    let error = conda_error(place.create("x", &yml(&["fixlib >=7"])).unwrap_err());
    let text = error.to_string();
    let file = place.root.path().join("x.yml");
    for words in [
        "No candidates were found for fixlib >=7",
        &format!("{}:2: fixlib >=7", file.display()),
    ] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_dependency_that_is_none_is_refused_with_its_line() {
    let place = Place::new();
    place.create("x", &yml(&["fixlib"])).unwrap();
    for (text, line) in [("fixlib >=>2\n", 1), ("\n# two\n[build=x]\n", 3), ("fix*\n", 1)] {
        let error = conda_error(place.update("x", "a.conda", text).unwrap_err());
        assert!(error.kind() == Kind::Invalid, "{error}");
        let CondaError::Spec { spec, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(spec.line, Some(line), "{text}");
    }
}

#[test]
fn a_channel_that_is_not_there_is_named() {
    let place = Place::with(&["file:///nonexistent/channel"]);
    let error = conda_error(place.create("x", &yml(&["fixlib"])).unwrap_err());
    assert!(matches!(error, CondaError::NoSuchChannel { .. }), "{error}");
    assert!(error.to_string().contains("file:///nonexistent/channel"), "{error}");
    let text = "channels: [\"no channel\"]\n";
    let error = conda_error(place.create("x", text).unwrap_err());
    assert!(error.kind() == Kind::Invalid, "{error}");
}

#[test]
fn a_solution_needs_no_environment() {
    let config = Config {
        channels: vec![Channel::shared().file_url()],
        ..Config::default()
    };
    let specs = ["app-old", "python"].map(|text| CondaSpec {
        text: text.to_owned(),
        file: PathBuf::from("x.yml"),
        line: None,
    });
    let machine = vec![];
    let sink = Memory::default();
    let question = Question {
        config: &config,
        platform: Subdir::Linux64,
        named: &[],
        specs: &specs[..1],
        machine,
        kept: Vec::new(),
    };
    let records = solve(question, &sink).unwrap();
    let names = records.iter().map(|record| record.package_record.name.as_normalized());
    assert_eq!(names.collect::<Vec<_>>(), ["app-old", "fixlib"]);
}

#[test]
fn a_full_disk_is_called_that() {
    let place = Place::new();
    let disk = place.root.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let Some(_mount) = Mount::small(&disk) else {
        return;
    };
    let mut place = place;
    place.tools.conda.cache = Some(disk);
    let error = conda_error(place.create("x", &yml(&["python"])).unwrap_err());
    assert!(matches!(error, CondaError::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains("no space left on device"), "{error}");
}

/// A file system of one megabyte, where the test may mount one.
struct Mount(PathBuf);

impl Mount {
    fn small(directory: &std::path::Path) -> Option<Self> {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(directory);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(directory.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).output();
    }
}
