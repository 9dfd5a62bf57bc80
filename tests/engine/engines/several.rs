//! Several engines that run the tests of one image beside each other.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use floe::run::log;
use floe::run::outcome::Outcome;
use world::{Ended, LocalRegistry, run};

use super::second::Second;
use crate::site::{Reach, Site};

/// A repository with a mission, `tiny`, whose tests are scripts: one of its own, and one of each of the environments `a`, `b` …
fn site(scripts: &[&str]) -> Site {
    let site = Site::new("/opt/common-scripts/test-environments");
    for (name, script) in ('a'..).zip(scripts) {
        let path = format!("missions/tiny/environments/{name}/tests/test");
        site.repository.write(&path, &format!("#! /bin/sh\n{script}\n"));
    }
    site.command(&["build", "tiny"]).expect(0);
    site
}

fn outcome(site: &Site) -> Outcome {
    Outcome::of(&log::read(&site.run().join("events.jsonl")).unwrap())
}

/// Whether each test of the last run passed.
fn verdicts(site: &Site) -> BTreeMap<String, bool> {
    let outcome = outcome(site);
    let failed = outcome.failures().map(|(test, _)| test.id.clone()).collect::<Vec<_>>();
    let tests = outcome.tests.iter();
    tests
        .map(|test| (test.id.to_string(), !failed.contains(&test.id)))
        .collect()
}

/// The containers of the last run that an engine has, running or not.
fn containers(site: &Site, engine: &Reach) -> Vec<String> {
    let name = site.run().file_name().unwrap().to_string_lossy().into_owned();
    let mut command = Command::new("docker");
    command.envs(engine.iter().cloned());
    let filter = format!("label=org.floe.run={name}");
    let listed = run(command.args(["ps", "--all", "--quiet", "--filter", &filter]));
    listed.lines().map(str::to_owned).collect()
}

/// Waits until so many containers of the run that has begun are at an engine, and tests run in them.
fn wait_for_containers(site: &Site, engine: &Reach, number: usize) {
    let began = Instant::now();
    let runs = site.repository.path().join(".floe/runs");
    while !runs.exists() || fs::read_dir(&runs).unwrap().count() == 0 || containers(site, engine).len() < number {
        assert!(began.elapsed() < Duration::from_mins(3), "no tests run");
        thread::sleep(Duration::from_millis(100));
    }
    thread::sleep(Duration::from_millis(1500));
}

fn begin(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A second way to this machine's engine, which can be cut.
struct Line {
    socket: PathBuf,
    streams: Arc<Mutex<Vec<UnixStream>>>,
    _directory: tempfile::TempDir,
}

impl Line {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let line = Self {
            socket: directory.path().join("docker.sock"),
            streams: Arc::default(),
            _directory: directory,
        };
        line.open();
        line
    }

    /// Lets clients in.
    fn open(&self) {
        let listener = UnixListener::bind(&self.socket).unwrap();
        let streams = self.streams.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let engine = UnixStream::connect("/var/run/docker.sock").unwrap();
                for (from, to) in [(&client, &engine), (&engine, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                streams.lock().unwrap().extend([client, engine]);
            }
        });
    }

    /// Ends all connections, and lets nobody in.
    fn cut(&self) {
        fs::remove_file(&self.socket).unwrap();
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

#[test]
fn two_engines_one_of_them_behind_ssh_come_to_the_verdicts_of_this_machine() {
    // It keeps images otherwise, so that it knows this one by another ID.
    let second = Second::borrow("containerd");
    let reach = second.reach("ssh");
    let site = site(&["true", "echo what it says; false", "true", "true"]);
    let registry = LocalRegistry::start_for_a_user();
    let address = registry.address("hub");
    let login = tempfile::tempdir().unwrap();
    // `reader:pass word`.
    let auths = format!(
        "{{\"auths\": {{\"localhost:{}\": {{\"auth\": \"cmVhZGVyOnBhc3Mgd29yZA==\"}}}}}}",
        registry.port()
    );
    fs::write(login.path().join("config.json"), auths).unwrap();
    site.command(&["test", "tiny"]).expect(100);
    let here = verdicts(&site);
    assert_eq!(here.len(), 5);
    let far = &reach.iter().find(|(name, _)| name == "DOCKER_HOST").unwrap().1;
    let on = format!("docker,{far}");
    let mut command = site.prepared(&["test", "tiny", "--on", &on, "--shards", "4", "--registry", &address]);
    let environment = reach.iter().filter(|(name, _)| name != "DOCKER_HOST");
    command.envs(environment.cloned()).env("DOCKER_CONFIG", login.path());
    let ended = Ended::of(command.output().unwrap()).expect(100);
    ended.says(&["bringing tiny to", "what it says", "runs at docker", "runs at ssh://"]);
    assert_eq!(verdicts(&site), here);
    for engine in [&Reach::new(), &reach] {
        assert_eq!(containers(&site, engine), [""; 0]);
    }
}

#[test]
fn what_ran_where_the_line_was_cut_runs_on_the_other_engine_and_the_next_run_removes_what_was_left() {
    let site = site(&["sleep 4", "sleep 4", "sleep 4", "sleep 4"]);
    let line = Line::new();
    let on = format!("docker,{}", line.address());
    let child = begin(site.prepared(&["test", "tiny", "--on", &on, "--jobs", "1"]));
    wait_for_containers(&site, &Reach::new(), 2);
    line.cut();
    let ended = Ended::of(child.wait_with_output().unwrap()).expect(0);
    let gone = format!("{} starts no more containers", line.address());
    ended.says(&[gone.as_str(), "another runs the 2 tests"]);
    assert!(outcome(&site).passed);
    assert_eq!(containers(&site, &Reach::new()).len(), 1);
    line.open();
    let again = site.command(&["test", "tiny", "--on", &line.address(), "-E", "test(mission)"]);
    again.says(&["removed 1 container of a run that was killed"]);
}

#[test]
fn an_interrupt_ends_the_tests_on_each_engine_and_leaves_no_container() {
    let site = site(&["sleep 300", "sleep 300"]);
    let line = Line::new();
    let on = format!("docker,{}", line.address());
    let child = begin(site.prepared(&["test", "tiny", "--on", &on]));
    wait_for_containers(&site, &Reach::new(), 2);
    run(Command::new("kill").args(["-INT", &child.id().to_string()]));
    Ended::of(child.wait_with_output().unwrap()).expect(130);
    assert_eq!(containers(&site, &Reach::new()), [""; 0]);
}

mod long {
    use super::*;

    #[test]
    #[ignore = "starts an engine of its own, and kills it"]
    fn of_an_engine_that_is_killed_what_had_no_verdict_runs_on_the_other() {
        let second = Second::borrow("spare");
        let reach = second.reach("unix");
        let site = site(&["sleep 6", "sleep 6", "sleep 6", "sleep 6"]);
        let registry = LocalRegistry::start();
        let address = registry.address("hub");
        let far = &reach[0].1;
        let on = format!("docker,{far}");
        let child = begin(site.prepared(&["test", "tiny", "--on", &on, "--jobs", "1", "--registry", &address]));
        wait_for_containers(&site, &reach, 1);
        second.kill();
        let ended = Ended::of(child.wait_with_output().unwrap()).expect(0);
        ended.says(&["starts no more containers", "another runs the 2 tests"]);
        assert!(outcome(&site).passed);
        assert_eq!(containers(&site, &Reach::new()), [""; 0]);
    }
}
