//! Servers of every kind, as a hub would start them: real ones, and some that fail in one way each.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use floe::event::{Cause, CauseKind, Event, Memory, Summary, TestFinished, Verdict};
use floe::server::{self, Options, Subject};

/// The head of a server's program in Python, which listens where its hub says; `do_GET` is to follow.
const LISTENING: &str = r#"
import http.server, os, sys, urllib.parse
print("reading the configuration", flush=True)
port = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port
prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b"{}"):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
"#;

const SERVING: &str = "\nhttp.server.ThreadingHTTPServer((\"\", port), Handler).serve_forever()\n";

struct Ran {
    summary: Summary,
    finished: Vec<TestFinished>,
}

impl Ran {
    #[track_caller]
    fn cause(&self, id: &str) -> &Cause {
        let test = self.finished.iter().find(|test| test.id.to_string() == id);
        match test.map(|test| &test.verdict) {
            Some(Verdict::Failed(cause)) => cause,
            other => panic!("{id}: {other:?}"),
        }
    }
}

async fn run(command: &[&str], variables: &[(&str, OsString)], environments: &[&str], start: Duration) -> Ran {
    let environments = environments
        .iter()
        .map(|name| name.parse().unwrap())
        .collect::<Vec<_>>();
    let subject = Subject {
        tests: server::tests("m", &environments),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
    };
    let mut all = BTreeMap::from([("PATH".into(), std::env::var_os("PATH").unwrap())]);
    all.extend(variables.iter().map(|(name, value)| ((*name).into(), value.clone())));
    let options = Options {
        start_timeout: start,
        answer_timeout: Duration::from_mins(1),
        grace: Duration::from_secs(5),
        variables: all,
    };
    let sink = Memory::default();
    let summary = server::run(&subject, &options, &sink).await;
    let finished = sink.events().into_iter().filter_map(|event| match event {
        Event::TestFinished(test) => Some(test),
        _ => None,
    });
    Ran {
        summary,
        finished: finished.collect(),
    }
}

/// Runs a server that is this program, and has little time to start.
async fn program(text: &str) -> Ran {
    run(&["python3", "-c", text], &[], &["base"], Duration::from_secs(8)).await
}

fn serving(get: &str) -> String {
    format!("{LISTENING}    def do_GET(self):\n        {get}{SERVING}")
}

/// An installation of what a hub's images hold.
fn installation() -> PathBuf {
    world::venv("hub", &["jupyterhub>=5,<6", "jupyterlab>=4.2,<5", "ipykernel"])
}

/// The server of a real installation, whose login shells have the path that `path` says.
async fn real(path: impl FnOnce(&Path) -> String, environments: &[&str]) -> Ran {
    let installation = installation();
    let home = tempfile::tempdir().unwrap();
    let profile = format!("PATH={}\n", path(&installation.join("bin")));
    std::fs::write(home.path().join(".profile"), profile).unwrap();
    let program = installation.join("bin/jupyterhub-singleuser");
    let path = [installation.join("bin").into_os_string(), ":/usr/bin:/bin".into()];
    let variables = [
        ("PATH", path.into_iter().collect::<OsString>()),
        ("HOME", home.path().as_os_str().to_owned()),
        ("SHELL", "/bin/bash".into()),
    ];
    let command = [program.to_str().unwrap(), "--ip=127.0.0.1", "--allow-root"];
    run(&command, &variables, environments, Duration::from_mins(5)).await
}

#[tokio::test]
async fn a_real_server_answers_loads_lab_and_starts_the_kernels_that_there_are() {
    let ran = real(|bin| format!("{}:/usr/bin:/bin", bin.display()), &["base", "cal"]).await;
    let passed = ran.finished.iter().filter(|test| test.verdict == Verdict::Passed);
    let passed = passed.map(|test| test.id.to_string()).collect::<Vec<_>>();
    assert_eq!(
        passed,
        [
            "m::server::api",
            "m::server::lab",
            "m::server::terminal",
            "base::server::kernel"
        ],
        "{:#?}",
        ran.finished
    );
    let cause = ran.cause("cal::server::kernel");
    assert_eq!(cause.message, "the server offers no such kernel; it offers python3");
}

