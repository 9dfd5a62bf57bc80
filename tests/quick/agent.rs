//! The agent as a process: what it is asked for by options and variables, and how it ends when it is asked to.

use std::process::Command;

use floe::event::{CauseKind, Event};

use crate::installation::{Installation, SLEEPING, ends, events, interrupted};

#[test]
fn an_agent_that_is_asked_to_end_kills_what_runs_and_accounts_for_every_test() {
    let installation = Installation::new(&[SLEEPING]);
    for (signal, expected) in [("-TERM", 143), ("-INT", 130)] {
        let mut command = installation.applet(&["test-imports", "--jobs", "1", "sleeping", "json"]);
        let child = command.env("FLOE_EVENTS", "1").spawn().unwrap();
        let (code, events) = interrupted(child, signal);
        assert_eq!(code, Some(expected));
        let not_run = |name: &str| (format!("base::imports::{name}"), CauseKind::NotRun);
        assert_eq!(ends(&events), [not_run("sleeping"), not_run("json")]);
        let Some(Event::SuiteFinished { summary }) = events.last() else {
            panic!("the set of tests did not end: {events:#?}")
        };
        assert_eq!(summary.failed, 2);
    }
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
    let text = "import os\nleft = [name for name in os.environ if name.startswith('FLOE_')]\nassert not left, left\n";
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
        let events = events(&command.output().unwrap().stdout);
        let jobs = events.into_iter().filter_map(|event| match event {
            Event::SuiteStarted { jobs, .. } => Some(jobs),
            _ => None,
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
