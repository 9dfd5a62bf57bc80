//! A mirror with credentials: it serves, and nothing of it stays anywhere.

use std::fs;
use std::path::Path;

use world::channel::Channel;
use world::channel::server::Fault;

use super::site::{DONE, FAILED, Form, Site, TEMPORARY};

const USER: &str = "reader-7f3a";
const PASSWORD: &str = "pass-9c41@word";
const TOKEN: &str = "tk-5be2d0";

/// A site whose packages come from the channel `conda-forge` by a mirror that wants a user, a password and a token.
fn site() -> Site {
    let site = Site::serving(&std::env::temp_dir().join("nothing-is-here"), Form::Floating, &[]);
    site.server.mount("conda-forge", Channel::shared().dir());
    site.server.require_credentials(&format!("{USER}:{PASSWORD}"));
    site.server.require_token(TOKEN);
    let user = format!("{USER}:{}", PASSWORD.replace('@', "%40"));
    let alias = format!("{}/t/{TOKEN}", site.server.url_with(&user));
    site.write("condarc", &format!("channels: [conda-forge]\nchannel_alias: {alias}\n"));
    site.write("x.yml", "dependencies: [fixlib=1.1, fixpost, fixtool, python]\n");
    site
}

/// Everything that nobody may learn from an image or a log.
fn secrets(site: &Site) -> Vec<String> {
    let port = format!(":{}", site.server.port());
    let encoded = PASSWORD.replace('@', "%40");
    [USER, PASSWORD, &encoded, TOKEN, &port].map(str::to_owned).to_vec()
}

#[track_caller]
fn expect_clean(what: &str, content: &[u8], secrets: &[String]) {
    for secret in secrets {
        let found = content.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found, "{secret} is in {what}:\n{}", String::from_utf8_lossy(content));
    }
}

#[track_caller]
fn expect_clean_tree(root: &Path, secrets: &[String]) {
    let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let mut count = 0;
    for entry in entries.filter(|entry| entry.file_type().is_file()) {
        count += 1;
        let path = entry.path();
        expect_clean(&path.display().to_string(), &fs::read(path).unwrap(), secrets);
    }
    assert!(count > 0, "{} is empty", root.display());
}

#[test]
fn packages_come_by_it_and_neither_its_address_nor_a_secret_stays() {
    let site = site();
    let secrets = secrets(&site);
    let mut said = site.create().expect(DONE).said;
    site.write("more.conda", "fixact\n");
    said += &site.floe(&["env-update", "x", "more.conda"]).expect(DONE).said;
    let exported = site.path("exported");
    fs::create_dir(&exported).unwrap();
    let export = ["env-export", "x", "--to", "exported", "--offline"];
    said += &site.floe(&export).expect(DONE).said;
    said += &site.floe(&["env-clone", "x", "y"]).expect(DONE).said;
    let restore = ["env-create", "z", "exported/x-frozen.yml"];
    said += &site.floe(&restore).expect(DONE).said;
    expect_clean("what floe said", said.as_bytes(), &secrets);
    expect_clean_tree(&site.conda_dir(), &secrets);
    expect_clean_tree(&exported, &secrets);
    let lock = fs::read_to_string(exported.join("x-frozen.lock")).unwrap();
    assert!(lock.contains("https://conda.anaconda.org/conda-forge/"), "{lock}");
    assert!(site.server.requests().len() > 4);
}

#[test]
fn a_failure_tells_the_channel_and_no_secret() {
    for (part, fault, code) in [
        ("fixlib-1.1", Fault::Status(503), TEMPORARY),
        ("fixlib-1.1", Fault::Status(404), FAILED),
        ("fixlib-1.1", Fault::Corrupt, FAILED),
        ("fixlib-1.1", Fault::Truncate(500), TEMPORARY),
        ("linux-64/repodata.json", Fault::Reset, TEMPORARY),
    ] {
        let site = site();
        site.write("x.yml", "dependencies: [fixlib=1.1]\n");
        site.server.fail(part, fault);
        let ended = site.create().expect(code).says(&["conda-forge"]);
        expect_clean("what floe said", ended.said.as_bytes(), &secrets(&site));
        site.server.heal();
        site.expect_repaired();
    }
}

#[test]
fn a_frozen_spec_is_the_same_whether_a_mirror_was_used_or_not() {
    let site = site();
    site.create().expect(DONE);
    let by_mirror = site.floe(&["env-export", "x"]).expect(DONE).said;
    // The same channel by another mirror, which wants nothing.
    let other = world::channel::server::Server::start(Path::new("/nonexistent"));
    other.mount("conda-forge", Channel::shared().dir());
    let condarc = format!("channels: [conda-forge]\nchannel_alias: {}\n", other.url());
    site.write("condarc", &condarc);
    fs::remove_dir_all(site.prefix()).unwrap();
    site.create().expect(DONE);
    assert_eq!(site.floe(&["env-export", "x"]).expect(DONE).said, by_mirror);
}
