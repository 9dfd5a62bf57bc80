//! Environments frozen from what is installed in them, with the digests that PyPI tells.

use std::fs;
use std::process::Command;

use floe::envs::{EnvsError, Installer, env_export};
use floe::spec::frozen::Frozen;

use crate::place::{Place, name, output};

#[test]
fn a_venv_is_frozen_with_its_python_and_the_digests_of_what_is_installed() {
    let place = Place::venv("export");
    place.clone_base("x");
    // A wheel for every machine, one for this machine, and sources alone.
    let list = place.file("environments/x/x.pip", "six==1.16.0\nnumpy==2.1.0\ntermcolor==1.1.0\n");
    place.update_from("x", &[list]).unwrap();
    let frozen = env_export(&place.layout, &name("x"), Some(&place.tools.pip), &place.sink).unwrap();
    let python = place.prefix("x").join("bin/python");
    let version = output(Command::new(&python).arg("--version"));
    assert_eq!(frozen.python.as_deref(), version.strip_prefix("Python "));
    let Installer::Uv { program, .. } = &place.tools.pip else {
        panic!("{:?}", place.tools.pip);
    };
    let listed = output(
        Command::new(program)
            .args(["pip", "freeze", "--quiet", "--python"])
            .arg(&python),
    );
    let frozen_lines = frozen
        .pip
        .iter()
        .map(|package| package.requirement.to_lowercase().replace('_', "-"));
    assert_eq!(frozen_lines.collect::<Vec<_>>(), listed.lines().collect::<Vec<_>>());
    let digest = |name: &str| {
        let package = frozen.pip.iter().find(|package| package.name == name).unwrap();
        assert_eq!(package.url, None, "an index of this site is no address for others");
        package.sha256.clone().unwrap()
    };
    // What https://pypi.org/pypi/<name>/<version>/json tells.
    for (name, sha256) in [
        // The wheel for any system, and the sources of a package that has no wheel.
        (
            "six",
            "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254",
        ),
        (
            "termcolor",
            "1d6d69ce66211143803fbc56652b41d73b4a400a2891d7bf7a1cdf4c02de613b",
        ),
    ] {
        assert_eq!(digest(name), sha256);
    }
    assert_eq!(digest("numpy").len(), 64);

    // All of it can be installed again, and is the same then.
    let files = tempfile::tempdir().unwrap();
    let yml = Frozen::yml_path(files.path(), "x");
    frozen.save(&yml).unwrap();
    let read = Frozen::load(&yml).unwrap();
    assert_eq!(read, frozen);
    let pins = read.pip.iter().map(|package| {
        let sha256 = package.sha256.as_deref().unwrap();
        format!("{} --hash=sha256:{sha256}\n", package.requirement)
    });
    let requirements = files.path().join("requirements.txt");
    fs::write(&requirements, pins.collect::<String>()).unwrap();
    let again = place.prefix("again");
    output(Command::new(&python).args(["-m", "venv", "--without-pip"]).arg(&again));
    let mut install = Command::new(program);
    install.args(["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python"]);
    output(
        install
            .arg(again.join("bin/python"))
            .arg("--requirement")
            .arg(&requirements),
    );
    let mut frozen_again = env_export(&place.layout, &name("again"), Some(&place.tools.pip), &place.sink).unwrap();
    "x".clone_into(&mut frozen_again.name);
    assert_eq!(frozen_again.to_yml(), frozen.to_yml());
    assert_eq!(frozen_again.to_lock().unwrap(), frozen.to_lock().unwrap());
}

#[test]
fn pip_tells_the_same_digests_as_uv() {
    let place = Place::venv("export-pip");
    place.create_from("x", None).unwrap();
    let list = place.file("environments/x/x.pip", "six==1.16.0\n");
    place.update_from("x", &[list]).unwrap();
    let of = |installer| env_export(&place.layout, &name("x"), Some(installer), &place.sink).unwrap();
    assert_eq!(of(&Installer::Pip), of(&place.tools.pip));
}

#[test]
fn an_index_that_cannot_be_reached_is_said_and_not_taken_for_an_environment_without_digests() {
    let place = Place::venv("export-offline");
    place.clone_base("x");
    let Installer::Uv { program, .. } = &place.tools.pip else {
        panic!("{:?}", place.tools.pip);
    };
    let script = place.file(
        "environments/x/uv",
        &format!(
            "#!/bin/sh\nUV_DEFAULT_INDEX=http://127.0.0.1:9/simple UV_NO_CACHE=1 exec {} \"$@\"\n",
            program.display()
        ),
    );
    output(Command::new("chmod").arg("755").arg(&script));
    let unreachable = Installer::Uv {
        program: script,
        cache: None,
    };
    let error = env_export(&place.layout, &name("x"), Some(&unreachable), &place.sink).unwrap_err();
    let EnvsError::Index { stderr, .. } = &error else {
        panic!("{error}");
    };
    assert!(floe::fault::Trouble::passing(stderr).is_some(), "{stderr}");
    let frozen = env_export(&place.layout, &name("x"), None, &place.sink).unwrap();
    assert!(!frozen.pip.is_empty() && frozen.pip.iter().all(|package| package.sha256.is_none()));
    assert!(frozen.to_lock().is_ok());
}
