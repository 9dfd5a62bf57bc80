//! Missions from their files to a registry, with the real engine, kernels and registry.

mod carried;
mod conda;
mod frozen;
mod imprint;
mod passage;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use world::{Ended, LocalRegistry, notebook};

pub use self::frozen::{layers_of, twins};

use crate::workshop::{Workshop, containers, docker};

/// A repository with the mission `tiny` in the generated form: one environment, an import, a notebook, a test script.
pub fn tiny() -> Workshop {
    let repository = Workshop::new();
    repository.write("missions/tiny/environments/small/small.pip", "iniconfig\n");
    repository.write("missions/tiny/environments/small/kernel.name", "Small\n");
    repository.write(
        "missions/tiny/environments/small/tests/imports",
        "iniconfig  # from small.pip\n",
    );
    let cell = "import sys\nassert sys.prefix.endswith('/envs/small'), sys.prefix\nprint(6 * 7)";
    repository.write(
        "missions/tiny/environments/small/tests/answer.ipynb",
        &notebook(&[cell]),
    );
    let script = "#! /bin/bash\nset -eu\n/opt/common-scripts/test-environments\ntest \"$(whoami)\" = jovyan\n";
    repository.write("missions/tiny/environments/test", script);
    repository
}

/// A run of the tests of `tiny` whose container has been started.
fn started_test(repository: &Workshop) -> Child {
    let mut command = repository.command(&["test", "tiny"]);
    let child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while containers("tiny").is_empty() {
        assert!(Instant::now() < deadline, "no container was started");
        std::thread::sleep(Duration::from_millis(100));
    }
    child
}

#[test]
fn a_login_shell_of_the_image_finds_what_a_person_expects() {
    let repository = tiny();
    repository.floe(&["build", "tiny"]).expect(0);
    let image = repository.floe(&["image", "tiny"]).expect(0).stdout;
    let image = image.split(' ').next().unwrap();
    let script = "command -v python pip jupyter env-update wget && locale -a \
                  && python3 -c 'import sysconfig; print(open(sysconfig.get_path(\"include\") + \"/Python.h\").name)'";
    let said = docker(&["run", "--rm", image, "bash", "-lc", script]);
    for expected in [
        "/opt/conda/bin/python\n",
        "/opt/conda/bin/pip\n",
        "/opt/conda/bin/jupyter\n",
        "/opt/common-scripts/env-update\n",
        "/usr/bin/wget\n",
        "en_US.utf8",
        "/Python.h",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
}

#[test]
fn a_new_home_directory_begins_with_what_the_mission_gives_it_and_only_once() {
    let repository = tiny();
    repository.write("missions/tiny/default-home-contents/welcome/hello.txt", "hello\n");
    repository.floe(&["build", "tiny"]).expect(0);
    let image = repository.floe(&["image", "tiny"]).expect(0).stdout;
    let image = image.split(' ').next().unwrap();
    let in_home = |script: &str| {
        // A volume of a hub is empty at first.
        let volume = ["--tmpfs", "/home/jovyan:uid=1000,gid=100,mode=0755"];
        docker(&[&["run", "--rm"], &volume[..], &[image, "bash", "-c", script]].concat())
    };
    let hook = "/usr/local/bin/before-notebook.d/20-home-setup";
    assert_eq!(docker(&["run", "--rm", image, "cat", "welcome/hello.txt"]), "hello");
    assert_eq!(in_home(&format!("{hook} && cat ~/welcome/hello.txt")), "hello");
    assert_eq!(in_home(&format!("{hook} && rm -r ~/welcome && {hook} && ls ~")), "");
    assert_eq!(
        in_home("start-notebook.py --version >/dev/null; cat ~/welcome/hello.txt"),
        "hello"
    );
}

#[test]
fn an_environment_is_activated_in_a_shell_and_for_one_command() {
    let repository = tiny();
    repository.floe(&["build", "tiny"]).expect(0);
    let image = repository.floe(&["image", "tiny"]).expect(0).stdout;
    let image = image.split(' ').next().unwrap();
    let bash = |script: &str| docker(&["run", "--rm", image, "bash", "-c", script]);
    let python = "/opt/conda/envs/small/bin/python";
    assert_eq!(bash("env-run small which python"), python);
    assert_eq!(bash(". env-activate small && which python"), python);
    assert_eq!(
        bash(". env-activate small && echo $CONDA_DEFAULT_ENV ${_floe_active-none}"),
        "small none"
    );
    assert_eq!(
        bash(". env-activate nosuch 2>/dev/null || echo still here"),
        "still here"
    );
    assert!(bash("env-test small 2>&1").contains("small::imports::iniconfig"));
}

#[test]
fn a_mission_is_built_and_tested_and_pushed_and_a_second_call_finds_nothing_to_do() {
    let registry = LocalRegistry::start();
    let repository = tiny();
    let all = ["all", "tiny", "--registry", &registry.address("hub")];
    let first = repository.floe(&all).expect(0);
    first.says(&[
        "PASS",
        "small::imports::iniconfig",
        "small::notebooks::answer.ipynb",
        "mission:tiny::test",
        "Report: .floe/runs/",
    ]);

    let image = repository.floe(&["image", "tiny", "--format", "json"]).expect(0).stdout;
    let image = serde_json::from_str::<serde_json::Value>(&image).unwrap();
    let tag = image["reference"]
        .as_str()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let manifest = registry.manifest("hub/tiny", &tag);
    assert_eq!(
        manifest["config"]["digest"], image["id"],
        "the registry holds what was tested"
    );

    let started = Instant::now();
    let second = repository.floe(&all).expect(0);
    assert!(
        !second.stderr.contains("PASS"),
        "nothing is tested again:\n{}",
        second.stderr
    );
    let second = second.says(&["UP-TO-DATE", "has passed its tests: .floe/runs/", "is there already"]);
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "a second call builds nothing"
    );
    assert_eq!(second.stdout, registry.reference("hub/tiny", &tag));
}

