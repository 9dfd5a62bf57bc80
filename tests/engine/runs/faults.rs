//! What a run survives: want of memory, floods of processes, and engines and people that take its container away.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use floe::event::CauseKind;
use world::Ended;

use super::{add, failures, last, mission, running, started};
use crate::site::Site;
use crate::workshop::{containers, docker};

/// Takes memory until there is none.
const GREEDY: &str = "taken = []\nwhile True: taken.append(b'x' * 2**24)";

#[test]
fn a_kill_for_memory_of_a_kernel_or_its_child_is_told_and_the_other_tests_run() {
    let repository = mission("greedy");
    add(&repository, "greedy", "kernel.ipynb", GREEDY);
    let child = format!("import subprocess, sys\nsubprocess.run([sys.executable, '-c', '''{GREEDY}'''], check=True)");
    add(&repository, "greedy", "child.ipynb", &child);
    repository.write(
        "missions/greedy/environments/small/tests/notebooks",
        "!child.ipynb\n!kernel.ipynb\n",
    );
    repository.floe(&["build", "greedy"]).expect(0);
    repository
        .floe(&["test", "greedy", "small::", "--container-memory", "500M"])
        .expect(100)
        .says(&["OOM", "3 passed, 2 failed"]);
    let mut failures = failures(&last(&repository));
    failures.sort_by(|a, b| a.0.cmp(&b.0));
    let killed = |name: &str| (format!("small::notebooks::{name}"), CauseKind::Oom);
    assert_eq!(failures, [killed("child.ipynb"), killed("kernel.ipynb")]);
}

#[test]
fn a_kill_for_memory_of_the_whole_container_is_told_and_what_did_not_run_is_red() {
    let repository = mission("whole");
    let some = "import time; time.sleep(6); taken = b'x' * 2**27; time.sleep(60)";
    let source = format!(
        "import subprocess, sys, time\n\
         for _ in range(8): subprocess.Popen([sys.executable, '-c', \"{some}\"])\ntime.sleep(60)"
    );
    add(&repository, "whole", "greedy.ipynb", &source);
    repository.floe(&["build", "whole"]).expect(0);
    let call = ["test", "whole", "small::", "--container-memory", "500M"];
    let child = running(&repository, &call, "notebooks");
    // The process with the highest score is killed: the first, and with it the container.
    let first = docker(&["inspect", "--format", "{{.State.Pid}}", &containers("whole")]);
    fs::write(format!("/proc/{}/oom_score_adj", first.trim()), "1000").unwrap();
    Ended::of(child.wait_with_output().unwrap())
        .expect(100)
        .says(&["the container was killed for memory"]);
    let outcome = last(&repository);
    assert!(!outcome.passed);
    let red = ("small::notebooks::greedy.ipynb".to_owned(), CauseKind::NotRun);
    assert!(failures(&outcome).contains(&red), "{outcome:#?}");
    assert_eq!(containers("whole"), "");
}

#[test]
fn a_notebook_that_forks_without_end_is_ended_and_the_other_tests_run() {
    let repository = mission("bomb");
    let source = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass";
    add(&repository, "bomb", "bomb.ipynb", source);
    repository.floe(&["build", "bomb"]).expect(0);
    repository
        .floe(&["test", "bomb", "small::", "--cell-timeout", "5s"])
        .expect(100)
        .says(&["TIMEOUT", "3 passed, 1 failed"]);
    let red = ("small::notebooks::bomb.ipynb".to_owned(), CauseKind::Timeout);
    assert_eq!(failures(&last(&repository)), [red]);
}

#[test]
fn a_container_that_somebody_removes_is_told_and_its_tests_are_red() {
    let repository = mission("removed");
    add(&repository, "removed", "long.ipynb", "import time; time.sleep(3600)");
    repository.floe(&["build", "removed"]).expect(0);
    let child = running(&repository, &["test", "removed"], "notebooks");
    let container = containers("removed");
    let removed = Command::new("docker").args(["rm", "--force", &container]).output();
    assert!(removed.unwrap().status.success());
    Ended::of(child.wait_with_output().unwrap())
        .expect(75)
        .says(&["was removed while it ran"]);
    let outcome = last(&repository);
    assert!(!outcome.passed);
    let red = ("small::notebooks::long.ipynb".to_owned(), CauseKind::NotRun);
    assert!(failures(&outcome).contains(&red), "{outcome:#?}");
}

