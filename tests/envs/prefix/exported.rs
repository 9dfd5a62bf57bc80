//! Frozen specs of conda environments.

use std::fs;
use std::process::Output;
use std::time::Instant;

use floe::envs::{Installer, Tools, Work, conda, env_create, env_export};
use floe::event::Event;
use floe::spec::frozen::Frozen;
use rattler_conda_types::PrefixRecord;
use world::channel::Channel;

use super::installed::{SPECS, install, pip_install, run};
use crate::place::{Place, name};

#[test]
fn a_conda_environment_is_frozen_as_its_records_say() {
    let place = Place::new();
    let prefix = install(&place, "x", SPECS);
    pip_install(&prefix, &["tabulate==0.9.0"]);
    let before = Instant::now();
    let frozen = env_export(&place.layout, &name("x"), None, &place.sink).unwrap();
    let took = before.elapsed();
    assert!(took.as_millis() < 500, "{took:?}");
    assert_eq!(frozen.channels, [Channel::shared().file_url()]);
    let records = PrefixRecord::collect_from_prefix::<PrefixRecord>(&prefix).unwrap();
    assert_eq!(frozen.conda.len(), records.len());
    for record in records {
        let package_record = &record.repodata_record.package_record;
        let of_this = |package: &&floe::spec::frozen::CondaPackage| package.name == package_record.name.as_normalized();
        let package = frozen.conda.iter().find(of_this).unwrap();
        assert_eq!(package.version, package_record.version.as_str());
        let frozen_record = package.record.as_ref().unwrap();
        assert_eq!(
            (&frozen_record.package_record, &frozen_record.url),
            (package_record, &record.repodata_record.url)
        );
    }
    // fixtool, too, carries the address of the directory that it was built in.
    let pip = frozen
        .pip
        .iter()
        .map(|package| package.requirement.as_str())
        .collect::<Vec<_>>();
    assert_eq!(pip, ["tabulate==0.9.0"]);
    let warnings = place
        .sink
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Warning { .. }));
    assert_eq!(warnings.count(), 0);

    let yml = Frozen::yml_path(&prefix, "x");
    frozen.save(&yml).unwrap();
    let read = Frozen::load(&yml).unwrap();
    assert_eq!(
        (read.to_yml(), read.to_lock().unwrap()),
        (frozen.to_yml(), frozen.to_lock().unwrap())
    );
    let lock = fs::read_to_string(Frozen::lock_path(&yml)).unwrap();
    assert!(lock.starts_with("version: "), "{lock}");
}

#[test]
fn a_conda_package_that_pip_installs_again_is_frozen_with_a_warning() {
    let place = Place::new();
    let prefix = install(&place, "x", &["python=3.11", "pip", "idna"]);
    run(
        &prefix.join("bin/python"),
        &[
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--force-reinstall",
            "idna==3.7",
        ],
    );
    let frozen = env_export(&place.layout, &name("x"), None, &place.sink).unwrap();
    let pip = frozen
        .pip
        .iter()
        .map(|package| package.requirement.as_str())
        .collect::<Vec<_>>();
    assert_eq!(pip, ["idna==3.7"]);
    assert!(
        frozen
            .conda
            .iter()
            .any(|package| package.name == "idna" && package.version != "3.7")
    );
    let said = place.sink.events().into_iter().any(|event| {
        matches!(event, Event::Warning { text } if text.contains("idna==3.7 of pip has replaced the conda package idna="))
    });
    assert!(said);
}

#[test]
fn an_environment_made_from_its_frozen_spec_is_the_same_environment() {
    let place = Place::new();
    let tools = Tools {
        pip: Installer::Pip,
        conda: conda::Config {
            channels: vec![Channel::shared().file_url()],
            ..conda::Config::default()
        },
        cache: None,
    };
    let files = tempfile::tempdir().unwrap();
    let yml = files.path().join("x.yml");
    let text = "dependencies: [python=3.11, pip, fixtool, fixlib<2, pip: [tabulate==0.9.0]]\nvariables: {A: 1}\n";
    fs::write(&yml, text).unwrap();
    env_create(
        Work {
            tools: &tools,
            ..place.work(&name("x"))
        },
        Some(&yml),
    )
    .unwrap();
    let frozen = env_export(&place.layout, &name("x"), Some(&tools.pip), &place.sink).unwrap();
    assert!(
        frozen.pip.iter().all(|package| package.sha256.is_some()),
        "{:?}",
        frozen.pip
    );
    let exact = Frozen::yml_path(files.path(), "x");
    frozen.save(&exact).unwrap();
    env_create(
        Work {
            tools: &tools,
            ..place.work(&name("again"))
        },
        Some(&exact),
    )
    .unwrap();
    let mut again = env_export(&place.layout, &name("again"), Some(&tools.pip), &place.sink).unwrap();
    "x".clone_into(&mut again.name);
    assert_eq!(again.to_yml(), frozen.to_yml());
    assert_eq!(again.to_lock().unwrap(), frozen.to_lock().unwrap());
}

#[test]
fn env_export_prints_the_yml_and_writes_the_lock_beside_it_when_told_where() {
    let place = Place::new();
    install(&place, "x", &["fixlib=1.0"]);
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().to_str().unwrap();
    let export = |arguments: &[&str]| -> Output {
        let mut command = world::floe();
        command.args(["applet", "env-export"]).args(arguments);
        command.env("CONDA_DIR", &place.layout.conda_dir).output().unwrap()
    };
    let printed = export(&["x"]);
    let yml = String::from_utf8(printed.stdout).unwrap();
    assert!(yml.contains("  - fixlib=1.0=h1_1[sha256="), "{yml}");
    assert_eq!(export(&["x", "--to", to]).status.code(), Some(0));
    let written = Frozen::yml_path(directory.path(), "x");
    assert_eq!(fs::read_to_string(&written).unwrap(), yml);
    assert!(Frozen::load(&written).unwrap().conda[0].record.is_some());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    assert_eq!(export(&["x", "--offline"]).status.code(), Some(2));
    assert_eq!(export(&["y"]).status.code(), Some(3));
}