#[tokio::test]
async fn a_terminal_that_finds_no_python_fails_and_says_what_it_lacks() {
    let ran = real(|_| "/nowhere".to_owned(), &[]).await;
    let cause = ran.cause("m::server::terminal");
    assert_eq!(
        cause.message,
        "a terminal of JupyterLab finds no python, no pip, no jupyter"
    );
    assert!(cause.detail.contains("login shell"), "{}", cause.detail);
}

#[tokio::test]
async fn a_server_that_binds_but_answers_5xx_fails_with_the_end_of_its_log() {
    let ran = program(&serving("self.answer(503, b'still loading')")).await;
    let cause = ran.cause("m::server::api");
    assert_eq!(cause.kind, CauseKind::Timeout);
    assert!(cause.message.contains("503: still loading"), "{}", cause.message);
    assert!(cause.detail.contains("reading the configuration"), "{}", cause.detail);
    assert_eq!((ran.summary.failed, ran.summary.passed), (4, 0));
    let later = ran.cause("base::server::kernel");
    assert_eq!(later.kind, CauseKind::NotRun);
    assert_eq!(later.message, "the server did not start: see m::server::api");
}

#[tokio::test]
async fn a_server_that_never_listens_fails() {
    let ran = program("import time; print('thinking', flush=True); time.sleep(1000)").await;
    let cause = ran.cause("m::server::api");
    assert_eq!(cause.kind, CauseKind::Timeout);
    assert!(cause.message.contains("nothing answers"), "{}", cause.message);
    assert!(cause.detail.contains("thinking"), "{}", cause.detail);
}

#[tokio::test]
async fn a_server_that_ends_at_once_fails_with_its_exit_code_whatever_that_is() {
    for code in [0, 3] {
        let ran = program(&format!("print('no such file: config'); raise SystemExit({code})")).await;
        let cause = ran.cause("m::server::api");
        assert_eq!(cause.kind, CauseKind::EarlyExit);
        assert_eq!(cause.message, format!("the server ended: exit code {code}"));
        assert!(cause.detail.contains("no such file: config"), "{}", cause.detail);
    }
}

#[tokio::test]
async fn a_page_that_fails_or_would_stay_empty_is_no_lab() {
    for (lab, said) in [
        (
            "self.answer(500, b'<html>no template</html>')",
            "answers 500: <html>no template",
        ),
        ("self.answer(200, b'<html>welcome</html>')", "no page of JupyterLab"),
        (
            "self.answer(200, b'<i id=\"jupyter-config-data\"></i>')",
            "names no script",
        ),
        (
            "self.answer(*((200, b'<i id=\"jupyter-config-data\"></i><script src=\"' + prefix.encode() + b'x.js\"></script>') if self.path.endswith('/lab') else (404, b'')))",
            "x.js answers 404",
        ),
    ] {
        let get = format!("({lab}) if '/api/' not in self.path else self.answer(200)");
        let ran = program(&serving(&get)).await;
        assert_eq!(ran.summary.passed, 1, "{:#?}", ran.finished);
        let message = &ran.cause("m::server::lab").message;
        assert!(message.contains(said), "{message}");
    }
}

#[tokio::test]
async fn a_server_that_dies_while_it_is_asked_fails() {
    let ran = program(&serving(
        "self.answer(200) if '/api/' in self.path else os.kill(os.getpid(), 9)",
    ))
    .await;
    let cause = ran.cause("m::server::lab");
    assert!(
        cause.message.contains("signal 9") || cause.message.contains("/lab"),
        "{}",
        cause.message
    );
}

#[tokio::test]
async fn a_command_that_is_not_there_and_none_at_all_fail() {
    let ran = run(&["/no/such/start.sh"], &[], &[], Duration::from_secs(5)).await;
    assert!(ran.cause("m::server::api").message.contains("/no/such/start.sh"));
    let ran = run(&[], &[], &[], Duration::from_secs(5)).await;
    assert!(ran.cause("m::server::lab").message.contains("see m::server::api"));
}
