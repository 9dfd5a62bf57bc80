//! Lists that name other indexes than the site's, as every list of `torch+cpu` does.

use std::fs;
use std::path::Path;
use std::process::Command;

use floe::envs::{EnvsError, Installer, env_export};
use floe::fault::Explained as _;
use floe::spec::frozen::{Frozen, PipPackage};
use world::PackageIndex;

use crate::place::{Place, name, python};

const CREDENTIALS: &str = "reader:p%40ss";

/// An index that wants credentials, with a version of a package that nobody else has, and one of a package of PyPI.
fn index() -> PackageIndex {
    let packages = [
        ("floe-only-here", "1.0"),
        ("floe-only-here", "2.0+cpu"),
        ("iniconfig", "2.0.0+cpu"),
    ];
    let index = PackageIndex::of(&packages, false);
    index.server.require_credentials("reader:p@ss");
    index
}

fn frozen(place: &Place, installer: &Installer) -> Frozen {
    env_export(&place.layout, &name("x"), Some(installer), &place.sink).unwrap()
}

#[track_caller]
fn expect_from(index: &PackageIndex, package: &PipPackage, wheel: &str) {
    let digest = index.digest(wheel);
    let file = wheel.replace('+', "%2B");
    let url = format!("{}/files/{file}", index.server.url());
    assert_eq!(package.requirement, format!("{} @ {url}#sha256={digest}", package.name));
    assert_eq!(package.sha256.as_deref(), Some(digest.as_str()));
}

/// The texts of the frozen spec and its lock.
fn texts(frozen: &Frozen) -> String {
    frozen.to_yml() + &frozen.to_lock().unwrap()
}

/// Makes the environment again by the program of an image, which finds the credentials in a file.
fn made_again(place: &Place, yml: &Path, netrc: &str) -> std::process::Output {
    let file = place.file("netrc", netrc);
    let mut command = Command::new(world::program());
    command.args(["applet", "env-create", "y"]).arg(yml);
    command.env("CONDA_DIR", &place.layout.conda_dir).env("NETRC", file);
    command.output().unwrap()
}

#[test]
fn what_another_index_gave_is_frozen_by_its_address_and_made_again_from_there_alone() {
    let place = Place::venv("indexes");
    let index = index();
    place.create_from("x", None).unwrap();
    let address = index.server.url_with(CREDENTIALS);
    let text = format!("--extra-index-url {address}/simple/\nfloe-only-here\niniconfig\nsix==1.16.0\n");
    let list = place.file("environments/x/x.pip", &text);
    place.update_from("x", &[list]).unwrap();
    let frozen = frozen(&place, &place.tools.pip);
    let [here, iniconfig, .., six] = frozen.pip.as_slice() else {
        panic!("{:?}", frozen.pip);
    };
    expect_from(&index, here, "floe_only_here-2.0+cpu-py3-none-any.whl");
    expect_from(&index, iniconfig, "iniconfig-2.0.0+cpu-py3-none-any.whl");
    assert_eq!((six.requirement.as_str(), &six.url), ("six==1.16.0", &None));
    let texts = texts(&frozen);
    assert!(
        !texts.contains("reader") && !texts.contains("p%40ss") && !texts.contains("p@ss"),
        "{texts}"
    );

    let yml = place.file("frozen/x-frozen.yml", "");
    frozen.save(&yml).unwrap();
    assert_eq!(Frozen::load(&yml).unwrap(), frozen);
    let netrc = "machine 127.0.0.1\nlogin reader\npassword p@ss\n";
    let made = made_again(&place, &yml, netrc);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let version = python(
        &place.prefix("y"),
        "import iniconfig, floe_only_here as here; print(here.__version__)",
    );
    assert_eq!(version, "2.0+cpu");

    // Another archive at the same address is not what was frozen.
    fs::remove_dir_all(place.prefix("y")).unwrap();
    let wheel = index.files().join("floe_only_here-2.0+cpu-py3-none-any.whl");
    fs::copy(index.files().join("iniconfig-2.0.0+cpu-py3-none-any.whl"), wheel).unwrap();
    let refused = made_again(&place, &yml, netrc);
    assert!(!refused.status.success());
}

#[test]
fn pip_freezes_from_other_indexes_as_uv_does() {
    let place = Place::venv("indexes-pip");
    let index = index();
    place.create_from("x", None).unwrap();
    let address = index.server.url_with(CREDENTIALS);
    let list = place.file(
        "environments/x/x.pip",
        &format!("--extra-index-url {address}/simple/\nfloe-only-here\n"),
    );
    place.update_from("x", &[list]).unwrap();
    assert_eq!(frozen(&place, &Installer::Pip), frozen(&place, &place.tools.pip));
}

#[test]
fn an_index_instead_of_the_sites_and_a_page_of_links_are_frozen_likewise() {
    for (test, line) in [
        ("instead", "--index-url {}/simple"),
        ("links", "--find-links {}/links.html"),
    ] {
        let place = Place::venv(&format!("indexes-{test}"));
        let index = PackageIndex::of(&[("floe-only-here", "1.0")], false);
        place.create_from("x", None).unwrap();
        let line = line.replace("{}", &index.server.url());
        let list = place.file("environments/x/x.pip", &format!("{line}\nfloe-only-here\n"));
        place.update_from("x", &[list]).unwrap();
        let frozen = frozen(&place, &place.tools.pip);
        let here = frozen.pip.iter().find(|package| package.name == "floe-only-here");
        expect_from(&index, here.unwrap(), "floe_only_here-1.0-py3-none-any.whl");
    }
}

#[test]
fn what_an_image_alone_holds_is_refused_although_a_list_names_it() {
    let place = Place::venv("indexes-local");
    let index = PackageIndex::of(&[("floe-only-here", "1.0")], false);
    place.create_from("x", None).unwrap();
    let text = format!("--find-links {}\nfloe-only-here\n", index.files().display());
    let list = place.file("environments/x/x.pip", &text);
    place.update_from("x", &[list]).unwrap();
    let error = env_export(&place.layout, &name("x"), Some(&place.tools.pip), &place.sink).unwrap_err();
    let EnvsError::NotFreezable { refused, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(refused[0].package, "floe-only-here==1.0");
    assert!(error.hint().is_some());
}
