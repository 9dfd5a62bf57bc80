//! Builds on the real engine.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use floe::context::Overlay;
use floe::engine::{BuildRequest, EngineError};
use floe::event::{Event, Memory};
use floe::fault::Explained as _;

use super::bench::{Bench, printed};

#[tokio::test]
async fn a_secret_reaches_its_step_and_is_in_no_layer_nor_history() {
    let bench = Bench::new().await;
    let secret = format!("secret-{}", bench.name);
    let script =
        "RUN --mount=type=secret,id=token read -r t < /run/secrets/token; echo length ${#t}; echo visible > /mark";
    let mut request = bench.request("secret", script);
    request.mounts = BTreeMap::from([("token".to_owned(), secret.clone().into_bytes())]);
    let (built, events) = bench.build(request).await;
    built.unwrap();
    assert!(
        printed(&events).contains(&format!("length {}", secret.len())),
        "{events:?}"
    );

    let tag = bench.tag("secret").to_string();
    let docker = |arguments: &[&str]| Command::new("docker").args(arguments).output().unwrap().stdout;
    let mut image = docker(&["save", &tag]);
    image.extend(docker(&["history", "--no-trunc", &tag]));
    let holds = |text: &str| image.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("visible\n"), "the search finds nothing at all");
    assert!(!holds(&secret));
}

#[tokio::test]
async fn a_missing_secret_fails_the_build() {
    let bench = Bench::new().await;
    let script = "RUN --mount=type=secret,id=nosuch,required=true true";
    let (built, _) = bench.build(bench.request("x", script)).await;
    let error = built.unwrap_err().to_string();
    assert!(error.contains("nosuch"), "{error}");
}

#[tokio::test]
async fn only_a_changed_file_is_sent_again() {
    let bench = Bench::new().await;
    let sent = |events: &[Event]| {
        let printed = printed(events);
        let lines = printed
            .lines()
            .filter_map(|line| line.strip_prefix("transferring context: "));
        let bytes = lines.map(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap());
        // The ignore file is asked for by itself before.
        bytes.max().unwrap_or_else(|| panic!("no transfer in {printed:?}"))
    };
    fs::write(bench.files.path().join("large"), vec![b'x'; 1 << 20]).unwrap();
    fs::write(bench.files.path().join("small"), "one").unwrap();
    let script = "COPY . /files\nRUN cat /files/small";
    let (_, first) = bench.build(bench.request("first", script)).await;
    fs::write(bench.files.path().join("small"), "two two").unwrap();
    let (built, second) = bench.build(bench.request("second", script)).await;
    built.unwrap();
    assert!(sent(&first) > 1 << 20, "{}", sent(&first));
    assert!(sent(&second) < 10_000, "{}", sent(&second));
    assert!(printed(&second).contains("two two"));
}

#[tokio::test]
async fn a_changed_dockerfile_of_the_same_length_is_seen() {
    let bench = Bench::new().await;
    for word in ["one", "two"] {
        let (built, events) = bench.build(bench.request(word, &format!("RUN echo said {word}"))).await;
        built.unwrap();
        assert!(printed(&events).contains(&format!("said {word}")), "{events:?}");
    }
}

