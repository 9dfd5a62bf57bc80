//! Environments made from frozen specs.

use std::fs;
use std::path::{Path, PathBuf};

use floe::envs::EnvsError;
use floe::envs::conda::CondaError;
use floe::spec::frozen::{CondaPackage, Frozen, PipPackage, hex};
use world::channel::Channel;
use world::channel::server::Server;

use crate::place::{Place, conda_error, name, packages, python, records, tree, yml};

/// What is installed at `prefix`, frozen.
fn frozen(prefix: &Path, channel: &str) -> Frozen {
    let mut conda = records(prefix)
        .into_iter()
        .map(|record| {
            let package = record.repodata_record.package_record.clone();
            CondaPackage {
                name: package.name.as_normalized().to_owned(),
                version: package.version.to_string(),
                build: package.build.to_string(),
                sha256: package.sha256.as_ref().map(|sha256| hex(sha256)),
                record: Some(record.repodata_record),
            }
        })
        .collect::<Vec<_>>();
    conda.sort_by(|a, b| a.name.cmp(&b.name));
    Frozen {
        name: "x".to_owned(),
        channels: vec![channel.to_owned()],
        conda,
        ..Frozen::default()
    }
}

fn save(place: &Place, frozen: &Frozen, with_lock: bool) -> PathBuf {
    let yml = place.root.path().join("x-frozen.yml");
    frozen.save(&yml).unwrap();
    if !with_lock {
        fs::remove_file(Frozen::lock_path(&yml)).unwrap();
    }
    yml
}

#[test]
fn with_its_lock_it_is_the_same_again_and_no_index_is_read() {
    let server = Server::start(Channel::shared().dir());
    let place = Place::with(&[&server.url()]);
    let prefix = place.create("x", &yml(&["python", "fixtool=0.1", "fixlib<2"])).unwrap();
    let (before, installed) = (packages(&prefix), tree(&prefix));
    let yml = save(&place, &frozen(&prefix, &server.url()), true);
    let make = || {
        fs::remove_dir_all(&prefix).unwrap();
        server.forget_requests();
        place.create_from("x", Some(&yml)).unwrap();
        tree(&prefix)
    };
    let again = make();
    assert_eq!(packages(&prefix), before);
    let read = server
        .requests()
        .into_iter()
        .filter(|request| request.path.contains("repodata"));
    assert_eq!(read.count(), 0);
    let records = |path: &PathBuf| path.starts_with("conda-meta");
    let differing = installed
        .iter()
        .filter(|(path, content)| !records(path) && again.get(*path) != Some(content));
    assert_eq!(
        differing.map(|(path, _)| path).collect::<Vec<_>>(),
        [""; 0].map(Path::new)
    );
    assert_eq!(make(), again);
}

#[test]
fn without_its_lock_the_builds_are_looked_up() {
    let place = Place::new();
    let channel = Channel::shared().file_url();
    let prefix = place.create("x", &yml(&["fixlib=1.0=h1_0", "fixact"])).unwrap();
    let installed = frozen(&prefix, &channel);
    fs::remove_dir_all(&prefix).unwrap();
    let file = save(&place, &installed, false);
    place.create_from("x", Some(&file)).unwrap();
    assert_eq!(packages(&prefix), ["fixact 0.1 0", "fixlib 1.0 h1_0"]);
    let mut gone = installed;
    gone.conda[1].build = "h1_7".to_owned();
    gone.conda[1].sha256 = None;
    let yml = place.file("y-frozen.yml", &gone.to_yml());
    let error = conda_error(place.create_from("y", Some(&yml)).unwrap_err());
    assert!(matches!(error, CondaError::Gone { .. }), "{error}");
    assert!(error.to_string().contains("fixlib=1.0=h1_7"), "{error}");
}

#[test]
fn another_content_than_the_frozen_one_is_refused() {
    let place = Place::new();
    let channel = place.root.path().join("channel");
    let url = Channel::shared().copy_to(&channel).file_url();
    let text = format!("channels: [\"{url}\", nodefaults]\n{}", yml(&["fixlib=1.0"]));
    let prefix = place.create("x", &text).unwrap();
    let file = save(&place, &frozen(&prefix, &url), true);
    fs::remove_dir_all(&prefix).unwrap();
    let archive = "linux-64/fixlib-1.0-h1_1.tar.bz2";
    let other = channel.join("linux-64/fixlib-1.0-h1_0.tar.bz2");
    fs::copy(other, channel.join(archive)).unwrap();
    let error = conda_error(place.create_from("x", Some(&file)).unwrap_err());
    assert!(matches!(error, CondaError::WrongHash { .. }), "{error}");
    assert!(!prefix.exists());
    fs::remove_file(channel.join(archive)).unwrap();
    let error = conda_error(place.create_from("x", Some(&file)).unwrap_err());
    assert!(matches!(error, CondaError::NotThere { .. }), "{error}");
}

#[test]
fn an_existing_environment_becomes_what_the_frozen_spec_says() {
    let place = Place::new();
    let channel = Channel::shared().file_url();
    let prefix = place.create("x", &yml(&["fixlib=1.0"])).unwrap();
    let file = save(&place, &frozen(&prefix, &channel), true);
    place.update("x", "a.conda", "fixpost\n").unwrap();
    place.update_from("x", std::slice::from_ref(&file)).unwrap();
    assert_eq!(packages(&prefix), ["fixlib 1.0 h1_1"]);
    let list = place.file("a.conda", "fixpost\n");
    let error = place.update_from("x", &[file, list]).unwrap_err();
    assert!(matches!(error, EnvsError::FrozenAmongOthers { .. }), "{error}");
    assert_eq!(place.layout.installed().unwrap(), [name("x")]);
}

#[test]
fn pip_packages_are_installed_as_pinned_and_verified() {
    let place = Place::new();
    let channel = Channel::shared().file_url();
    let prefix = place.create("x", &yml(&["python"])).unwrap();
    let mut installed = frozen(&prefix, &channel);
    // Of version 2.0.0: its wheel, as PyPI has it.
    let sha256 = "b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374";
    installed.pip = vec![PipPackage {
        name: "iniconfig".to_owned(),
        version: "2.0.0".to_owned(),
        requirement: "iniconfig==2.0.0".to_owned(),
        url: None,
        sha256: Some(sha256.to_owned()),
        requires: Vec::new(),
    }];
    fs::remove_dir_all(&prefix).unwrap();
    let file = save(&place, &installed, true);
    place.create_from("x", Some(&file)).unwrap();
    let found = python(&prefix, "import importlib.metadata as m; print(m.version('iniconfig'))");
    assert_eq!(found, "2.0.0");
    fs::remove_dir_all(&prefix).unwrap();
    installed.pip[0].sha256 = Some("00".repeat(32));
    let file = save(&place, &installed, true);
    let error = place.create_from("x", Some(&file)).unwrap_err();
    assert!(matches!(error, EnvsError::Install { .. }), "{error}");
    assert!(!prefix.exists());
}
