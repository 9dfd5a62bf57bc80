//! A mission whose image holds the same packages of PyPI at three places, which are three layers, and that has passed.

use std::fs;
use std::process::Command;
use std::time::Duration;

use world::{Repository, run, venv};

use crate::measure::time;

/// What is large, and compresses as environments do.
const PACKAGES: &[&str] = &[
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "astropy",
    "scikit-learn",
    "scikit-image",
    "jupyterlab",
    "dask",
    "numba",
    "bokeh",
    "sympy",
];

pub struct Image {
    repository: Repository,
    /// What the engine calls it.
    reference: String,
}

impl Image {
    pub fn new() -> Self {
        let packages = venv("push", PACKAGES);
        let repository = Repository::with_engine();
        repository.write("common/Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n");
        repository.write("common/Dockerfile.trailer", "# Nothing.\n");
        repository.write("missions/big/environments/test", "#! /bin/sh\ntrue\n");
        let places = ["one", "two", "three"];
        let copies = places.map(|place| format!("COPY {place} /opt/{place}\n")).concat();
        repository.write(
            "missions/big/Dockerfile",
            &format!("ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nCOPY environments/ /opt/environments/\n{copies}"),
        );
        for place in places {
            let copy = repository.path().join("missions/big").join(place);
            run(Command::new("cp")
                .args(["--archive", "--link"])
                .arg(packages.join("lib"))
                .arg(&copy));
        }
        let mut image = Self {
            repository,
            reference: String::new(),
        };
        for words in [["build", "big"], ["test", "big"]] {
            run(&mut image.command(&words));
        }
        let told = run(&mut image.command(&["image", "big", "--format", "json"]));
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        told["reference"].as_str().unwrap().clone_into(&mut image.reference);
        image
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        let told = run(Command::new("docker").args(["inspect", "--format", "{{.Size}}", &self.reference]));
        told.trim().parse().unwrap()
    }

    /// Removes what floe has kept of its layers.
    pub fn forget_layers(&self) {
        let _ = fs::remove_dir_all(self.repository.path().join(".floe/cache/layers"));
    }

    /// How long floe takes to push it below `address`.
    pub fn push(&self, address: &str, compression: &str) -> Duration {
        let mut push = self.command(&["push", "big", "--registry", address]);
        time(push.env("LAYER_COMPRESSION", compression))
    }

    /// How long Docker takes to push it as `name`.
    pub fn push_by_docker(&self, name: &str) -> Duration {
        let name = format!("{name}:1");
        run(Command::new("docker").args(["tag", &self.reference, &name]));
        time(Command::new("docker").args(["push", "--quiet", &name]))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.repository.command(words);
        command.env("USE_FROZEN", "1").env("TEST_SERVER", "0");
        command
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["rmi", "--force", &self.reference])
            .output();
    }
}