#[test]
fn a_wrong_import_ends_in_100_is_named_hides_no_other_test_and_pushes_nothing() {
    let registry = LocalRegistry::start();
    let repository = tiny();
    repository.write(
        "missions/tiny/environments/small/tests/imports",
        "no_such_module\niniconfig\n",
    );
    let failed = repository
        .floe(&["all", "tiny", "--registry", &registry.address("hub")])
        .expect(100);
    failed.says(&[
        "FAIL",
        "small::imports::no_such_module",
        "ModuleNotFoundError",
        "small::imports::iniconfig",
        "small::notebooks::answer.ipynb",
    ]);
    assert_eq!(registry.repositories(), Vec::<String>::new());
    repository
        .floe(&["push", "tiny", "--registry", &registry.address("hub")])
        .expect(102)
        .says(&["no passing test results"]);
    assert_eq!(registry.repositories(), Vec::<String>::new());
    assert_eq!(containers("tiny"), "");
}

#[test]
fn a_filtered_run_is_no_evidence() {
    let registry = LocalRegistry::start();
    let repository = tiny();
    repository.floe(&["build", "tiny"]).expect(0);
    let filtered = repository.floe(&["test", "tiny", "imports::iniconfig"]).expect(0);
    assert!(!filtered.stderr.contains("answer.ipynb"), "{}", filtered.stderr);
    repository
        .floe(&["push", "tiny", "--registry", &registry.address("hub")])
        .expect(102);
    repository
        .floe(&["test", "tiny", "nothing-is-called-so"])
        .expect(4)
        .says(&["no test of tiny matches"]);
}

#[test]
fn a_failing_run_names_the_file_and_line_and_ends_in_101() {
    let repository = tiny();
    let custom = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo fine\nRUN echo the cause; \\\n    false\n";
    repository.write("missions/broken/Dockerfile.custom", custom);
    repository
        .floe(&["all", "broken"])
        .expect(101)
        .says(&["missions/broken/Dockerfile.custom:4: ", "the cause"]);
    repository.write(
        "missions/broken/Dockerfile.custom",
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUNN x\n",
    );
    repository
        .floe(&["build", "broken"])
        .expect(101)
        .says(&["missions/broken/Dockerfile.custom:3: "]);
}

#[test]
fn a_package_that_does_not_exist_ends_in_101_and_is_named() {
    let repository = tiny();
    repository.write(
        "missions/tiny/environments/small/small.pip",
        "iniconfig\nno-such-package-of-that-name\n",
    );
    repository
        .floe(&["build", "tiny"])
        .expect(101)
        .says(&["missions/tiny/environments/small/small.pip:2 `no-such-package-of-that-name`"]);
}

