//! Channels over HTTP: mirrors, credentials, and servers that fail.

use std::fs;

use floe::envs::conda::CondaError;
use floe::fault::Explained as _;
use world::channel::Channel;
use world::channel::server::{Fault, Server};

use crate::place::{Place, conda_error, holding, name, packages, records, yml};

/// A place that reaches the test channel as `test` by the mirror.
fn mirrored(mirror: &str) -> Place {
    let mut place = Place::with(&["test"]);
    place.tools.conda.alias = Some(mirror.parse().unwrap());
    place
}

fn mirror() -> Server {
    let server = Server::start(&std::env::temp_dir().join("nothing-is-here"));
    server.mount("test", Channel::shared().dir());
    server
}

#[test]
fn what_comes_by_a_mirror_names_the_channel_itself() {
    let server = mirror();
    server.require_credentials("me:pass word");
    let place = mirrored(&server.url_with("me:pass%20word"));
    let prefix = place.create("x", &yml(&["fixlib=2.0", "test::fixpost"])).unwrap();
    for record in records(&prefix) {
        let url = record.repodata_record.url.to_string();
        assert!(url.starts_with("https://conda.anaconda.org/test/"), "{url}");
    }
    let port = format!(":{}", server.port());
    let secrets = ["pass word", "pass%20word", &port];
    assert!(
        holding(&prefix, &secrets).is_empty(),
        "{:?}",
        holding(&prefix, &secrets)
    );
    let said = place.said();
    assert!(secrets.iter().all(|secret| !said.contains(secret)), "{said}");
    let requests = server.requests();
    assert!(
        requests
            .iter()
            .any(|request| request.path.ends_with("fixlib-2.0-h1_0.tar.bz2"))
    );
}

#[test]
fn a_mirror_can_be_a_directory() {
    let place = Place::new();
    let directory = place.root.path().join("mirror");
    fs::create_dir(&directory).unwrap();
    Channel::shared().copy_to(&directory.join("test"));
    let place = mirrored(&format!("file://{}", directory.display()));
    let prefix = place.create("x", &yml(&["fixlib=2.0"])).unwrap();
    let url = records(&prefix)[0].repodata_record.url.to_string();
    assert_eq!(url, "https://conda.anaconda.org/test/linux-64/fixlib-2.0-h1_0.tar.bz2");
}

#[test]
fn a_token_is_used_and_never_kept() {
    let server = Server::start(Channel::shared().dir());
    server.require_token("tk-123456");
    let place = Place::with(&[&format!("{}/t/tk-123456/", server.url())]);
    let prefix = place.create("x", &yml(&["fixlib=2.0"])).unwrap();
    let url = records(&prefix)[0].repodata_record.url.to_string();
    assert_eq!(url, format!("{}/linux-64/fixlib-2.0-h1_0.tar.bz2", server.url()));
    assert!(holding(&prefix, &["tk-123456"]).is_empty());
}

#[test]
fn a_channel_that_asks_for_other_credentials_is_named_without_them() {
    let server = mirror();
    server.require_credentials("me:right");
    let place = mirrored(&server.url_with("me:wrong-password"));
    let error = conda_error(place.create("x", &yml(&["fixlib"])).unwrap_err());
    assert!(matches!(error, CondaError::Refused { status: 401, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("https://conda.anaconda.org/test/"), "{text}");
    assert!(!text.contains("wrong-password"), "{text}");
    assert!(error.hint().unwrap().contains("CONDA_MIRROR"));
}

#[test]
fn a_channel_that_the_mirror_lacks_is_named_with_the_mirror() {
    let server = mirror();
    let mut place = mirrored(&server.url());
    place.tools.conda.channels = vec!["nosuch".to_owned()];
    let error = conda_error(place.create("x", &yml(&["fixlib"])).unwrap_err());
    assert!(matches!(error, CondaError::NoSuchChannel { .. }), "{error}");
    let text = error.to_string();
    for words in [
        "https://conda.anaconda.org/nosuch/",
        &format!("{}/nosuch/", server.url()),
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert!(error.hint().unwrap().contains("CONDA_MIRROR"));
}

#[test]
fn a_server_that_is_busy_for_a_moment_is_asked_again() {
    let server = mirror();
    server.fail_first(2, "linux-64/repodata.json", Fault::Status(503));
    server.fail_first(1, "noarch/repodata.json", Fault::Reset);
    server.fail_first(1, "linux-64/repodata.json.zst", Fault::Truncate(200));
    server.fail_first(1, "fixlib", Fault::Status(429));
    let place = mirrored(&server.url());
    let prefix = place.create("x", &yml(&["fixlib=2.0"])).unwrap();
    assert_eq!(packages(&prefix), ["fixlib 2.0 h1_0"]);
}

#[test]
fn a_server_that_fails_for_long_may_be_tried_again_later() {
    for fault in [Fault::Status(503), Fault::Reset, Fault::Truncate(100)] {
        for part in ["linux-64/repodata.json", "fixlib-2.0"] {
            let server = mirror();
            server.fail(part, fault);
            let place = mirrored(&server.url());
            let error = conda_error(place.create("x", &yml(&["fixlib=2.0"])).unwrap_err());
            assert!(error.is_temporary(), "{fault:?} of {part}: {error}");
            let text = error.to_string();
            assert!(!text.contains(&server.url()), "{text}");
            assert!(!place.layout.prefix(&name("x")).exists());
        }
    }
    let place = mirrored("http://127.0.0.1:9");
    let error = conda_error(place.create("x", &yml(&["fixlib=2.0"])).unwrap_err());
    assert!(error.is_temporary(), "{error}");
}

#[test]
fn a_package_of_another_content_is_refused_and_dropped() {
    let server = mirror();
    server.fail("fixtool-0.2", Fault::Corrupt);
    let mut place = mirrored(&server.url());
    place.tools.conda.cache = Some(place.root.path().join("cache"));
    let text = yml(&["python", "fixtool"]);
    let error = conda_error(place.create("x", &text).unwrap_err());
    assert!(!error.is_temporary(), "{error}");
    assert!(error.to_string().contains("fixtool-0.2"), "{error}");
    server.heal();
    let prefix = place.create("x", &text).unwrap();
    assert!(prefix.join("bin/fixtool").exists());
}

#[test]
fn a_package_with_the_wrong_hash_in_the_index_is_refused() {
    let place = Place::new();
    let directory = place.root.path().join("channel");
    Channel::shared().copy_to(&directory);
    let repodata = directory.join("linux-64/repodata.json");
    let mut index: serde_json::Value = serde_json::from_slice(&fs::read(&repodata).unwrap()).unwrap();
    index["packages"]["fixlib-2.0-h1_0.tar.bz2"]["sha256"] = "00".repeat(32).into();
    fs::write(&repodata, index.to_string()).unwrap();
    let _ = fs::remove_file(directory.join("linux-64/repodata.json.zst"));
    let server = Server::start(&directory);
    for url in [server.url(), format!("file://{}", directory.display())] {
        let place = Place::with(&[&url]);
        let error = conda_error(place.create("x", &yml(&["fixlib=2.0"])).unwrap_err());
        assert!(matches!(error, CondaError::WrongHash { .. }), "{error}");
        assert!(!error.is_temporary());
    }
}
