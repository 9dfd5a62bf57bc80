//! Containers, imports and pushes on the real engine.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use floe::context::{Context, Overlay};
use floe::engine::{Container, ContainerRequest, Wanted};
use floe::event::{Event, Memory};
use floe::fault::{Explained as _, Kind};
use floe::reference::ImageTag;
use tokio::sync::mpsc;
use world::LocalRegistry;

use super::bench::{Bench, LABEL};
use crate::rootfs;

async fn output(bench: &Bench, container: &Container) -> Vec<u8> {
    let (sender, mut receiver) = mpsc::channel(1);
    let read = async {
        let mut all = Vec::new();
        while let Some(piece) = receiver.recv().await {
            all.extend(piece);
        }
        all
    };
    let (followed, all) = tokio::join!(bench.docker.follow(container, sender), read);
    followed.unwrap();
    all
}

#[tokio::test]
async fn output_arrives_with_what_is_not_text_replaced_and_the_exit_code_is_reported() {
    let bench = Bench::new().await;
    let container = bench.start(r"printf 'a\377\000\n'; printf 'no line end'; exit 7").await;
    assert_eq!(output(&bench, &container).await, "a\u{fffd}\0\nno line end".as_bytes());
    let exit = bench.docker.wait(&container).await.unwrap();
    assert_eq!((exit.code, exit.out_of_memory), (7, false));
}

#[tokio::test]
async fn a_flood_of_output_arrives_whole() {
    let bench = Bench::new().await;
    let container = bench.start("dd if=/dev/zero bs=1000000 count=50 2>/dev/null").await;
    let all = output(&bench, &container).await;
    assert_eq!(all.len(), 50_000_000);
    assert!(all.iter().all(|&byte| byte == 0));
}

#[tokio::test]
async fn following_ends_when_nobody_listens() {
    let bench = Bench::new().await;
    let container = bench.start("echo first; sleep 1000").await;
    let (sender, mut receiver) = mpsc::channel(1);
    let listen = async move {
        assert_eq!(receiver.recv().await.unwrap(), b"first\n");
    };
    let (followed, ()) = tokio::join!(bench.docker.follow(&container, sender), listen);
    followed.unwrap();
}

#[tokio::test]
async fn a_kill_ends_the_container_and_a_second_one_is_no_error() {
    let bench = Bench::new().await;
    let container = bench.start("sleep 1000").await;
    bench.docker.kill(&container).await.unwrap();
    assert_eq!(bench.docker.wait(&container).await.unwrap().code, 137);
    bench.docker.kill(&container).await.unwrap();
    bench.docker.remove(&container).await.unwrap();
    bench.docker.remove(&container).await.unwrap();
    bench.docker.kill(&container).await.unwrap();
    assert!(bench.docker.wait(&container).await.is_err());
}

#[tokio::test]
async fn a_kill_for_memory_is_told() {
    let bench = Bench::new().await;
    let mut request = bench.shell("x=0123456789; while :; do x=$x$x; done");
    request.memory = Some(16 << 20);
    let container = bench.docker.start(&request).await.unwrap();
    let exit = bench.docker.wait(&container).await.unwrap();
    assert_eq!((exit.code, exit.out_of_memory), (137, true));
}

#[tokio::test]
async fn the_environment_and_the_shared_memory_are_as_asked() {
    let bench = Bench::new().await;
    let mut request =
        bench.shell("echo \"$WORD\"; dd if=/dev/zero of=/dev/shm/x bs=1000000 count=3 2>/dev/null && echo fits");
    request.environment = BTreeMap::from([("WORD".to_owned(), "a=b c".to_owned())]);
    request.shm_size = Some(1 << 20);
    let container = bench.docker.start(&request).await.unwrap();
    assert_eq!(output(&bench, &container).await, b"a=b c\n");
}

