//! A repository of many missions, as a team has them after some years: each with environments of its own, frozen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use floe::reference::Digest;
use floe::spec::env;
use floe::spec::frozen::{Frozen, PipPackage};
use world::{Repository, run};

/// How many environments a mission has.
pub const ENVIRONMENTS: usize = 5;

/// How many packages each of them holds when it is frozen.
const PACKAGES: usize = 150;

/// What a notebook of an example weighs, in bytes.
const NOTEBOOK: usize = 20_000;

/// A repository of so many missions, whose state is committed.
pub fn of(missions: usize) -> Repository {
    let repository = Repository::new();
    let shared = env::spec_files(&repository.path().join("common/common-env")).unwrap();
    let shared = shared
        .into_iter()
        .filter(|file| !Frozen::is_frozen(file))
        .collect::<Vec<_>>();
    (0..missions).into_par_iter().for_each(|number| {
        let directory = format!("missions/m{number:04}/environments");
        let script = repository.write(&format!("{directory}/test"), "#! /bin/bash\ntest-environments\n");
        assert!(script.exists());
        for environment in 0..ENVIRONMENTS {
            let name = format!("e{environment}");
            write(&repository, &format!("{directory}/{name}"), &name, number, &shared);
        }
    });
    repository.write(".gitignore", ".floe/\n");
    git(&repository, &["init", "-q"]);
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "-qm", "all"]);
    repository
}

/// Runs git there.
pub fn git(repository: &Repository, words: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    let mut command = Command::new("git");
    run(command.arg("-C").arg(repository.path()).args(identity).args(words));
}

fn write(repository: &Repository, directory: &str, name: &str, mission: usize, shared: &[PathBuf]) {
    let file = |path: &str, text: &str| repository.write(&format!("{directory}/{path}"), text);
    let list = (0..8).map(|number| format!("package-{number:03}>=1.{mission}\n"));
    file(
        &format!("{name}.pip"),
        &format!("# What the mission's notebooks import.\n{}", list.collect::<String>()),
    );
    file("notebooks.pip", "nbformat\n");
    file("kernel.name", &format!("Environment {name} of mission {mission}\n"));
    file("tests/imports", "package_000\npackage_001\npackage_002\n");
    let cell = "x".repeat(NOTEBOOK);
    file(
        "tests/intro.ipynb",
        &format!(r#"{{"cells": [], "metadata": {{"note": "{mission} {cell}"}}}}"#),
    );
    let directory = repository.path().join(directory);
    let specs = env::load(&directory)
        .and_then(|files| env::digest(&files, shared))
        .unwrap();
    let frozen = Frozen {
        name: name.to_owned(),
        python: Some("3.12.4".to_owned()),
        pip: (0..PACKAGES).map(|number| package(number, mission)).collect(),
        specs: Some(specs),
        ..Frozen::default()
    };
    save(&frozen, &Frozen::yml_path(&directory, name));
}

fn package(number: usize, mission: usize) -> PipPackage {
    let (name, version) = (format!("package-{number:03}"), format!("1.{mission}.{number}"));
    let digest = Digest::of(format!("{name}{version}").as_bytes());
    PipPackage {
        requirement: format!("{name}=={version}"),
        sha256: digest.as_str().strip_prefix("sha256:").map(str::to_owned),
        name,
        version,
        url: None,
        requires: Vec::new(),
    }
}

/// The same as [`Frozen::save`], which waits for the disk after each of some thousand files.
fn save(frozen: &Frozen, yml: &Path) {
    fs::write(yml, frozen.to_yml()).unwrap();
    fs::write(Frozen::lock_path(yml), frozen.to_lock().unwrap()).unwrap();
}
