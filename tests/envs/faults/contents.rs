//! Archives that are not what the channel or the frozen spec says.

use std::fs;

use rattler_conda_types::RepoDataRecord;
use world::channel::Channel;
use world::channel::server::Fault;

use super::site::{FAILED, Form, Site, frozen};

const PACKAGE: &str = "fixlib-1.1-h1_0.tar.bz2";
const PACKAGES: &[&str] = &["fixlib=1.1", "fixtool", "python"];

#[test]
fn a_damaged_archive_is_refused_named_and_fetched_again() {
    // The one format breaks while it is unpacked, the other while it is read.
    for (form, archive) in [
        (Form::Floating, PACKAGE),
        (Form::Frozen, PACKAGE),
        (Form::Floating, "fixtool-0.2-pyhd8ed1ab_0.conda"),
    ] {
        let site = Site::new(form, PACKAGES);
        site.server.fail(archive, Fault::Corrupt);
        site.create()
            .expect(FAILED)
            .says(&[&site.server.url(), archive, "hint"]);
        site.expect_none();
        site.server.heal();
        site.expect_repaired();
    }
}

#[test]
fn an_archive_that_is_not_the_one_that_was_frozen_is_refused() {
    let site = Site::new(Form::Frozen, &["fixlib=1.1"]);
    let right = frozen(&site.server.url(), &["fixlib=1.1"]);
    let mut wrong = right.clone();
    let package = &mut wrong.conda[0];
    let digest = "0123456789abcdef".repeat(4);
    let record: &mut RepoDataRecord = package.record.as_mut().unwrap();
    let mut value = serde_json::to_value(&*record).unwrap();
    value["sha256"] = digest.clone().into();
    value.as_object_mut().unwrap().remove("md5");
    *record = serde_json::from_value(value).unwrap();
    package.sha256 = Some(digest.clone());
    site.freeze(&wrong);
    site.create()
        .expect(FAILED)
        .says(&[&site.server.url(), PACKAGE, &digest, "hint"]);
    site.expect_none();
    site.freeze(&right);
    site.expect_repaired();
}

#[test]
fn an_archive_that_its_channel_replaced_is_refused_where_the_frozen_spec_has_no_lock() {
    let scratch = tempfile::tempdir().unwrap();
    let channel = Channel::shared().copy_to(&scratch.path().join("channel"));
    let site = Site::serving(channel.dir(), Form::Frozen, &["fixlib=1.1"]);
    fs::remove_file(site.path("x-frozen.lock")).unwrap();
    // The other build of the same version, under the name and the index entry of the frozen one.
    let directory = channel.dir().join("linux-64");
    fs::copy(directory.join("fixlib-1.0-h1_0.tar.bz2"), directory.join(PACKAGE)).unwrap();
    site.create()
        .expect(FAILED)
        .says(&[&site.server.url(), PACKAGE, "sha256"]);
    site.expect_none();
    let shared = Channel::shared().dir().join("linux-64").join(PACKAGE);
    fs::copy(shared, directory.join(PACKAGE)).unwrap();
    site.expect_repaired();
}

#[test]
fn a_channel_index_that_is_no_index_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let channel = Channel::shared().copy_to(&scratch.path().join("channel"));
    let directory = channel.dir().join("noarch");
    fs::write(directory.join("repodata.json"), "{\"packages\": [").unwrap();
    fs::remove_file(directory.join("repodata.json.zst")).unwrap();
    let site = Site::serving(channel.dir(), Form::Floating, &["fixlib=1.1"]);
    let ended = site.create().expect_failure().says(&[&site.server.url()]);
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    site.expect_none();
    let shared = Channel::shared().dir().join("noarch/repodata.json");
    fs::copy(shared, directory.join("repodata.json")).unwrap();
    site.expect_repaired();
}