#[tokio::test]
async fn files_are_in_a_container_before_it_starts() {
    let bench = Bench::new().await;
    let files = tempfile::tempdir().unwrap();
    fs::create_dir(files.path().join("sub")).unwrap();
    fs::write(files.path().join("sub/data"), "some text\n").unwrap();
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("program");
    fs::write(&program, "#!/bin/sh\ncat /given/sub/data /given/link; echo \"$1\"\n").unwrap();
    let context = Context::new(files.path())
        .with(
            "program",
            Overlay::File {
                source: program,
                mode: 0o755,
            },
        )
        .with("link", Overlay::Symlink("sub/data".into()));
    let mut request = bench.shell("");
    request.files = vec![("/given".to_owned(), context)];
    request.entrypoint = Some(vec!["/given/program".to_owned()]);
    request.command = vec!["a word".to_owned()];
    let container = bench.docker.start(&request).await.unwrap();
    assert_eq!(output(&bench, &container).await, b"some text\nsome text\na word\n");
}

#[tokio::test]
async fn a_container_whose_files_cannot_be_read_is_not_left_behind() {
    let bench = Bench::new().await;
    let files = tempfile::tempdir().unwrap();
    let gone = Overlay::File {
        source: files.path().join("gone"),
        mode: 0o644,
    };
    let mut request = bench.shell("true");
    request.files = vec![("/given".to_owned(), Context::new(files.path()).with("gone", gone))];
    let error = bench.docker.start(&request).await.unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
    let label = format!("{LABEL}={}", bench.name);
    assert_eq!(bench.docker.containers(&label).await.unwrap(), []);
}

#[tokio::test]
async fn a_container_that_does_not_start_is_not_left_behind() {
    let bench = Bench::new().await;
    let mut request = bench.shell("");
    request.command = vec!["/no/such/program".to_owned()];
    let error = bench.docker.start(&request).await.unwrap_err();
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    let label = format!("{LABEL}={}", bench.name);
    assert_eq!(bench.docker.containers(&label).await.unwrap(), []);
}

#[tokio::test]
async fn containers_are_found_by_their_label_running_or_not() {
    let bench = Bench::new().await;
    let running = bench.start("sleep 1000").await;
    let ended = bench.start("true").await;
    bench.docker.wait(&ended).await.unwrap();
    let label = format!("{LABEL}={}", bench.name);
    let found = bench.docker.containers(&label).await.unwrap();
    let mut states = found.iter().map(|found| (&found.id, found.running)).collect::<Vec<_>>();
    states.sort_by_key(|state| !state.1);
    assert_eq!(states, [(&running.id, true), (&ended.id, false)]);
    assert!(found.iter().all(|found| found.labels[LABEL] == bench.name));
}

#[tokio::test]
async fn what_is_wanted_of_a_directory_is_copied_out_up_to_the_limit() {
    let bench = Bench::new().await;
    let container = bench
        .start("mkdir -p /results/sub; echo text > /results/sub/a; dd if=/dev/zero of=/results/b bs=1000 count=9")
        .await;
    bench.docker.wait(&container).await.unwrap();
    let target = tempfile::tempdir().unwrap();
    let copy = async |path: &str, name: &str, limit, files: Option<&[&str]>| {
        let wanted = Wanted {
            files: files.map(|files| files.iter().map(PathBuf::from).collect()),
            limit,
        };
        let copied = bench
            .docker
            .copy_out(&container, path, target.path().join(name), &wanted);
        copied.await.unwrap()
    };
    assert!(copy("/results", "all", 9005, None).await);
    assert_eq!(fs::read_to_string(target.path().join("all/sub/a")).unwrap(), "text\n");
    assert_eq!(fs::metadata(target.path().join("all/b")).unwrap().len(), 9000);
    assert!(!copy("/results", "some", 9004, None).await);
    assert!(copy("/results", "named", 9005, Some(&["sub/a", "sub/never"])).await);
    assert!(target.path().join("named/sub/a").exists() && !target.path().join("named/b").exists());
    assert!(copy("/missing", "none", 10, None).await);
    assert!(!target.path().join("none").exists());
}

