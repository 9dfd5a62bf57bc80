//! The cluster, a namespace of it, and a repository whose tests run there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use floe::event::Event;
use floe::run::log;
use floe::run::outcome::Outcome;
use world::{Ended, LocalRegistry, kubectl, run, scratch};

use crate::site::Site;

/// A namespace that goes with the test.
pub struct Namespace {
    name: String,
    kubeconfig: PathBuf,
    _users: File,
}

impl Namespace {
    /// Waits until the cluster takes work, and makes a namespace there.
    pub fn new() -> Self {
        fs::create_dir_all(scratch()).unwrap();
        let users = scratch().join("kubernetes.users");
        let file = File::options().create(true).append(true).open(&users).unwrap();
        // Before the call, lest the cluster end right after it. The lock goes with the process.
        file.lock_shared().unwrap();
        let up = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/kubernetes/up");
        let kubeconfig = PathBuf::from(run(Command::new(up).arg("lend").arg(users)).trim());
        let unique = tempfile::tempdir().unwrap();
        let unique = unique.path().file_name().unwrap().to_string_lossy().to_lowercase();
        let namespace = Self {
            name: format!("floe-{}", unique.trim_start_matches(".tmp")),
            kubeconfig,
            _users: file,
        };
        namespace.kubectl(&["create", "namespace", &namespace.name]);
        namespace
    }

    /// What kubectl says, of this namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(kubectl());
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .args(["--namespace", &self.name]);
        run(command.args(arguments)).trim().to_owned()
    }

    /// What of floe's there is in it. What is being removed is waited for.
    pub fn left(&self) -> String {
        let list = || {
            let ours = "app.kubernetes.io/managed-by=floe";
            self.kubectl(&[
                "get",
                "jobs,pods,secrets,configmaps",
                "--selector",
                ours,
                "--output",
                "name",
            ])
        };
        let began = Instant::now();
        loop {
            let left = list();
            if left.is_empty() || began.elapsed() > Duration::from_mins(2) {
                return left;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Asks the cluster to evict all pods, as who drains a node does.
    pub fn evict_all(&self) {
        let pods = self.kubectl(&["get", "pods", "--output", "jsonpath={.items[*].metadata.name}"]);
        for pod in pods.split_whitespace() {
            let eviction = format!(
                "{{\"apiVersion\": \"policy/v1beta1\", \"kind\": \"Eviction\", \
                  \"metadata\": {{\"name\": \"{pod}\", \"namespace\": \"{}\"}}}}",
                self.name
            );
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), eviction).unwrap();
            let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", self.name);
            self.kubectl(&["create", "--raw", &path, "--filename", file.path().to_str().unwrap()]);
        }
    }

    /// Waits until the tests of so many pods run.
    pub fn wait_for_tests(&self, pods: usize) {
        self.wait_for(pods, &["running"]);
    }

    /// Waits until the tests of so many pods have begun, of which some may have ended.
    pub fn wait_for_begun(&self, pods: usize) {
        self.wait_for(pods, &["running", "terminated"]);
    }

    fn wait_for(&self, pods: usize, states: &[&str]) {
        let began = Instant::now();
        let path = |state: &&str| format!("{{.items[*].status.containerStatuses[*].state.{state}.startedAt}}");
        let paths = states.iter().map(path).collect::<Vec<_>>();
        let output = format!("jsonpath={}", paths.join(" "));
        loop {
            let times = self.kubectl(&["get", "pods", "--output", &output]);
            if times.split_whitespace().count() >= pods {
                return;
            }
            assert!(began.elapsed() < Duration::from_mins(2), "no tests run: {times}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let mut command = Command::new(kubectl());
        command.env("KUBECONFIG", &self.kubeconfig);
        let _ = command
            .args(["delete", "namespace", "--wait=false", &self.name])
            .output();
    }
}

/// The call that tests the mission on the cluster.
const TEST: &[&str] = &["test", "tiny", "--on", "kubernetes"];

/// A repository with a mission, `tiny`, whose tests are scripts: one of its own, and one of each of the environments `a`, `b` …
pub struct Bench {
    pub site: Site,
    pub namespace: Namespace,
    registry: LocalRegistry,
    login: tempfile::TempDir,
}

impl Bench {
    /// The repository, in which the tests of the environments run `scripts`.
    pub fn new(scripts: &[&str]) -> Self {
        Self::with_registry(LocalRegistry::start(), scripts)
    }

    /// The same with another registry, which lets floe in as `reader`.
    pub fn with_registry(registry: LocalRegistry, scripts: &[&str]) -> Self {
        let namespace = Namespace::new();
        let site = Site::new("/opt/common-scripts/test-environments");
        for (name, script) in ('a'..).zip(scripts) {
            let path = format!("missions/tiny/environments/{name}/tests/test");
            site.repository.write(&path, &format!("#! /bin/sh\n{script}\n"));
        }
        let login = tempfile::tempdir().unwrap();
        let host = registry.address("");
        let host = host.trim_end_matches('/');
        // `reader:pass word`.
        let auths = format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"cmVhZGVyOnBhc3Mgd29yZA==\"}}}}}}");
        fs::write(login.path().join("config.json"), auths).unwrap();
        let bench = Self {
            site,
            namespace,
            registry,
            login,
        };
        bench.settings("");
        bench
    }

    /// Lets the pods be as `settings` say.
    pub fn settings(&self, settings: &str) {
        let text = format!("namespace: {}\n{settings}", self.namespace.name);
        self.site.repository.write("kubernetes.yml", &text);
    }

    /// Where images go.
    pub fn registry(&self) -> String {
        self.registry.address("hub")
    }

    /// A call of floe that reaches the cluster.
    pub fn prepared(&self, words: &[&str]) -> Command {
        let mut command = self.site.prepared(words);
        command.env("KUBECONFIG", &self.namespace.kubeconfig);
        command.env("REGISTRY", self.registry());
        command.env("DOCKER_CONFIG", self.login.path());
        command
    }

    /// The same, called.
    pub fn call(&self, words: &[&str]) -> Ended {
        Ended::of(self.prepared(words).output().unwrap())
    }

    /// The same, begun.
    pub fn begin_call(&self, words: &[&str]) -> Begun {
        let mut command = self.prepared(words);
        Begun(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Tests the mission on the cluster.
    pub fn test(&self, arguments: &[&str]) -> Ended {
        self.call(&[TEST, arguments].concat())
    }

    /// Begins to.
    pub fn begin(&self, arguments: &[&str]) -> Begun {
        self.begin_call(&[TEST, arguments].concat())
    }

    /// What happened in the last run.
    pub fn events(&self) -> Vec<Event> {
        let records = log::read(&self.site.run().join("events.jsonl")).unwrap();
        records.into_iter().map(|record| record.event).collect()
    }

    /// What the last run amounts to.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(&log::read(&self.site.run().join("events.jsonl")).unwrap())
    }
}

/// A run that goes on.
pub struct Begun(Child);

impl Begun {
    /// Waits for its end.
    pub fn end(self) -> Ended {
        Ended::of(self.0.wait_with_output().unwrap())
    }

    /// Interrupts it, as Ctrl-C does.
    pub fn interrupt(&self) {
        run(Command::new("kill").args(["-INT", &self.0.id().to_string()]));
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
