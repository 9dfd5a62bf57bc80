//! People and pipes in containers: shells, commands, JupyterLab, and files that are copied out.

mod lab;
mod terminal;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use world::{Ended, notebook, through};

use crate::workshop::{Workshop, containers, docker};

/// A user whom neither this machine nor an image knows.
const STRANGER: &str = "12345";

/// A repository with a mission of this name, whose image is built.
fn mission(name: &str) -> Workshop {
    let repository = Workshop::new();
    let environment = format!("missions/{name}/environments/small");
    repository.write(&format!("{environment}/small.pip"), "iniconfig\n");
    repository.write(&format!("{environment}/tests/imports"), "iniconfig\n");
    repository.write(&format!("{environment}/tests/data.csv"), "1,2\n");
    let source = notebook(&["print(open('data.csv').read())"]);
    repository.write(&format!("{environment}/tests/intro.ipynb"), &source);
    repository.write("setup-env", &format!("export TEST_SERVER=0\nexport MISSION={name}\n"));
    repository.floe(&["build"]).expect(0);
    repository
}

/// A call whose standard input is `input`.
fn given(mut command: Command, input: &str) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The command may write before it reads, or read nothing.
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let ended = Ended::of(child.wait_with_output().unwrap());
    let _ = writing.join().unwrap();
    ended
}

#[test]
fn a_command_has_the_streams_and_the_exit_code_of_its_call() {
    let repository = mission("piped");
    let exec = |words: &[&str]| repository.command(&[&["exec", "--"], words].concat());
    let ended = given(exec(&["sh", "-c", "cat; echo err >&2; exit 7"]), "some\nlines\n").expect(7);
    assert_eq!(ended.stdout, "some\nlines\n");
    assert_eq!(ended.stderr, "err\n");
    let missing = given(exec(&["nosuchprogram"]), "").expect(127);
    assert_eq!(
        missing.stderr,
        "error: nosuchprogram: there is no such program in the image\n"
    );
    // More than any buffer on the way holds, and nothing of it is lost or waits for the other stream.
    let large = given(
        exec(&["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; cat >&2"]),
        &"y".repeat(2_000_000),
    );
    assert_eq!((large.stdout.len(), large.stderr.len()), (3_000_000, 2_000_000));
    // The environment is active, in a shell that reads a pipe, too.
    let shell = repository.command(&["shell", "piped", "--env", "small"]);
    let ended = given(shell, "python -c 'import sys, iniconfig; print(sys.prefix)'; exit 3\n").expect(3);
    assert_eq!(ended.stdout, "/opt/conda/envs/small\n");
    // A reader that has enough ends the command.
    let words = "\"$0\" exec -- yes | head -n 1";
    let mut piped = through(&["bash", "-c", words], &repository.command(&[]));
    let began = Instant::now();
    assert_eq!(String::from_utf8(piped.output().unwrap().stdout).unwrap(), "y\n");
    assert!(began.elapsed() < Duration::from_secs(20));
    // One that does not read keeps floe from hearing nothing.
    let mut call = exec(&["yes"]);
    let mut deaf = call.stdout(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_secs(5));
    let pid = deaf.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert_eq!(deaf.wait().unwrap().code(), Some(143));
    let unknown = given(repository.command(&["exec", "-e", "none", "--", "true"]), "").expect(3);
    assert!(unknown.stderr.contains("small"), "{}", unknown.stderr);
    assert_eq!(containers("piped"), "");
}