#[test]
fn an_entrypoint_that_does_not_run_its_arguments_is_not_green() {
    let repository = mission("entry");
    let template = "{{ env_stages }}\n\nFROM {{ common_image }}\n{{ env_layers }}\nENTRYPOINT [\"true\"]\n";
    repository.write("missions/entry/Dockerfile.custom.tera", template);
    repository.floe(&["build", "entry"]).expect(0);
    repository
        .floe(&["test", "entry"])
        .expect(4)
        .says(&["does the image's entrypoint run its arguments?"]);
    assert_eq!(last(&repository).summary.passed, 0);
}

#[test]
fn an_engine_that_is_restarted_while_tests_run_costs_the_run_and_nothing_more() {
    let mut engine = Engine::start();
    let site = Site::on(vec![("DOCKER_HOST".to_owned(), engine.address())], "sleep 3600");
    for signal in ["-TERM", "-KILL"] {
        let child = started(&site.repository, site.prepared(&["test", "tiny"]), "mission:tiny::test");
        engine.restart(signal);
        let ended = Ended::of(child.wait_with_output().unwrap());
        assert!([75, 100].contains(&ended.code), "{ended:#?}");
        let outcome = last(&site.repository);
        assert!(!outcome.passed && outcome.seconds.is_some(), "{outcome:#?}");
        // The second of two parts holds no test; any run looks for what others left.
        let next = site.command(&["test", "tiny", "--partition", "2/2"]).expect(0);
        next.says(&["removed 1 container"]);
    }
}

/// An engine beside this machine's own, which a test may stop.
struct Engine {
    directory: tempfile::TempDir,
    daemon: Child,
}

impl Engine {
    fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("floe-engine-").tempdir().unwrap();
        let daemon = daemon(directory.path());
        Self { directory, daemon }
    }

    fn address(&self) -> String {
        address(self.directory.path())
    }

    fn stop(&mut self, signal: &str) {
        let pid = self.daemon.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.daemon.wait().unwrap();
        // The program beneath it outlives a daemon that was killed.
        let beneath = self.directory.path().join("exec/containerd/containerd.pid");
        if let Ok(pid) = fs::read_to_string(&beneath) {
            let _ = Command::new("kill").args(["-KILL", pid.trim()]).output();
            // The next daemon would wait for it, be it a zombie.
            fs::remove_file(beneath).unwrap();
        }
    }

    fn restart(&mut self, signal: &str) {
        self.stop(signal);
        self.daemon = daemon(self.directory.path());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop("-TERM");
    }
}

/// Starts an engine whose files are all in `directory`, and waits until it answers. Networks and mounts are its own, lest
/// it take the bridge of this machine's engine away.
fn daemon(directory: &Path) -> Child {
    let file = |name: &str| directory.join(name).display().to_string();
    let log = fs::File::options().create(true).append(true).open(file("log")).unwrap();
    let child = Command::new("unshare")
        .args(["--net", "--mount", "dockerd"])
        .arg(format!("--data-root={}", file("data")))
        .arg(format!("--exec-root={}", file("exec")))
        .arg(format!("--pidfile={}", file("pid")))
        .arg(format!("--host={}", address(directory)))
        .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
        .stdin(Stdio::null())
        .stderr(log.try_clone().unwrap())
        .stdout(log)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut version = Command::new("docker");
    version.env("DOCKER_HOST", address(directory)).arg("version");
    while !version.output().unwrap().status.success() {
        let log = || fs::read_to_string(file("log")).unwrap();
        assert!(Instant::now() < deadline, "the engine does not answer:\n{}", log());
        sleep(Duration::from_millis(100));
    }
    child
}

fn address(directory: &Path) -> String {
    format!("unix://{}", directory.join("socket").display())
}