#[test]
fn a_line_that_no_installer_reads_ends_in_3_with_its_place() {
    let repository = tiny();
    repository.write("missions/tiny/environments/small/small.pip", "iniconfig\nnumpy>=>1\n");
    repository
        .floe(&["build", "tiny"])
        .expect(3)
        .says(&["missions/tiny/environments/small/small.pip:2: no such comparison operator"]);
}

#[test]
fn a_test_script_that_never_runs_the_tests_is_not_green() {
    let repository = tiny();
    repository.write("missions/tiny/environments/test", "#! /bin/bash\nexit 0\n");
    let failed = repository.floe(&["all", "tiny"]).expect(100);
    failed.says(&["NOT-RUN", "small::imports::iniconfig", "small::notebooks::answer.ipynb"]);
}

#[test]
fn a_test_script_without_its_run_bit_is_refused_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt as _;
    let repository = tiny();
    let script = repository.write("missions/tiny/environments/test", "#! /bin/bash\nexit 0\n");
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = repository.floe(&["all", "tiny"]).expect(3);
    refused.says(&["missions/tiny/environments/test is not executable", "chmod +x"]);
}

#[test]
fn what_the_site_needs_for_a_build_is_not_in_the_image() {
    let repository = tiny();
    let ca = std::env::var("SSL_CERT_FILE").unwrap_or_else(|_| "/etc/ssl/certs/ca-certificates.crt".to_owned());
    let script = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n\
                  RUN test -s \"$SSL_CERT_FILE\" && test \"$SSL_CERT_FILE\" = \"$PIP_CERT\" && mkdir /tmp/seen\n";
    repository.write("missions/site/Dockerfile.custom", script);
    let built = repository
        .command(&["build", "site"])
        .env("SITE_CA", &ca)
        .output()
        .unwrap();
    Ended::of(built).expect(0);
    let image = repository
        .command(&["image", "site"])
        .env("SITE_CA", &ca)
        .output()
        .unwrap();
    let image = Ended::of(image).expect(0).stdout;
    let id = image.split_whitespace().nth(1).unwrap();
    let variables = docker(&[
        "run",
        "--rm",
        id,
        "sh",
        "-c",
        "ls -d /tmp/seen; env | grep CERT || echo none",
    ]);
    assert_eq!(variables, "/tmp/seen\nnone");
    // A running container's mounts hide what lies below them, so the files are listed as they would be exported.
    let container = docker(&["create", id]);
    let list = format!("docker export {container} | tar t");
    let listing = Command::new("sh").args(["-c", &list]).output().unwrap();
    docker(&["rm", &container]);
    let listing = String::from_utf8(listing.stdout).unwrap();
    let own = ["opt/common-scripts/", "opt/floe/"];
    let left = listing
        .lines()
        .filter(|path| path.contains("floe") && !own.iter().any(|own| path.starts_with(own)));
    assert!(listing.contains("tmp/seen/"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&str>::new());
    let told = docker(&["run", "--rm", id, "sh", "-c", "cat /opt/floe/*.json"]);
    assert!(told.contains("\"mission\"") && !told.contains(&ca), "{told}");
    let history = docker(&["history", "--no-trunc", id]);
    assert!(!history.contains("BEGIN CERTIFICATE"));
}

#[test]
fn an_interrupt_ends_in_130_and_leaves_no_container() {
    let repository = tiny();
    repository.write(
        "missions/tiny/environments/small/tests/answer.ipynb",
        &notebook(&["import time; time.sleep(600)"]),
    );
    repository.floe(&["build", "tiny"]).expect(0);
    let child = started_test(&repository);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    Ended::of(child.wait_with_output().unwrap())
        .expect(130)
        .says(&["interrupted"]);
    assert_eq!(containers("tiny"), "");
    let runs = std::fs::read_dir(repository.path().join(".floe/runs")).unwrap();
    let logs = runs
        .flatten()
        .filter(|run| run.path().join("events.jsonl").exists())
        .count();
    assert_eq!(logs, 1, "the interrupted run has its log");
}

#[test]
fn the_next_run_removes_the_container_of_a_killed_one() {
    let repository = tiny();
    repository.write(
        "missions/tiny/environments/small/tests/answer.ipynb",
        &notebook(&["import time; time.sleep(601)"]),
    );
    repository.floe(&["build", "tiny"]).expect(0);
    let mut child = started_test(&repository);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(containers("tiny"), "");
    let next = repository.floe(&["test", "tiny", "imports"]).expect(0);
    next.says(&["removed 1 container"]);
    assert_eq!(containers("tiny"), "");
}
