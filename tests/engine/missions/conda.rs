//! A mission of conda packages, from its specs to tested images: made, cloned, frozen and made again.

use std::fs;

use world::channel::Channel;
use world::channel::server::{Fault, Server};
use world::{Ended, bridge_address, notebook};

use crate::workshop::Workshop;

const FROZEN: &str = "missions/sky/environments/sky/sky-frozen.yml";

/// A mission with an environment of conda and pip packages, and a clone of it.
fn sky() -> Workshop {
    let repository = Workshop::new();
    for file in ["science.pip", "base-frozen.yml", "base-frozen.lock"] {
        fs::remove_file(repository.path().join("common/common-env").join(file)).unwrap();
    }
    repository.write(
        "missions/sky/Dockerfile.custom.tera",
        "{{ env_stages }}\n\nFROM {{ common_image }}\nARG WHOSE=of-the-mission\nUSER root\nRUN touch /etc/${WHOSE}\n\
         {{ env_layers }}\nRUN test -e /etc/${WHOSE} && test -e ${CONDA_DIR}/envs/sky/bin/python\n\
         USER ${NB_UID}\nRUN /opt/common-scripts/env-clone sky copy\n",
    );
    repository.write(
        "missions/sky/environments/sky/sky.yml",
        "channels: [site]\ndependencies:\n- python=3.11\n- ipykernel\n- numpy\n- fixtool\n- pip:\n  - toolz\n",
    );
    repository.write("missions/sky/environments/sky/no-common", "");
    for environment in ["sky", "copy"] {
        let tests = format!("missions/sky/environments/{environment}/tests");
        repository.write(&format!("{tests}/imports"), "numpy\nfixtool\ntoolz\n");
        let cell = format!(
            "import glob, json, sys\n\
             import numpy\n\
             assert sys.prefix.endswith('/envs/{environment}'), sys.prefix\n\
             assert numpy.__file__.startswith(sys.prefix)\n\
             names = {{json.load(open(file))['name'] for file in glob.glob(sys.prefix + '/conda-meta/*.json')}}\n\
             assert {{'python', 'numpy', 'ipykernel', 'fixtool'}} <= names and 'toolz' not in names, names"
        );
        repository.write(&format!("{tests}/records.ipynb"), &notebook(&[&cell]));
        // A program of a package runs from its environment, whose records a user who is not root can read.
        let script = "#! /bin/bash\nset -eu\nfixtool\ncat \"${CONDA_PREFIX}\"/conda-meta/*.json >/dev/null\n";
        repository.write(&format!("{tests}/test"), script);
    }
    repository
}

#[test]
fn a_conda_environment_its_clone_and_its_frozen_rebuild_pass_their_tests_in_the_image() {
    let server = Server::start_everywhere(Channel::shared().dir());
    server.mount("site", Channel::shared().dir());
    server.require_credentials("reader:s3cret");
    let address = format!("{}:{}", bridge_address(), server.port());
    let repository = sky();
    let floe = |arguments: &[&str]| {
        let output = repository
            .command(arguments)
            .env("CONDA_MIRROR", format!("http://reader:s3cret@{address}"))
            .env("CONDA_CHANNELS", "site")
            .output()
            .unwrap();
        Ended::of(output)
    };
    let passed = [
        "sky::imports::numpy",
        "sky::notebooks::records.ipynb",
        "sky::test",
        "copy::imports::numpy",
        "copy::notebooks::records.ipynb",
        "copy::test",
        "sky::server::lab",
        "sky::server::terminal",
        "copy::server::kernel",
        "16 tests run: 16 passed",
    ];
    floe(&["all", "sky"])
        .expect(0)
        .says(&passed)
        .says(&["sky-frozen.yml: new, "]);

    let frozen = fs::read_to_string(repository.path().join(FROZEN)).unwrap();
    let lock = fs::read_to_string(repository.path().join(FROZEN).with_extension("lock")).unwrap();
    for part in ["- site\n", "numpy=", "[sha256=", "toolz=="] {
        assert!(frozen.contains(part), "{part:?} is not in:\n{frozen}");
    }
    for secret in [address.as_str(), "s3cret"] {
        assert!(!frozen.contains(secret) && !lock.contains(secret), "{secret} is kept");
    }

    // Nothing is solved: the channel's index is gone. It is that image already.
    server.fail("repodata", Fault::Status(500));
    let frozen_build = ["all", "sky", "--use-frozen", "1"];
    floe(&frozen_build).expect(0).says(&["has passed its tests"]);
    // Another common image: every step of the environments runs again.
    let common = fs::read_to_string(repository.path().join("common/Dockerfile")).unwrap();
    let step = "USER root\nRUN touch /etc/step-of-a-test\nUSER ${NB_UID}\n";
    repository.write("common/Dockerfile", &format!("{common}\n{step}"));
    floe(&frozen_build)
        .expect(0)
        .says(&passed)
        .says(&["layers of packages"]);
    floe(&["freeze", "sky", "--use-frozen", "1"]).expect(0);
    assert_eq!(fs::read_to_string(repository.path().join(FROZEN)).unwrap(), frozen);
}
