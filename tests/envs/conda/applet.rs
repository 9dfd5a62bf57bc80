//! The applets as an image runs them: settings out of the environment, and exit codes.

use std::fs;
use std::path::Path;
use std::process::Output;

use world::channel::Channel;
use world::channel::server::{Fault, Server};

use crate::place::{Place, packages, yml};

fn applet(place: &Place, arguments: &[&str]) -> Output {
    world::floe()
        .arg("applet")
        .args(arguments)
        .env("CONDA_DIR", &place.layout.conda_dir)
        .env("CONDARC", place.root.path().join("condarc"))
        .env("CONDA_PKGS_DIRS", place.root.path().join("cache"))
        .output()
        .unwrap()
}

/// The exit code and what was said of making the environment `x` of these dependencies.
fn create(place: &Place, dependencies: &[&str]) -> (Option<i32>, String) {
    let file = place.file("x.yml", &yml(dependencies));
    let output = applet(place, &["env-create", "x", file.to_str().unwrap()]);
    let _ = fs::remove_dir_all(place.layout.conda_dir.join("envs"));
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn the_file_that_condarc_names_says_where_packages_come_from() {
    let place = Place::with(&[]);
    let server = Server::start(Path::new("/nonexistent"));
    server.mount("test", Channel::shared().dir());
    server.require_credentials("me:password");
    let condarc = format!("channels: [test]\nchannel_alias: {}\n", server.url_with("me:password"));
    place.file("condarc", &condarc);
    let file = place.file("x.yml", &yml(&["fixlib=1.0"]));
    let output = applet(&place, &["env-create", "x", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("password"), "{said}");
    assert_eq!(packages(&place.layout.conda_dir.join("envs/x")), ["fixlib 1.0 h1_1"]);
    assert!(place.root.path().join("cache/pkgs/fixlib-1.0-h1_1").is_dir());
}

#[test]
fn certificates_that_are_not_there_are_not_passed_over() {
    let place = Place::with(&[]);
    place.file(
        "condarc",
        &format!("channels: [\"{}\"]\n", Channel::shared().file_url()),
    );
    let file = place.file("x.yml", &yml(&["fixlib"]));
    let output = world::floe()
        .args(["applet", "env-create", "x"])
        .arg(file)
        .env("CONDA_DIR", &place.layout.conda_dir)
        .env("CONDARC", place.root.path().join("condarc"))
        .env("SSL_CERT_FILE", "/nowhere/site.crt")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("/nowhere/site.crt"), "{said}");
    assert!(!place.layout.conda_dir.join("envs/x").exists());
}

#[test]
fn the_exit_code_tells_kinds_of_failure_apart() {
    let place = Place::with(&[]);
    let server = Server::start(Channel::shared().dir());
    place.file("condarc", &format!("channels: [\"{}\"]\n", server.url()));
    assert_eq!(create(&place, &["fixlib"]).0, Some(0));
    let (code, said) = create(&place, &["app-old", "app-new"]);
    assert_eq!(code, Some(101), "{said}");
    let file = place.root.path().join("x.yml");
    assert!(said.contains(&format!("{}:3: app-new", file.display())), "{said}");
    let (code, said) = create(&place, &["fixlob"]);
    assert_eq!(code, Some(101), "{said}");
    assert!(said.contains("there is: fixlib"), "{said}");
    let (code, said) = create(&place, &["fixlib >=>1"]);
    assert_eq!(code, Some(3), "{said}");
    server.fail("fixpost-1.0", Fault::Status(502));
    let (code, said) = create(&place, &["fixpost"]);
    assert_eq!(code, Some(75), "{said}");
    server.fail("fixpost-1.0", Fault::Status(404));
    let (code, said) = create(&place, &["fixpost"]);
    assert_eq!(code, Some(101), "{said}");
    server.fail("fixpost-1.0", Fault::Corrupt);
    let (code, said) = create(&place, &["fixpost"]);
    assert_eq!(code, Some(101), "{said}");
    place.file("condarc", "channels: [a\n");
    let (code, said) = create(&place, &["fixlib"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("condarc:"), "{said}");
}

/// A place in which `x` floats, with a frozen spec of an older package beside it.
fn frozen_place(frozen: &str) -> Place {
    let place = Place::new();
    let channel = Channel::shared().file_url();
    place.file("condarc", &format!("channels: [\"{channel}\"]\n"));
    place.file("environments/x/x.yml", &yml(&["fixlib"]));
    place.file("environments/x/x-frozen.yml", frozen);
    place
}

/// Runs an applet as an image does whose specs are frozen. Returns what it said.
fn with_frozen(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let output = world::floe()
        .arg("applet")
        .args(arguments)
        .env("CONDA_DIR", &place.layout.conda_dir)
        .env("CONDARC", place.root.path().join("condarc"))
        .env("FLOE_ENVIRONMENTS", &place.layout.environments)
        .env("USE_FROZEN", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn the_scripts_of_a_frozen_image_install_the_frozen_spec_and_nothing_else() {
    let place = frozen_place(&yml(&["fixlib=1.0"]));
    let x = place.layout.conda_dir.join("envs/x");
    let list = place.file("environments/x/more.conda", "fixpost\n");
    let yml = place.layout.environments.join("x/x.yml");
    for make in [["env-clone", "base", "x"], ["env-create", "x", yml.to_str().unwrap()]] {
        let (code, said) = with_frozen(&place, &make);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("as far as it says"), "{said}");
        for change in [
            &["env-update", "x", list.to_str().unwrap()][..],
            &["install-common", "x"],
        ] {
            let (code, said) = with_frozen(&place, change);
            assert_eq!(code, Some(0), "{said}");
            assert!(said.contains("x is frozen (USE_FROZEN=1)"), "{said}");
        }
        assert_eq!(packages(&x), ["fixlib 1.0 h1_1"]);
        fs::remove_dir_all(&x).unwrap();
    }
}

#[test]
fn a_frozen_image_without_a_frozen_spec_is_refused_by_name() {
    let place = frozen_place("");
    let frozen = place.layout.environments.join("x/x-frozen.yml");
    fs::remove_file(&frozen).unwrap();
    let (code, said) = with_frozen(&place, &["env-clone", "base", "x"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(frozen.to_str().unwrap()), "{said}");
}

#[test]
fn an_environment_without_a_spec_of_its_own_is_what_it_is_cloned_from() {
    let place = frozen_place(&yml(&["fixlib=1.0"]));
    assert_eq!(with_frozen(&place, &["env-create", "x"]).0, Some(0));
    let (code, said) = with_frozen(&place, &["env-clone", "x", "copy"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(packages(&place.layout.conda_dir.join("envs/copy")), ["fixlib 1.0 h1_1"]);
    let list = place.file("more.conda", "fixpost\n");
    let (code, said) = with_frozen(&place, &["env-update", "copy", list.to_str().unwrap()]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("copy-frozen.yml is missing"), "{said}");
}

#[test]
fn an_update_without_files_has_nothing_to_do() {
    let place = frozen_place("");
    let file = place.layout.environments.join("x/x.yml");
    assert!(
        applet(&place, &["env-create", "x", file.to_str().unwrap()])
            .status
            .success()
    );
    let updated = applet(&place, &["env-update", "x"]);
    assert!(updated.status.success(), "{updated:?}");
}
