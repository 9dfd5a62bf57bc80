//! Podman: at a socket, and as a service that floe starts for itself where there is none.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use world::{Ended, LocalRegistry, program, run};

use super::a_day_at;
use crate::site::{Reach, Site};

/// A service of Podman's with a store of its own.
pub struct Podman {
    service: Child,
    directory: TempDir,
}

/// crun, which Podman prefers where it is, starts nothing beside control groups of both versions, as some machines of
/// continuous integration have them.
const SETTINGS: &str = "[engine]\nruntime = \"runc\"\n";

impl Podman {
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("floe-test-podman-").tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let store = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            path("store"),
            path("run")
        );
        fs::write(path("storage.conf"), store).unwrap();
        fs::write(path("containers.conf"), SETTINGS).unwrap();
        let service = Command::new("podman")
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", path("podman.sock")))
            .env("CONTAINERS_STORAGE_CONF", path("storage.conf"))
            .env("CONTAINERS_CONF", path("containers.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("podman is installed (scripts/check installs it)");
        let podman = Self { service, directory };
        wait("the service listens", || podman.path("podman.sock").exists());
        podman
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    pub fn reach(&self) -> Reach {
        let socket = format!("unix://{}", self.path("podman.sock").display());
        vec![("DOCKER_HOST".to_owned(), socket)]
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = Command::new("podman")
            .args(["rm", "--all", "--force", "--time", "0"])
            .env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"))
            .env("CONTAINERS_CONF", self.path("containers.conf"))
            .output();
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

#[track_caller]
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a call where the sockets of this machine's engines and Docker's programs are out of sight, but not what Podman knows
/// of its containers.
const HIDE: &str = r#"
mkdir -p "$0"
mount --rbind /run "$0"
mount -t tmpfs none /run
for part in libpod containers netns runc crun lock; do
    [ -d "$0/$part" ] || continue
    mkdir "/run/$part"
    mount --rbind "$0/$part" "/run/$part"
done
for program in docker dockerd; do
    mount --bind /dev/null "$(command -v "$program")"
done
exec "$@"
"#;

/// The call, where no engine listens, and Podman's store is that of `podman`.
fn alone(podman: &Podman, mut command: Command) -> Command {
    let runtime = podman.path("runtime");
    fs::create_dir_all(&runtime).unwrap();
    command
        .env_remove("DOCKER_HOST")
        .env("CONTAINERS_STORAGE_CONF", podman.path("storage.conf"))
        .env("CONTAINERS_CONF", podman.path("containers.conf"))
        .env("XDG_RUNTIME_DIR", &runtime);
    let mut hidden = Command::new("unshare");
    hidden.env_remove("DOCKER_HOST");
    hidden.args(["--mount", "sh", "-euc", HIDE]).arg(podman.path("hidden"));
    hidden.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => hidden.env(name, value),
            None => hidden.env_remove(name),
        };
    }
    hidden.current_dir(command.get_current_dir().unwrap());
    hidden
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn a_day_is_as_long_at_podmans_socket() {
    let podman = Podman::start();
    a_day_at(podman.reach());
}

#[test]
fn where_podman_is_but_no_socket_floe_starts_it_and_ends_it() {
    let podman = Podman::start();
    let site = Site::on(podman.reach(), "true");
    let alone = |arguments: &[&str]| alone(&podman, site.prepared(arguments));
    let runtime = podman.path("runtime");
    let ended = Ended::of(alone(&["test", "tiny"]).output().unwrap()).expect(0);
    assert_eq!(ended.stderr.matches("UP-TO-DATE").count(), 0, "{}", ended.stderr);
    wait("the service is gone", || is_empty(&runtime));
    // A killed floe ends it, too.
    site.repository
        .write("missions/tiny/environments/test", "#! /bin/sh\nsleep 300\n");
    let mut slow = alone(&["test", "tiny"]);
    let mut slow = slow.process_group(0).stderr(Stdio::null()).spawn().unwrap();
    let running = || {
        let log = fs::read_to_string(site.run().join("events.jsonl")).unwrap_or_default();
        log.contains("script-started") && !log.contains("run-finished")
    };
    wait("its test runs", running);
    assert!(!is_empty(&runtime));
    slow.kill().unwrap();
    slow.wait().unwrap();
    wait("the service is gone", || is_empty(&runtime));
}

#[test]
fn a_build_that_fails_at_podman_names_the_line_and_what_was_printed() {
    let podman = Podman::start();
    let site = Site::on(podman.reach(), "true");
    let dockerfile = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo before; echo no compiler >&2; exit 3\n";
    site.repository.write("missions/tiny/Dockerfile", dockerfile);
    let failed = site.command(&["build", "tiny"]).expect(101);
    failed.says(&["missions/tiny/Dockerfile:3", "no compiler", "exit code: 3"]);
    let dockerfile = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY nothing /\n";
    site.repository.write("missions/tiny/Dockerfile", dockerfile);
    let failed = site.command(&["build", "tiny"]).expect(101);
    failed.says(&["missions/tiny/Dockerfile:3", "nothing"]);
}

#[test]
fn what_podman_lacks_is_said_once_in_a_call() {
    let podman = Podman::start();
    let site = Site::on(podman.reach(), "true");
    let dockerfile = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nENV AGAIN=1\nCOPY common-scripts/ /opt/common-scripts/\n";
    site.repository.write("common/Dockerfile", dockerfile);
    let built = site.command(&["build", "tiny"]).expect(0).stderr;
    assert_eq!(built.matches("BUILT").count(), 3, "{built}");
    assert_eq!(built.matches("one stage after the other").count(), 1, "{built}");
}

#[test]
fn what_podman_has_stored_of_a_login_lets_floe_push() {
    let (podman, registry) = (Podman::start(), LocalRegistry::start_for_a_user());
    let site = Site::on(podman.reach(), "true");
    site.command(&["test", "tiny"]).expect(0);
    let stored = podman.path("auth.json");
    let push = || {
        let mut command = site.prepared(&["push", "tiny", "--registry", &registry.address("hub")]);
        Ended::of(command.env("REGISTRY_AUTH_FILE", &stored).output().unwrap())
    };
    push().expect(102).says(&["podman login"]);
    let host = registry.address("");
    run(Command::new("podman")
        .args([
            "login",
            "--username",
            "reader",
            "--password",
            "pass word",
            "--tls-verify=false",
        ])
        .arg(host.trim_end_matches('/'))
        .env("REGISTRY_AUTH_FILE", &stored)
        .env("CONTAINERS_STORAGE_CONF", podman.path("storage.conf")));
    push().expect(0);
}

#[test]
fn what_is_pushed_at_docker_is_pulled_and_run_at_podman_compressed_either_way() {
    let registry = LocalRegistry::start();
    let here = Site::new("exit 0");
    here.repository.write("missions/tiny/brought", "from Docker\n");
    let dockerfile =
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY brought /opt/brought\nCOPY environments/ /opt/environments/\n";
    here.repository.write("missions/tiny/Dockerfile", dockerfile);
    here.command(&["test", "tiny"]).expect(0);
    let pushed = ["gzip", "zstd"].map(|compression| {
        let mut push = here.prepared(&["push", "tiny", "--registry", &registry.address(compression)]);
        let pushed = Ended::of(push.env("LAYER_COMPRESSION", compression).output().unwrap()).expect(0);
        let reference = pushed.stdout.trim().to_owned();
        let manifest = registry.manifest(&format!("{compression}/tiny"), reference.split_once('@').unwrap().1);
        let layers = manifest["layers"].as_array().unwrap();
        let forms = layers.iter().map(|layer| layer["mediaType"].as_str().unwrap());
        assert!(forms.clone().all(|form| form.ends_with(compression)), "{manifest}");
        assert!(forms.count() > 2, "{manifest}");
        reference
    });
    // There is one repository at a time.
    drop(here);

    // To a Podman that has pulled one of them, the other brings nothing new.
    for reference in pushed {
        let podman = Podman::start();
        run(Command::new("podman")
            .args(["pull", "--tls-verify=false", &reference])
            .env("CONTAINERS_STORAGE_CONF", podman.path("storage.conf")));
        let script = "read -r said < /opt/brought; test \"$said\" = 'from Docker'";
        let there = Site::on(podman.reach(), script);
        let dockerfile = format!("FROM {reference}\nCOPY environments/ /opt/environments/\n");
        there.repository.write("missions/tiny/Dockerfile", &dockerfile);
        there.command(&["test", "tiny"]).expect(0).says(&["PASS"]);
    }
}

#[test]
fn a_container_that_podman_cannot_start_leads_to_podmans_settings() {
    let podman = Podman::start();
    let site = Site::on(podman.reach(), "true");
    let broken = "[engine]\nruntime = \"broken\"\n[engine.runtimes]\nbroken = [\"/bin/false\"]\n";
    fs::write(podman.path("containers.conf"), broken).unwrap();
    let failed = Ended::of(alone(&podman, site.prepared(&["test", "tiny"])).output().unwrap()).expect(75);
    let failed = failed.says(&["`podman run IMAGE true` must work here", "containers.conf"]);
    // Docker's log knows nothing of it.
    assert!(!failed.stderr.contains("journalctl -u docker"), "{}", failed.stderr);
}

mod long {
    use super::*;
    use crate::engines::second::Second;

    #[test]
    #[ignore = "makes a root file system"]
    fn a_day_is_as_long_at_a_newer_podman() {
        let second = Second::borrow("podman");
        a_day_at(second.reach("unix"));
    }

    #[test]
    #[ignore = "makes an image of a gigabyte"]
    fn a_machine_with_podman_alone_passes_quickstart() {
        let podman = Podman::start();
        let clone = podman.path("clone");
        fs::create_dir(&clone).unwrap();
        run(Command::new("sh")
            .args([
                "-euc",
                "git ls-files -z | xargs -0 cp --parents --no-dereference --target-directory \"$0\"",
            ])
            .arg(&clone)
            .current_dir(env!("CARGO_MANIFEST_DIR")));
        let mut command = Command::new(clone.join("scripts/quickstart"));
        command.env("FLOE", program()).current_dir(&clone);
        let ended = Ended::of(alone(&podman, command).output().unwrap()).expect(0);
        ended.says(&["PASS", "Report: .floe/runs/"]);
    }
}
