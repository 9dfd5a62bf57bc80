//! The agent as a process: what it is asked for by options and variables, and how it ends when it is asked to.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use floe::event::wire::{Decoder, Piece};
use floe::event::{CauseKind, Event, TestFinished, Verdict};

/// An installation whose base environment is this machine's Python, with modules of its own.
struct Installation(tempfile::TempDir);

impl Installation {
    fn new(modules: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let python = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output();
        let python = String::from_utf8(python.unwrap().stdout).unwrap();
        std::fs::create_dir(directory.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(python.trim(), directory.path().join("bin/python")).unwrap();
        for (name, text) in modules {
            std::fs::write(directory.path().join(format!("{name}.py")), text).unwrap();
        }
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn applet(&self, arguments: &[&str]) -> Command {
        let mut command = world::floe();
        command
            .arg("applet")
            .args(arguments)
            .env("CONDA_DIR", self.path())
            .env("PYTHONPATH", self.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn script(&self, text: &str) -> PathBuf {
        let path = self.path().join("script");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

/// A module whose import ends in an hour.
const SLEEPING: (&str, &str) = ("sleeping", "import time\ntime.sleep(3600)\n");

/// Asks the agent to end once it has begun a test; answers its exit code and the events of its output.
fn interrupted(mut child: Child, signal: &str) -> (Option<i32>, Vec<Event>) {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut all = Vec::new();
    while !String::from_utf8_lossy(&all).contains("test-started") {
        assert!(output.read_until(b'\n', &mut all).unwrap() > 0, "no test began");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    output.read_to_end(&mut all).unwrap();
    let code = child.wait().unwrap().code();
    let pieces = Decoder::default().feed(&all).into_iter();
    let events = pieces.filter_map(|piece| match piece {
        Piece::Record(record) => Some(record.event),
        Piece::Text(_) => None,
    });
    (code, events.collect())
}

fn ends(events: &[Event]) -> Vec<(String, CauseKind)> {
    let ends = events.iter().filter_map(|event| match event {
        Event::TestFinished(TestFinished {
            id,
            verdict: Verdict::Failed(cause),
            ..
        }) => Some((id.name.clone(), cause.kind)),
        Event::TestFinished(test) => panic!("{} did not fail", test.id),
        _ => None,
    });
    ends.collect()
}

#[test]
fn an_agent_that_is_asked_to_end_kills_what_runs_and_accounts_for_every_test() {
    let installation = Installation::new(&[SLEEPING]);
    for (signal, expected) in [("-TERM", 143), ("-INT", 130)] {
        let mut command = installation.applet(&["test-imports", "--jobs", "1", "sleeping", "json"]);
        let child = command.env("FLOE_EVENTS", "1").spawn().unwrap();
        let (code, events) = interrupted(child, signal);
        assert_eq!(code, Some(expected));
        let not_run = |name: &str| (name.to_owned(), CauseKind::NotRun);
        assert_eq!(ends(&events), [not_run("sleeping"), not_run("json")]);
        let Some(Event::SuiteFinished { summary }) = events.last() else {
            panic!("the set of tests did not end: {events:#?}")
        };
        assert_eq!(summary.failed, 2);
    }
    installation.expect_nothing_left();
}

#[test]
fn a_script_that_waits_for_its_tests_does_not_keep_them_from_ending() {
    let installation = Installation::new(&[SLEEPING]);
    let floe = world::program();
    let script = installation.script(&format!(
        "#!/bin/bash\n{} applet test-imports --jobs 1 sleeping json\necho \"tests ended with $?\"\nsleep 3600\n",
        floe.display()
    ));
    let mut command = installation.applet(&["test-environments", "--script", script.to_str().unwrap()]);
    let child = command.env("FLOE_EVENTS", "1").spawn().unwrap();
    let (code, events) = interrupted(child, "-TERM");
    assert_eq!(code, Some(143));
    assert_eq!(ends(&events).len(), 2);
    assert!(
        matches!(events.last(), Some(Event::SuiteFinished { .. })),
        "{events:#?}"
    );
    installation.expect_nothing_left();
}

#[test]
fn tests_run_where_the_leader_of_the_session_is_out_of_sight() {
    let installation = Installation::new(&[("leaves", "import subprocess\nsubprocess.Popen(['sleep', '3600'])\n")]);
    let applet = installation.applet(&["test-imports", "json", "leaves"]);
    // As in a process that `kubectl exec` or `nsenter` brings into a container.
    let namespace = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    let mut command = world::through(&namespace, &applet);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    installation.expect_nothing_left();
}

#[test]
fn a_script_ends_with_its_own_code() {
    let installation = Installation::new(&[]);
    for (text, expected) in [("exit 0", 0), ("exit 100", 100), ("exit 7", 7), ("kill -KILL $$", 137)] {
        let script = installation.script(&format!("#!/bin/sh\n{text}\n"));
        let mut command = installation.applet(&["test-environments", "--script", script.to_str().unwrap()]);
        assert_eq!(command.status().unwrap().code(), Some(expected), "{text}");
    }
}

#[test]
fn a_reader_that_goes_away_stops_no_test_and_changes_no_verdict() {
    let installation = Installation::new(&[]);
    for (words, expected) in [(["json", "csv"], 0), (["json", "no_such_module"], 100)] {
        for observed in [false, true] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = installation.applet(&["test-imports"]);
            command.args(words).stdout(writer.try_clone().unwrap()).stderr(writer);
            if observed {
                command.env("FLOE_EVENTS", "1");
            }
            assert_eq!(command.status().unwrap().code(), Some(expected), "{words:?}");
        }
    }
}

#[test]
fn a_variable_or_a_request_that_means_nothing_is_refused_with_its_name() {
    let installation = Installation::new(&[]);
    for (name, value, said) in [
        ("TEST_JOBS", "many", "environment variable TEST_JOBS=many: "),
        (
            "CELL_TIMEOUT",
            "soon",
            "environment variable CELL_TIMEOUT=soon: write seconds",
        ),
        (
            "FLOE_TESTS",
            "{\"surprise\": 1}",
            "FLOE_TESTS holds no request that this floe reads: ",
        ),
    ] {
        let output = installation
            .applet(&["test-imports", "json"])
            .env(name, value)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn what_host_and_agent_say_to_each_other_reaches_no_test() {
    let text = "import os\nleft = [name for name in os.environ if name.startswith('FLOE_') and name != 'FLOE_PROCESS']\nassert not left, left\n";
    let installation = Installation::new(&[("variables", text)]);
    let mut command = installation.applet(&["test-imports", "variables"]);
    command
        .env("FLOE_EVENTS", "1")
        .env("FLOE_ARTIFACTS", "/nowhere")
        .env("FLOE_TESTS", "{}");
    let output = command.output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn the_options_of_a_call_win_over_what_the_host_asks_for() {
    let installation = Installation::new(&[]);
    let mut command = installation.applet(&["test-imports", "--jobs", "3", "json"]);
    command
        .env("FLOE_EVENTS", "1")
        .env("FLOE_TESTS", r#"{"options": {"jobs": 2}}"#)
        .env("TEST_JOBS", "1");
    let jobs = |command: &mut Command| {
        let output = command.output().unwrap().stdout;
        let pieces = Decoder::default().feed(&output).into_iter();
        let jobs = pieces.filter_map(|piece| match piece {
            Piece::Record(record) => match record.event {
                Event::SuiteStarted { jobs, .. } => Some(jobs),
                _ => None,
            },
            Piece::Text(_) => None,
        });
        jobs.collect::<Vec<_>>()
    };
    assert_eq!(jobs(&mut command), [3]);
    let mut command = installation.applet(&["test-imports", "json"]);
    command
        .env("FLOE_EVENTS", "1")
        .env("FLOE_TESTS", r#"{"options": {"jobs": 2}}"#)
        .env("TEST_JOBS", "1");
    assert_eq!(jobs(&mut command), [2]);
    let mut command = installation.applet(&["test-imports", "json"]);
    command.env("FLOE_EVENTS", "1").env("TEST_JOBS", "1");
    assert_eq!(jobs(&mut command), [1]);
}

impl Installation {
    /// Fails the test unless all that was started with this installation goes: what is killed may need a moment.
    fn expect_nothing_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.processes() > 0 {
            assert!(Instant::now() < deadline, "what ran is still running");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn processes(&self) -> usize {
        let mark = format!("CONDA_DIR={}", self.path().display());
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let of_it = processes.filter(|process| {
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            environment
                .split(|&byte| byte == 0)
                .any(|entry| entry == mark.as_bytes())
        });
        of_it.count()
    }
}
