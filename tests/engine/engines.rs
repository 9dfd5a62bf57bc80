//! Engines other than this machine's own, and other ways to one: what a person does in a day holds at each of them.

mod day;
mod layers;
mod mission;
mod podman;
mod second;
mod several;

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::SystemTime;

use floe::engine::{self, Absence, Directions, EngineError};
use floe::fault::{Explained as _, Kind};
use world::{Ended, LocalRegistry, run};

use self::day::a_day_at;
use self::second::Second;
use crate::site::Site;

#[test]
fn a_day_is_as_long_at_an_engine_that_keeps_images_as_containerd_does() {
    let second = Second::borrow("containerd");
    a_day_at(second.reach("unix"));
    // What floe has built is nowhere else, and what a registry has under its tags is somebody else's. By a digest nobody can
    // give another image.
    let said = second.said();
    let by_tag = |line: &&str| line.contains("/v2/floe/") && !line.contains("/sha256:");
    let asked = said.lines().filter(by_tag).collect::<Vec<_>>();
    assert!(asked.is_empty(), "a registry was asked:\n{}", asked.join("\n"));
}

#[test]
fn a_day_is_as_long_at_a_port_with_certificates_and_the_classic_store() {
    let second = Second::borrow("classic");
    a_day_at(second.reach("tls"));
}

#[test]
fn a_day_is_as_long_through_ssh() {
    let second = Second::borrow("containerd");
    a_day_at(second.reach("ssh"));
}

#[test]
fn layers_of_zstd_are_pulled_and_run_by_an_engine_that_can() {
    let second = Second::borrow("classic");
    let (registry, site) = (LocalRegistry::start(), Site::on(second.reach("unix"), "true"));
    site.command(&["test", "tiny"]).expect(0);
    let before = SystemTime::now();
    let mut push = site.prepared(&["push", "tiny", "--registry", &registry.address("hub")]);
    let pushed = Ended::of(push.env("LAYER_COMPRESSION", "zstd").output().unwrap()).expect(0);
    let image = pushed.stdout.trim();
    let manifest = registry.manifest("hub/tiny", image.split_once('@').unwrap().1);
    for layer in manifest["layers"].as_array().unwrap() {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    }
    let id = manifest["config"]["digest"].as_str().unwrap();
    assert!(!site.saved(before).contains(id), "layers are read where it keeps them");
    run(site.docker().args(["rmi", "--force", id]));
    run(site.docker().args([
        "run",
        "--rm",
        "--pull",
        "always",
        image,
        "/bin/sh",
        "/opt/environments/test",
    ]));
}

#[tokio::test]
async fn a_context_that_dockers_client_made_leads_to_its_engine() {
    let second = Second::borrow("classic");
    let reach = second.reach("tls");
    let value = |name: &str| &reach.iter().find(|(known, _)| known == name).unwrap().1;
    let (host, certificates) = (value("DOCKER_HOST"), value("DOCKER_CERT_PATH"));
    let client = tempfile::tempdir().unwrap();
    let file = |name: &str| format!("{certificates}/{name}.pem");
    let endpoint = format!(
        "host={host},ca={},cert={},key={}",
        file("ca"),
        file("cert"),
        file("key")
    );
    let docker = |arguments: &[&str]| {
        run(Command::new("docker")
            .args(arguments)
            .env("DOCKER_CONFIG", client.path())
            .env_remove("DOCKER_HOST"))
    };
    docker(&["context", "create", "far", "--docker", &endpoint]);
    docker(&[
        "context",
        "create",
        "trusting",
        "--docker",
        &format!(
            "host={host},skip-tls-verify=true,cert={},key={}",
            file("cert"),
            file("key")
        ),
    ]);
    for name in ["far", "trusting"] {
        docker(&["context", "use", name]);
        let by = |context: Option<&str>| Directions {
            context: context.map(str::to_owned),
            client: Some(client.path().to_owned()),
            ..Directions::default()
        };
        for context in [None, Some(name)] {
            engine::connect(&by(context)).await.map(drop).unwrap();
        }
    }
}

#[test]
fn a_build_goes_to_a_port_without_certificates() {
    // What stands between is a port of this machine before its engine's socket.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let engine = UnixStream::connect("/var/run/docker.sock").unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
            thread::spawn(move || {
                let (mut from, mut to): (UnixStream, TcpStream) = (engine, client);
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    });
    let site = Site::on(vec![("DOCKER_HOST".to_owned(), format!("tcp://{address}"))], "true");
    site.command(&["test", "tiny"]).expect(0);
}

#[test]
fn ssh_that_fails_is_quoted_and_is_no_reason_to_install_docker() {
    let second = Second::borrow("containerd");
    let mut reach = second.reach("ssh");
    let site = Site::new("true");
    for (address, words) in [
        ("ssh://root@127.0.0.1:1", "Connection refused"),
        ("ssh://stranger@127.0.0.1:23762", "Permission denied"),
        (
            "ssh://nobody@127.0.0.1:23762",
            "\"This account is currently not available.\" in place",
        ),
        ("ssh://root@127.0.0.1:23762/nowhere/docker.sock", "/nowhere/docker.sock"),
    ] {
        reach.retain(|(name, _)| name != "DOCKER_HOST");
        let mut command = site.prepared(&["build", "tiny"]);
        command.envs(reach.iter().cloned()).env("DOCKER_HOST", address);
        let ended = Ended::of(command.output().unwrap()).expect(75);
        let ended = ended.says(&[
            "no container engine answers at ssh://",
            words,
            "ssh HOST docker version",
        ]);
        assert!(!ended.stderr.contains("install Docker"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn an_engine_that_wants_certificates_says_so_to_whoever_brings_none() {
    let second = Second::borrow("classic");
    let reach = second.reach("tls");
    let host = reach.iter().find(|(name, _)| name == "DOCKER_HOST").unwrap().1.clone();
    let plain = Directions {
        host: Some(host),
        ..Directions::default()
    };
    let error = engine::connect(&plain).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Temporary);
    assert!(error.to_string().contains("HTTP request to an HTTPS server"), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("TLS"), "{hint}");
    assert!(
        matches!(
            error,
            EngineError::Unreachable {
                cause: Absence::Network(_),
                ..
            }
        ),
        "{error:?}"
    );
}
