//! From floating specs to frozen ones and back, with the real engine: what is frozen is what was tested, and a frozen
//! build is the same to the byte.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use world::{Ended, floe};

use crate::workshop::{Workshop, docker};

/// A mission with two environments that need conflicting versions of one package, on a common image without what makes it
/// large.
pub fn twins() -> Workshop {
    let repository = Workshop::new();
    for file in ["science.pip", "base-frozen.yml", "base-frozen.lock"] {
        fs::remove_file(repository.path().join("common/common-env").join(file)).unwrap();
    }
    for (environment, list, check) in [
        ("older", "iniconfig<2\n", "startswith('1.')"),
        ("newer", "iniconfig>=2\nsix\n", "startswith('2.')"),
    ] {
        let directory = format!("missions/twins/environments/{environment}");
        repository.write(&format!("{directory}/{environment}.pip"), list);
        repository.write(&format!("{directory}/tests/imports"), "iniconfig\nipykernel\n");
        let script = format!(
            "#! /opt/conda/envs/{environment}/bin/python\n\
             from importlib.metadata import version\n\
             assert version('iniconfig').{check}, version('iniconfig')\n"
        );
        repository.write(&format!("{directory}/tests/test"), &script);
    }
    repository
}

fn frozen(environment: &str) -> String {
    format!("missions/twins/environments/{environment}/{environment}-frozen.yml")
}

