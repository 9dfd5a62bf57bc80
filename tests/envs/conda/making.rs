//! New environments.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use floe::envs::{EnvsError, kernel_setup};
use floe::reference::EnvironmentName;
use world::channel::Channel;
use world::channel::server::Server;

use crate::place::{Place, channel_without, holding, name, output, packages, python, records, tree, version, yml};

#[test]
fn an_environment_runs_and_is_what_conda_reads() {
    let place = Place::with(&[]);
    let text = format!(
        "channels: [{}]\n{}- pip: [iniconfig]\nvariables: {{A: 1}}\n",
        Channel::shared().file_url(),
        yml(&["python=3.11.*", "ipykernel", "fixtool>=0.1,<0.2"])
    );
    let mut place = place;
    place.tools.conda.channels = vec!["nodefaults".to_owned(), Channel::shared().file_url()];
    let prefix = place.create("x", &text).unwrap();
    let said = python(&prefix, "import sys, ipykernel, iniconfig, ssl; print(sys.prefix)");
    assert_eq!(said, prefix.to_str().unwrap());
    assert_eq!(
        output(&mut Command::new(prefix.join("bin/fixtool"))),
        format!("fixtool 0.1 {}", prefix.display())
    );
    let kernels = kernel_setup(&place.layout, &[] as &[EnvironmentName], &place.sink);
    assert!(kernels.is_ok());
    assert!(prefix.join("lib/python3.11/site-packages/fixtool/__pycache__").is_dir());
    for record in records(&prefix) {
        let path = prefix.join("conda-meta").join(record.file_name());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o644,
            "{path:?}"
        );
        let asked = record.repodata_record.package_record.name.as_normalized() == "fixtool";
        assert_eq!(record.requested_specs == ["fixtool >=0.1,<0.2"], asked, "{path:?}");
        assert_eq!((record.extracted_package_dir, record.link), (None, None));
    }
    let history = fs::read_to_string(prefix.join("conda-meta/history")).unwrap();
    for line in [
        "==> 1980-01-01 00:00:00 <==",
        "# update specs: ['python=3.11.*', 'ipykernel', 'fixtool>=0.1,<0.2']",
    ] {
        assert!(history.lines().any(|found| found == line), "{history}");
    }
    assert!(history.contains("/noarch::fixtool-0.1-pyhd8ed1ab_0\n"), "{history}");
    let state = fs::read_to_string(prefix.join("conda-meta/state")).unwrap();
    assert!(state.contains(r#""A":"1""#), "{state}");
    assert!(!place.layout.conda_dir.join("pkgs").exists() && !prefix.join("pkgs").exists());
    assert_eq!(
        holding(&prefix, &["floe-conda-"]),
        [""; 0].map(std::path::PathBuf::from),
        "traces of the cache"
    );
    let said = place.said();
    for words in ["solving for 3 packages", "fetching ", " packages, ", "linking "] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn without_a_file_it_holds_python_alone() {
    let place = Place::new();
    let prefix = place.create_from("x", None).unwrap();
    assert_eq!(version(&prefix, "python").as_deref(), Some("3.11.2"));
    assert_eq!(version(&prefix, "ipykernel"), None);
    assert!(matches!(place.create_from("x", None), Err(EnvsError::Exists { .. })));
}

#[test]
fn an_environment_needs_no_python() {
    let place = Place::new();
    place.create("x", &yml(&["fixlib"])).unwrap();
    assert_eq!(place.layout.installed().unwrap(), [name("x")]);
    let error = place.update("x", "a.pip", "iniconfig\n").unwrap_err();
    assert!(matches!(error, EnvsError::NoPython { .. }), "{error}");
    assert_eq!(place.layout.installed().unwrap(), [name("x")], "nothing was touched");
}

#[test]
fn a_base_of_conda_packages_makes_environments_of_its_own_channels() {
    let first = Place::new();
    let base = first.create_from("x", None).unwrap();
    let mut place = Place::with(&[]);
    place.layout.conda_dir = base;
    let prefix = place.create(
        "y",
        &format!(
            "channels: [\"{}\"]\ndependencies: [fixlib]\n",
            Channel::shared().file_url()
        ),
    );
    assert_eq!(packages(&prefix.unwrap()), ["fixlib 2.0 h1_0"]);
    place.update("base", "a.conda", "fixpost\n").unwrap();
    let base = place.layout.conda_dir.clone();
    assert_eq!(version(&base, "fixpost").as_deref(), Some("1.0"));
    assert_eq!(
        fs::read_to_string(base.join("share/fixpost/linked")).unwrap(),
        "linked\n"
    );
}

#[test]
fn the_same_packages_are_the_same_bytes() {
    let place = Place::new();
    let text = yml(&["python", "fixtool", "fixlib=1.0", "fixact", "idna"]);
    let make = || {
        let prefix = place.create("x", &text).unwrap();
        let found = tree(&prefix);
        fs::remove_dir_all(prefix).unwrap();
        found
    };
    let (one, other) = (make(), make());
    let differing = one.iter().filter(|(path, content)| other.get(*path) != Some(content));
    let differing = differing.map(|(path, _)| path).collect::<Vec<_>>();
    assert!(differing.is_empty() && one.len() == other.len(), "{differing:?}");
}

#[test]
fn every_way_to_ask_for_a_package_is_understood() {
    let place = Place::new();
    let channel = Channel::shared().file_url();
    for (index, (spec, expected)) in [
        ("fixlib=1.0=h1_0".to_owned(), "fixlib 1.0 h1_0"),
        ("fixlib[build=h1_1]".to_owned(), "fixlib 1.0 h1_1"),
        ("fixlib~=1.0".to_owned(), "fixlib 1.1 h1_0"),
        ("fixlib >= 1.0, < 1.1".to_owned(), "fixlib 1.0 h1_1"),
        ("fixlib=1".to_owned(), "fixlib 1.1 h1_0"),
        (format!("{channel}::fixlib"), "fixlib 2.0 h1_0"),
        (format!("{channel}/linux-64::fixlib ==1.0"), "fixlib 1.0 h1_1"),
    ]
    .into_iter()
    .enumerate()
    {
        let prefix = place.create(&format!("x{index}"), &yml(&[&spec])).unwrap();
        assert_eq!(packages(&prefix), [expected], "{spec}");
    }
}

#[test]
fn a_channel_that_only_a_spec_names_is_searched() {
    let place = Place::with(&[]);
    let prefix = place.create("x", &yml(&[&format!("{}::app-old", Channel::shared().file_url())]));
    let mut place = place;
    assert!(prefix.is_err(), "without channels an environment is a venv");
    let empty = place.root.path().join("empty");
    channel_without(&empty, |_| true);
    place.tools.conda.channels = vec![format!("file://{}", empty.display())];
    let prefix = place
        .create("x", &yml(&[&format!("{}::app-old", Channel::shared().file_url())]))
        .unwrap();
    assert_eq!(packages(&prefix), ["app-old 1.0 0", "fixlib 1.1 h1_0"]);
}

#[test]
fn a_channel_without_noarch_is_read() {
    let place = Place::new();
    let directory = place.root.path().join("single");
    Channel::shared().copy_to(&directory);
    fs::remove_dir_all(directory.join("noarch")).unwrap();
    let server = Server::start(&directory);
    for (environment, url) in [("x", format!("file://{}", directory.display())), ("y", server.url())] {
        let text = format!("channels: [\"{url}\", nodefaults]\ndependencies: [fixlib=1.0]\n");
        let prefix = place.create(environment, &text).unwrap();
        assert_eq!(packages(&prefix), ["fixlib 1.0 h1_1"], "{url}");
    }
}

#[test]
fn an_earlier_channel_wins_and_a_later_one_helps_out() {
    let place = Place::new();
    let old = place.root.path().join("old");
    let old = channel_without(&old, |file| !file.starts_with("fixlib-1.0"));
    let text = |spec| format!("channels: [\"{}\"]\ndependencies: [{spec}]\n", old.file_url());
    let prefix = place.create("x", &text("fixlib")).unwrap();
    assert_eq!(packages(&prefix), ["fixlib 1.0 h1_1"]);
    assert_eq!(place.warnings(), [""; 0]);
    let prefix = place.create("y", &text("app-new")).unwrap();
    assert_eq!(packages(&prefix), ["app-new 1.0 0", "fixlib 2.0 h1_0"]);
    assert!(
        place.warnings()[0].contains("channel priority"),
        "{:?}",
        place.warnings()
    );
}

#[test]
fn what_is_kept_is_not_fetched_again_and_shares_nothing() {
    let mut place = Place::new();
    let server = Server::start(Channel::shared().dir());
    let cache = place.root.path().join("cache");
    place.tools.conda.cache = Some(cache.clone());
    place.tools.conda.channels = vec![server.url()];
    let first = place.create("x", &yml(&["fixlib=2.0"])).unwrap();
    server.forget_requests();
    let second = place.create("y", &yml(&["fixlib=2.0"])).unwrap();
    let fetched = server
        .requests()
        .into_iter()
        .filter(|request| request.path.contains("fixlib"));
    assert_eq!(fetched.count(), 0);
    let file = "share/fixlib/version";
    fs::write(first.join(file), "changed").unwrap();
    assert_ne!(fs::read(second.join(file)).unwrap(), b"changed");
    let third = place.create("z", &yml(&["fixlib=2.0"])).unwrap();
    assert_ne!(fs::read(third.join(file)).unwrap(), b"changed");
    assert_eq!(
        holding(&third, &[cache.to_str().unwrap()]),
        [""; 0].map(std::path::PathBuf::from)
    );
}
