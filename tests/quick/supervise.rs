//! The agent as the first process of a container: the image's entrypoint, the mission's own script, and an end by request.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;

use floe::event::{CauseKind, Event, Verdict};
use serde_json::json;

use crate::installation::{Installation, SLEEPING, ends, events, interrupted, verdicts};

#[test]
fn a_script_that_waits_for_its_tests_does_not_keep_them_from_ending() {
    let installation = Installation::new(&[SLEEPING]);
    let text = "floe applet test-imports --jobs 1 sleeping json; sleep 3600";
    let child = installation.with_script(text).spawn().unwrap();
    let (code, events) = interrupted(child, "-TERM");
    assert_eq!(code, Some(143));
    let not_run = |id: &str| (id.to_owned(), CauseKind::NotRun);
    let ended = ["base::imports::sleeping", "base::imports::json", "mission:m::test"];
    assert_eq!(ends(&events), ended.map(not_run));
    installation.expect_nothing_left();
}

#[test]
fn what_a_script_runs_without_the_agent_goes_on_until_the_script_ends() {
    let installation = Installation::new(&[]);
    let child = installation.with_script("echo here; sleep 3600 & wait").spawn();
    let mut child = child.unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("here") {
        assert!(output.read_line(&mut line).unwrap() > 0, "{line}");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    installation.expect_nothing_left();
}

#[test]
fn a_script_passes_by_its_exit_code_and_fails_by_any_other() {
    let installation = Installation::new(&[]);
    for (text, kind, message) in [
        ("exit 100", CauseKind::Error, "the script failed with exit code 100"),
        ("exit 7", CauseKind::Error, "the script failed with exit code 7"),
        (
            "kill -KILL $$",
            CauseKind::KernelDied,
            "the script was killed: signal 9",
        ),
    ] {
        let output = installation.with_script(text).output().unwrap();
        assert_eq!(output.status.code(), Some(100), "{text}");
        let verdicts = verdicts(&events(&output.stdout));
        let [(id, Verdict::Failed(cause))] = verdicts.as_slice() else {
            panic!("{text}: {verdicts:?}")
        };
        assert_eq!((id.as_str(), cause.kind), ("mission:m::test", kind));
        assert!(cause.message.starts_with(message), "{}", cause.message);
    }
    let output = installation.with_script("exit 0").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let passed = ("mission:m::test".to_owned(), Verdict::Passed);
    assert_eq!(verdicts(&events(&output.stdout)), [passed]);
}

#[test]
fn a_script_that_passes_on_the_code_of_failed_tests_is_not_counted_as_one_more() {
    let installation = Installation::new(&[]);
    let output = installation
        .with_script("floe applet test-imports no_such_module json")
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(100));
    let verdicts = verdicts(&events(&output.stdout));
    assert_eq!(verdicts.len(), 3, "{verdicts:?}");
    assert!(matches!(&verdicts[2], (id, Verdict::Skipped { .. }) if id == "mission:m::test"));
}

#[test]
fn a_script_that_asks_for_the_defined_tests_where_there_are_none_ran_no_test() {
    let installation = Installation::new(&[]);
    let asks = "floe applet test-environments";
    let verdict = |installation: &Installation| {
        let output = installation.with_script(asks).output().unwrap();
        verdicts(&events(&output.stdout)).pop().unwrap().1
    };
    let Verdict::Failed(cause) = verdict(&installation) else {
        panic!("it passed")
    };
    assert_eq!(cause.kind, CauseKind::NotRun);
    assert!(cause.message.starts_with("it ran no test"), "{}", cause.message);
    installation.define("base/tests/imports", "json\n");
    assert_eq!(verdict(&installation), Verdict::Passed);
}

#[test]
fn what_a_script_changes_of_the_definitions_changes_no_test() {
    let installation = Installation::new(&[]);
    installation.define("base/tests/imports", "json\nno_such_module\n");
    let text = "rm -r \"$(dirname \"$0\")\"/base; floe applet test-environments; exit 0";
    let output = installation.with_script(text).output().unwrap();
    assert_eq!(output.status.code(), Some(100));
    assert_eq!(verdicts(&events(&output.stdout)).len(), 3);
}

#[test]
fn the_agent_runs_tests_for_what_the_script_has_started_and_for_nobody_else() {
    let installation = Installation::new(&[]);
    let mut child = installation
        .with_script("echo \"<$FLOE_AGENT>\"; read line <&0; sleep 3600")
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains('<') {
        assert!(output.read_line(&mut said).unwrap() > 0, "{said}");
    }
    let socket = said.split(['<', '>']).nth(1).unwrap();
    let mut stream = UnixStream::connect(socket).unwrap();
    let question = r#"{"words": [], "place": {"variables": [], "directory": "/"}}"#;
    writeln!(stream, "{question}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains("only for what the mission's script has started"),
        "{answer}"
    );
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    child.wait().unwrap();
}

#[test]
fn tests_run_in_the_surroundings_that_the_images_entrypoint_leaves() {
    let checks = "import os\nassert os.environ['LEFT'] == 'here', os.environ\n\
                  assert os.environ['HOME'].endswith('/home')\n";
    let installation = Installation::new(&[("checks", checks)]);
    installation.define("base/tests/imports", "checks\n");
    let text = "echo hello from the entrypoint; export LEFT=here HOME=\"$PWD/home\"; sleep 3 & exec \"$@\"";
    let entrypoint = installation.program("entrypoint", text);
    let output = installation
        .supervise(&json!({"entrypoint": [entrypoint]}))
        .output()
        .unwrap();
    let events = events(&output.stdout);
    let passed = ("base::imports::checks".to_owned(), Verdict::Passed);
    assert_eq!(
        verdicts(&events),
        [passed],
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0));
    assert!(events.contains(&Event::Output {
        text: "hello from the entrypoint\n".to_owned()
    }));
}

#[test]
fn an_entrypoint_that_does_not_run_its_arguments_is_told_as_that() {
    let installation = Installation::new(&[]);
    installation.define("base/tests/imports", "json\n");
    for (entrypoint, said) in [
        ("true", "it ended with exit status: 0"),
        ("false", "it ended with exit status: 1"),
        ("/no/such/program", "cannot be started: /no/such/program"),
    ] {
        let output = installation
            .supervise(&json!({"entrypoint": [entrypoint]}))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(said), "{text}");
        assert_eq!(verdicts(&events(&output.stdout)), []);
    }
}