#[test]
fn what_is_written_to_a_mount_belongs_to_whoever_calls_and_the_image_knows_a_name_for_them() {
    let repository = mission("mounted");
    let root = repository.path();
    for directory in ["home", "data"] {
        fs::create_dir(root.join(directory)).unwrap();
    }
    repository.write(
        "setup-env",
        "export MISSION=mounted\nexport DATA_MOUNTS=data:/data:ro\n",
    );
    repository.write("data/given", "text");
    // The program itself may lie where nobody else reaches it.
    let program = root.join("floe");
    fs::copy(world::program(), &program).unwrap();
    let group = fs::metadata("/var/run/docker.sock").unwrap().gid().to_string();
    let own = Command::new("chown").args(["-R", STRANGER]).arg(root).status().unwrap();
    assert!(own.success());
    let script = "id -un; cat /data/given; touch ~/made; ! touch /data/made 2>/dev/null; pip --version > /dev/null; \
                  touch /opt/conda/made";
    let meant = repository.command(&["exec", "--home", "home", "--", "bash", "-ec", script]);
    let mut call = Command::new(&program);
    call.args(meant.get_args())
        .current_dir(root)
        .env_clear()
        .envs(meant.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("HOME", root);
    let words = ["setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--groups", &group];
    let ended = Ended::of(through(&words, &call).output().unwrap()).expect(0);
    assert_eq!(ended.stdout, "jovyan\ntext");
    let made = fs::metadata(root.join("home/made")).unwrap();
    assert_eq!(made.uid().to_string(), STRANGER);
    assert!(!root.join("data/made").exists());
    // Without a mount, the image's own user runs.
    let own = repository.floe(&["exec", "--", "id", "-u"]).expect(0);
    assert_eq!(own.stdout, "1000\n");
    let missing = repository
        .floe(&["exec", "--mount", "nowhere:/x", "--", "true"])
        .expect(3);
    missing.says(&["there is no", "nowhere"]);
    assert!(!root.join("nowhere").exists());
}

#[test]
fn the_sources_are_seen_live_and_a_stale_image_is_used_as_it_is() {
    let repository = mission("live");
    repository.write("common/common-scripts/said", "#! /bin/sh\necho first\n");
    let said = ["exec", "--dev", "--", "sh", "/opt/common-scripts/said"];
    let first = repository.floe(&said).expect(0);
    assert_eq!(first.stdout, "first\n");
    first.says(&["the image of live is stale", "`floe build live` builds it"]);
    // As an editor writes it: another file in its place, while a container sees it.
    let script = "cat /opt/environments/small/small.pip; echo ready; read -r _; sh /opt/common-scripts/said; \
                  test -x /opt/common-scripts/env-run";
    let mut call = repository.command(&["exec", "--dev", "--", "bash", "-ec", script]);
    let mut child = call.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_secs(2));
    repository.write("common/common-scripts/new", "#! /bin/sh\necho second\n");
    let scripts = repository.path().join("common/common-scripts");
    fs::rename(scripts.join("new"), scripts.join("said")).unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(ended.stdout, "iniconfig\nready\nsecond\n");
}

#[test]
fn a_call_that_is_ended_leaves_no_container_and_one_that_is_killed_leaves_it_to_the_next() {
    let repository = mission("ended");
    let sleeping = || {
        let mut call = repository.command(&["exec", "--", "bash", "-c", "echo up; sleep 100"]);
        let mut child = call.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        assert_eq!(said, "up\n");
        child
    };
    let signalled = |child: &Child, name: &str| {
        assert!(
            Command::new("kill")
                .args([name, &child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    };
    for (name, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let mut child = sleeping();
        signalled(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{name}");
        assert_eq!(containers("ended"), "", "{name}");
    }
    let mut child = sleeping();
    signalled(&child, "-KILL");
    child.wait().unwrap();
    assert_ne!(containers("ended"), "");
    repository
        .floe(&["exec", "--", "true"])
        .expect(0)
        .says(&["removed 1 container"]);
    assert_eq!(containers("ended"), "");
}

#[test]
fn a_shell_at_a_test_is_in_a_copy_of_its_directory_with_its_environment_active() {
    let repository = mission("there");
    let at = |test: &str, script: &str| given(repository.command(&["shell", "there", "--at", test]), script);
    let ended = at(
        "small::notebooks::intro.ipynb",
        "cat data.csv; echo 3 > data.csv; pwd; echo $CONDA_DEFAULT_ENV; test-notebooks small intro.ipynb\n",
    );
    let ended = ended.expect(0);
    assert!(ended.stdout.starts_with("1,2\n/tmp/floe-test-"), "{}", ended.stdout);
    assert!(
        ended.stdout.ends_with("/opt/environments/small/tests\nsmall\n"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stderr.contains("To run it: test-notebooks small intro.ipynb\n"),
        "{}",
        ended.stderr
    );
    at("small::imports::iniconfig", "python -c 'import iniconfig'\n").expect(0);
    let unknown = at("small::imports::none", "").expect(4);
    assert!(
        unknown.stderr.contains("it has small::imports::iniconfig"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn a_copy_out_of_an_image_belongs_to_whoever_calls() {
    let repository = mission("copied");
    let ended = repository.floe(&["cp", "/opt/environments/small"]).expect(0);
    assert_eq!(ended.stdout, "./small\n");
    let file = repository.path().join("small/small.pip");
    assert_eq!(fs::read_to_string(&file).unwrap(), "iniconfig\n");
    assert_eq!(
        fs::metadata(&file).unwrap().uid(),
        fs::metadata(repository.path()).unwrap().uid()
    );
    // Again, into what is there.
    fs::write(&file, "changed").unwrap();
    fs::write(repository.path().join("small/own"), "").unwrap();
    repository.floe(&["cp", "copied:/opt/environments/small"]).expect(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "iniconfig\n");
    assert!(repository.path().join("small/own").exists());
    repository.floe(&["cp", "/etc/hostname", "renamed"]).expect(0);
    assert!(repository.path().join("renamed").is_file());
    repository
        .floe(&["cp", "/no/such"])
        .expect(4)
        .says(&["the image holds no /no/such"]);
    assert_eq!(docker(&["ps", "-aq", "--filter", "label=org.floe.mission=copied"]), "");
}