fn read(repository: &Workshop, path: &str) -> String {
    fs::read_to_string(repository.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn frozen_files() -> Vec<String> {
    let specs = [frozen("older"), frozen("newer"), BASE.to_owned()];
    let locks = specs.clone().map(|spec| spec.replace(".yml", ".lock"));
    specs.into_iter().chain(locks).collect()
}

const BASE: &str = "common/common-env/base-frozen.yml";

/// The ID and the reference of the image of the frozen specs.
fn frozen_image(repository: &Workshop) -> [String; 2] {
    let image = ["image", "twins", "--use-frozen", "1", "--format", "json"];
    let image = repository.floe(&image).expect(0).stdout;
    let image = serde_json::from_str::<serde_json::Value>(&image).unwrap();
    ["id", "reference"].map(|field| image[field].as_str().unwrap().to_owned())
}

/// The layers of an environment, in what `floe image --layers --format json` lists.
pub fn layers_of(environment: &str, listed: &str) -> Vec<String> {
    let listed = serde_json::from_str::<Vec<serde_json::Value>>(listed).unwrap();
    let words = |layer: &serde_json::Value, field: &str| layer[field].as_str().unwrap().to_owned();
    let begins = format!("floe: environment {environment}, layer ");
    let own = listed.iter().filter(|layer| words(layer, "made").starts_with(&begins));
    let own = own.map(|layer| words(layer, "digest")).collect::<Vec<_>>();
    assert!(own.len() > 1, "{listed:?}");
    own
}

/// The layers of the two environments, `newer` and `older`, in the frozen image.
fn environment_layers(repository: &Workshop) -> [Vec<String>; 2] {
    let list = ["image", "twins", "--use-frozen", "1", "--layers", "--format", "json"];
    let listed = repository.floe(&list).expect(0).stdout;
    ["newer", "older"].map(|environment| layers_of(environment, &listed))
}

/// Every file of the environments in an image: what it is, whose, of when, and its content.
fn files(image: &str) -> BTreeSet<String> {
    let list = "cd /opt/conda/envs && find . -printf '%p %y %m %U %G %T@ %l\\n' && find . -type f -exec sha256sum {} +";
    let listed = docker(&["run", "--rm", "--user", "root", "--entrypoint", "sh", image, "-c", list]);
    listed.lines().map(str::to_owned).collect()
}

/// A program that does what floe does, and is another file.
fn another_floe(directory: &Path) -> PathBuf {
    let another = directory.join("floe");
    fs::copy(floe().get_program(), &another).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&another).unwrap();
    file.write_all(b"\n").unwrap();
    another
}

/// The same call of another program.
fn by(program: &Path, call: &Command) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .args(call.get_args())
        .current_dir(call.get_current_dir().unwrap());
    command.envs(call.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn what_passed_its_tests_is_frozen_and_built_again_to_the_byte() {
    let repository = twins();
    for file in frozen_files() {
        let _ = fs::remove_file(repository.path().join(file));
    }
    repository.floe(&["all", "twins"]).expect(0).says(&[
        "older-frozen.yml: new, ",
        "newer-frozen.yml: new, ",
        "base-frozen.yml: new, ",
    ]);
    let first = frozen_files()
        .iter()
        .map(|file| read(&repository, file))
        .collect::<Vec<_>>();
    for package in ["iniconfig==1.", "ipykernel=="] {
        assert!(first[0].contains(package), "{package} is not in:\n{}", first[0]);
    }
    assert!(first[1].contains("iniconfig==2."), "{}", first[1]);
    assert!(first[3].contains("sha256"), "{}", first[3]);

    // Writing frozen specs makes no floating image out of date.
    let again = repository.floe(&["all", "twins"]).expect(0);
    assert!(!again.stderr.contains("changed"), "{}", again.stderr);
    again.says(&["UP-TO-DATE", "has passed its tests"]);

    repository.floe(&["all", "twins", "--use-frozen", "1"]).expect(0);
    let layers = environment_layers(&repository);
    repository.floe(&["freeze", "twins", "--use-frozen", "1"]).expect(0);
    let second = frozen_files()
        .iter()
        .map(|file| read(&repository, file))
        .collect::<Vec<_>>();
    assert_eq!(first, second);

    // Another common image: every step of the environments runs again.
    let common = read(&repository, "common/Dockerfile");
    let step = format!(
        "USER root\nRUN echo {} > /etc/step-of-a-test\nUSER ${{NB_UID}}\n",
        std::process::id()
    );
    repository.write("common/Dockerfile", &format!("{common}\n{step}"));
    repository
        .floe(&["build", "twins", "--use-frozen", "1"])
        .expect(0)
        .says(&["layers of packages, "]);
    assert_eq!(environment_layers(&repository), layers);

    // Another program: nothing is installed again, and the layers stay where they are.
    let scratch = tempfile::tempdir().unwrap();
    let another = another_floe(scratch.path());
    let call = repository.command(&["build", "twins", "--use-frozen", "1"]);
    let built = Ended::of(by(&another, &call).output().unwrap()).expect(0);
    built.says(&[
        "UP-TO-DATE foundation",
        "common: floe itself changed",
        "layers of packages, all there",
    ]);
    assert_eq!(environment_layers(&repository), layers);

    // One package of one environment: one layer of many.
    let list = "missions/twins/environments/newer/newer.pip";
    repository.write(list, "iniconfig==2.0.0\nsix\n");
    repository.floe(&["build", "twins"]).expect(0).says(&["iniconfig"]);
    let now = environment_layers(&repository);
    let new = now[0].iter().filter(|layer| !layers[0].contains(layer)).count();
    assert_eq!(new, 1, "{layers:?} {now:?}");
    assert_eq!(now[1], layers[1]);
}

#[test]
fn an_environment_that_is_put_together_is_the_one_that_a_stage_installs() {
    let repository = twins();
    // A stage begins with a copy of the base environment where that is a part, and has some links and scripts of it.
    for (environment, list) in [("older", "iniconfig<2\nidna==3.10\n"), ("newer", "six\nidna==3.9\n")] {
        repository.write(
            &format!("missions/twins/environments/{environment}/{environment}.pip"),
            list,
        );
    }
    repository.floe(&["build", "twins"]).expect(0);
    repository.floe(&["build", "twins", "--use-frozen", "1"]).expect(0);
    let [assembled, reference] = frozen_image(&repository);
    let put_together = files(&assembled);
    for environment in ["older", "newer"] {
        let python = format!("/opt/conda/envs/{environment}/bin/python");
        docker(&["run", "--rm", &assembled, "uv", "pip", "check", "--python", &python]);
    }
    docker(&["rmi", &reference]);
    let mut staging = repository.command(&["build", "twins", "--use-frozen", "1", "--verbose"]);
    let ended = Ended::of(staging.env("ASSEMBLE_LAYERS", "0").output().unwrap()).expect(0);
    ended.says(&["creating the environment older"]);
    let [installed, _] = frozen_image(&repository);
    assert_ne!(assembled, installed);
    let installed = files(&installed);
    let differing = installed.symmetric_difference(&put_together).collect::<Vec<_>>();
    assert!(differing.is_empty(), "{differing:#?}");
    assert!(installed.len() > 1000);
}

#[test]
fn what_fails_its_tests_is_not_frozen() {
    let repository = twins();
    repository.write("missions/twins/environments/older/tests/imports", "no_such_module\n");
    repository.floe(&["all", "twins"]).expect(100);
    for environment in ["older", "newer"] {
        assert!(!repository.path().join(frozen(environment)).exists());
    }
}

#[test]
fn a_stale_frozen_spec_is_said_and_in_strict_mode_refused() {
    let repository = twins();
    repository.floe(&["build", "twins"]).expect(0);
    repository.write("missions/twins/environments/older/older.pip", "iniconfig<2\ntoolz\n");
    let said = [
        "missions/twins/environments/older/older-frozen.yml is stale",
        "--use-frozen 0",
    ];
    repository
        .floe(&["build", "twins", "--use-frozen", "1", "--strict"])
        .expect(3)
        .says(&said);
    let built = repository
        .floe(&["build", "twins", "--use-frozen", "1"])
        .expect(0)
        .says(&said);
    assert!(!built.stderr.contains("newer-frozen.yml is stale"), "{}", built.stderr);

    let changed = repository.floe(&["build", "twins"]).expect(0);
    changed.says(&["older-frozen.yml: 1 added", "added  toolz"]);
    let built = repository.floe(&["build", "twins", "--use-frozen", "1"]).expect(0);
    assert!(!built.stderr.contains("stale"), "{}", built.stderr);
}

#[test]
fn without_lists_that_all_share_a_mission_is_frozen_all_the_same() {
    let repository = Workshop::new();
    fs::remove_dir_all(repository.path().join("common/common-env")).unwrap();
    let without = read(&repository, "common/Dockerfile").replace("COPY common-env/ /opt/common-env/\n", "");
    let without = without.replace("RUN /opt/common-scripts/install-common base\n", "");
    repository.write("common/Dockerfile", &without);
    let directory = "missions/alone/environments/small";
    repository.write(&format!("{directory}/small.pip"), "iniconfig\n");
    repository.write(&format!("{directory}/tests/imports"), "iniconfig\n");
    repository.floe(&["build", "alone", "--use-frozen", "0"]).expect(0);
    let frozen = read(&repository, &format!("{directory}/small-frozen.yml"));
    assert!(frozen.contains("- iniconfig=="), "{frozen}");
    assert!(
        repository
            .path()
            .join(format!("{directory}/small-frozen.lock"))
            .is_file()
    );
    // What the base image holds is frozen, too: the mission's environment is a copy of it.
    read(&repository, BASE);
    repository.floe(&["build", "alone", "--use-frozen", "1"]).expect(0);
    // Once more there is nothing to do, and it is no failure either.
    repository.floe(&["build", "alone", "--use-frozen", "1"]).expect(0);
}