#[tokio::test]
async fn files_modes_links_and_wildcards_arrive() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new().await;
    let root = bench.files.path();
    fs::create_dir(root.join("real")).unwrap();
    fs::write(root.join("real/tool"), "#!/bin/sh\necho tool runs\n").unwrap();
    fs::set_permissions(root.join("real/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("real", root.join("link")).unwrap();
    fs::write(root.join("a.txt"), "text a").unwrap();
    let script =
        "COPY *.txt /texts/\nCOPY link/tool /tools/\nCOPY brought /\nRUN cat /texts/a.txt; /tools/tool; cat /brought";
    let overlay = tempfile::NamedTempFile::new().unwrap();
    fs::write(overlay.path(), "overlay").unwrap();
    let source = overlay.path().to_owned();
    let mut request = bench.request("files", script);
    request.context = request.context.with("brought", Overlay::File { source, mode: 0o644 });
    let (built, events) = bench.build(request).await;
    built.unwrap();
    assert!(
        printed(&events).contains("text atool runs\noverlay"),
        "{}",
        printed(&events)
    );
}

#[tokio::test]
async fn a_failed_step_is_named_with_its_output_and_line() {
    let bench = Bench::new().await;
    // An engine may return the Dockerfile in the headers of its answer: a long one must not hide the error.
    let comments = "# a line that is there for its length alone\n".repeat(1000);
    let script = format!("{comments}RUN true\nRUN echo the last words; exit 3");
    let (built, events) = bench.build(bench.request("failed", &script)).await;
    let Err(EngineError::Build {
        step,
        output,
        line,
        trouble,
        reason,
        ..
    }) = built
    else {
        panic!("{built:?}");
    };
    assert!(step.unwrap().contains("RUN echo the last words"));
    assert_eq!(output, "the last words");
    assert_eq!(line, Some(1003), "{reason}");
    assert_eq!(trouble, None);
    let failed = events
        .iter()
        .filter(|event| matches!(event, Event::StepFinished { error: Some(_), .. }));
    assert_eq!(failed.count(), 1);
}

#[tokio::test]
async fn a_step_that_the_network_failed_is_temporary() {
    let bench = Bench::new().await;
    let script = "RUN echo curl: could not resolve host: example.org; exit 6";
    let (built, _) = bench.build(bench.request("x", script)).await;
    assert!(built.unwrap_err().is_temporary());
}

#[tokio::test]
async fn a_parse_error_names_its_line() {
    let bench = Bench::new().await;
    let (built, _) = bench.build(bench.request("x", "RUN true\nFRO x")).await;
    let Err(EngineError::Build { line, trouble, .. }) = built else {
        panic!("{built:?}");
    };
    assert_eq!((line, trouble), (Some(3), None));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_ends_the_build() {
    let bench = Bench::new().await;
    let source = bench.files.path().join("gone");
    let mut request = bench.request("x", "COPY a /");
    request.context = request.context.with("a", Overlay::File { source, mode: 0o644 });
    let (built, _) = bench.build(request).await;
    let error = built.unwrap_err();
    assert!(matches!(error, EngineError::Context(_)), "{error:?}");
    assert!(error.to_string().contains("gone"), "{error}");
}

#[tokio::test]
async fn steps_begin_and_end_once_and_say_whether_they_are_cached() {
    let bench = Bench::new().await;
    fs::write(bench.files.path().join("a"), "a").unwrap();
    let script = "COPY a /\nRUN echo once";
    let (first, _) = bench.build(bench.request("cached", script)).await;
    let (again, events) = bench.build(bench.request("cached", script)).await;
    // Equal content of every layer is an equal image where the cache served it.
    assert_eq!(first.unwrap(), again.unwrap());
    let (mut begun, mut ended, mut cached) = (Vec::new(), Vec::new(), 0);
    for event in events {
        match event {
            Event::StepStarted { step, .. } => begun.push(step),
            Event::StepFinished {
                step,
                name,
                cached: hit,
                ..
            } => {
                cached += usize::from(hit && name.contains("RUN echo once"));
                ended.push(step);
            }
            _ => {}
        }
    }
    for steps in [&mut begun, &mut ended] {
        let all = steps.len();
        steps.sort();
        steps.dedup();
        assert_eq!(steps.len(), all);
    }
    assert_eq!(begun, ended);
    assert_eq!(cached, 1);
}

#[tokio::test]
async fn equal_trees_give_equal_layers_on_any_day() {
    let bench = Bench::new().await;
    let tree = "RUN mkdir -p /r/opt && echo same > /r/opt/file && touch -d @0 /r/opt/file /r/opt /r";
    let base = &bench.base;
    let request = |tag: &str| BuildRequest {
        dockerfile: format!("FROM {base} AS a\n{tree}\nFROM {base}\nCOPY --from=a /r/ /\n"),
        no_cache: true,
        ..bench.request(tag, "")
    };
    let mut layers = Vec::new();
    for tag in ["one", "two"] {
        let (built, events) = bench.build(request(tag)).await;
        let cached =
            |event: &Event| matches!(event, Event::StepFinished { name, cached: true, .. } if name.contains("RUN"));
        assert!(!events.iter().any(cached), "the cache was used");
        let image = bench.docker.image(built.unwrap().as_str()).await.unwrap().unwrap();
        layers.push(image.layers.last().unwrap().clone());
    }
    assert_eq!(layers[0], layers[1]);
}

#[tokio::test]
async fn arguments_labels_and_tags_reach_the_image() {
    let bench = Bench::new().await;
    let mut request = bench.request("first", "ARG WORD\nRUN echo \"the word is $WORD\"");
    request.args = BTreeMap::from([("WORD".to_owned(), "a=b c".to_owned())]);
    request.labels = BTreeMap::from([("org.floe.x".to_owned(), "a \"b\" $c".to_owned())]);
    request.tags.push(bench.tag("second"));
    let labels = request.labels.clone();
    let (built, events) = bench.build(request).await;
    let id = built.unwrap();
    assert!(printed(&events).contains("the word is a=b c"));
    let image = bench
        .docker
        .image(&bench.tag("second").to_string())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((image.id, image.labels), (id, labels));
}

#[tokio::test]
async fn a_dropped_build_stops_on_the_engine() {
    let bench = Arc::new(Bench::new().await);
    // A duration that no other process has, by which this one is found among all of the machine.
    let seconds = format!("86400.{}", u128::from_str_radix(&bench.name, 16).unwrap());
    let events = Arc::new(Memory::default());
    let request = bench.request("x", &format!("RUN sleep {seconds}"));
    let (own, sink) = (Arc::clone(&bench), Arc::clone(&events));
    let build = tokio::spawn(async move { own.docker.build(request, &*sink).await });
    let runs = || {
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let commands = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        let wanted = format!("sleep\0{seconds}\0").into_bytes();
        commands.into_iter().any(|command| command == wanted)
    };
    until("the step runs", runs).await;
    build.abort();
    assert!(build.await.unwrap_err().is_cancelled());
    until("the step is gone", || !runs()).await;
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("a minute passed before {what}");
}

#[tokio::test]
async fn a_build_that_joined_another_which_was_killed_may_be_tried_again() {
    let bench = Bench::new().await;
    let request = |tag: &str| {
        let script = "COPY a /\nRUN --mount=type=secret,id=token sleep 4";
        BuildRequest {
            mounts: BTreeMap::from([("token".to_owned(), b"x".to_vec())]),
            ..bench.request(tag, script)
        }
    };
    fs::write(bench.files.path().join("a"), "a").unwrap();
    let engine = bench.docker.clone();
    let first = request("first");
    let first = tokio::spawn(async move { engine.build(first, &Memory::default()).await.map(drop) });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let second = bench.build(request("second"));
    let killed = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        first.abort();
    };
    let ((joined, _), ()) = tokio::join!(second, killed);
    if let Err(error) = joined {
        assert!(error.is_temporary(), "{error}");
        assert_eq!(error.kind(), floe::fault::Kind::Temporary, "{error}");
    }
    bench.build(request("third")).await.0.unwrap();
}