#[tokio::test]
async fn an_import_keeps_its_labels() {
    let bench = Bench::new().await;
    let scratch = tempfile::tempdir().unwrap();
    let archive = scratch.path().join("rootfs.tar");
    rootfs::write(&archive, &bench.name);
    let labels = BTreeMap::from([
        ("org.floe.plain".to_owned(), "a b".to_owned()),
        ("org.floe.hard".to_owned(), r#"a "b" $HOME \c 'd'"#.to_owned()),
    ]);
    let tag = bench.tag("imported");
    let id = bench.docker.import(archive, &tag, &labels).await.unwrap();
    let image = bench.docker.image(&tag.to_string()).await.unwrap().unwrap();
    assert_eq!((&image.id, &image.labels, image.layers.len()), (&id, &labels, 1));
    bench.docker.tag(&id, &bench.tag("again")).await.unwrap();
    let again = bench
        .docker
        .image(&bench.tag("again").to_string())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.id, id);
    assert_eq!(
        bench.docker.image(&bench.tag("nosuch").to_string()).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_pushed_image_has_the_digest_that_is_answered_and_is_pulled_by_it() {
    let bench = Bench::new().await;
    let registry = LocalRegistry::start();
    let id = bench.docker.image(&bench.base.to_string()).await.unwrap().unwrap().id;
    let tag = ImageTag {
        repository: registry.address(&bench.base.repository),
        tag: "base".to_owned(),
    };
    bench.docker.tag(&id, &tag).await.unwrap();
    let events = Memory::default();
    let pushed = bench.docker.push(&tag, None, &events).await;
    remove_tag(&tag.to_string());
    let by_digest = format!("{}@{}", tag.repository, pushed.unwrap());
    assert_eq!(registry.repositories(), std::slice::from_ref(&bench.base.repository));
    assert_eq!(registry.reference(&bench.base.repository, "base").trim(), by_digest);
    let manifest = registry.manifest(&bench.base.repository, "base");
    assert_eq!(manifest["config"]["digest"], id.as_str());
    let layers = events.events().into_iter().filter_map(|event| match event {
        Event::PushProgress { layer, status, .. } if status == "Pushed" => Some(layer),
        _ => None,
    });
    assert_eq!(layers.count(), 1);

    assert_eq!(bench.docker.image(&by_digest).await.unwrap(), None);
    let pulled = bench
        .docker
        .pull(&by_digest.parse().unwrap(), None, &Memory::default())
        .await;
    remove_tag(&by_digest);
    assert_eq!(pulled.unwrap().id, id);
    let missing = format!("{}:nothing", tag.repository);
    let refused = bench
        .docker
        .pull(&missing.parse().unwrap(), None, &Memory::default())
        .await
        .unwrap_err();
    assert!(!refused.is_temporary(), "{refused}");
}

fn remove_tag(reference: &str) {
    let output = std::process::Command::new("docker").args(["rmi", reference]).output();
    assert!(output.unwrap().status.success());
}

#[tokio::test]
async fn a_push_to_a_registry_that_is_down_may_be_tried_again() {
    let bench = Bench::new().await;
    let id = bench.docker.image(&bench.base.to_string()).await.unwrap().unwrap().id;
    // Nothing listens at port 1, and the engine speaks plain HTTP to its own machine.
    let tag = ImageTag {
        repository: format!("127.0.0.1:1/{}", bench.base.repository),
        tag: "base".to_owned(),
    };
    bench.docker.tag(&id, &tag).await.unwrap();
    let pushed = bench.docker.push(&tag, None, &Memory::default()).await;
    std::process::Command::new("docker")
        .args(["rmi", &tag.to_string()])
        .output()
        .unwrap();
    let error = pushed.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(error.to_string().contains("connection refused"), "{error}");
    // The engine asks the registry about a repository that it knows.
    let nosuch = ImageTag {
        repository: format!("{}-nosuch", bench.base.repository),
        tag: "base".to_owned(),
    };
    let missing = bench.docker.push(&nosuch, None, &Memory::default()).await;
    assert!(!missing.unwrap_err().is_temporary());
}

#[tokio::test]
async fn standard_error_is_followed_too() {
    let bench = Bench::new().await;
    let container = bench.start("echo error >&2").await;
    assert_eq!(output(&bench, &container).await, b"error\n");
}

#[tokio::test]
async fn whose_fault_it_is_that_no_container_starts_is_told() {
    let bench = Bench::new().await;
    let missing = ContainerRequest {
        command: vec!["nosuch".to_owned()],
        ..bench.shell("true")
    };
    let little = ContainerRequest {
        memory: Some(1000),
        ..bench.shell("true")
    };
    let gone = ContainerRequest {
        image: format!("{}-gone", bench.base),
        ..bench.shell("true")
    };
    for (request, kind) in [(missing, Kind::Build), (little, Kind::Invalid), (gone, Kind::Temporary)] {
        let error = bench.docker.start(&request).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}
