//! Child processes, and all that they start: how they end, and what is known of them then.

use super::*;

pub(super) const LONG: Duration = Duration::from_mins(1);

pub(super) fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

#[tokio::test]
async fn output_and_exit_code_are_told() {
    let finished = run(sh("echo out; echo err >&2; exit 3"), LONG, LONG).await.unwrap();
    assert_eq!(finished.ended.exit, Some(Exit::Code(3)));
    assert_eq!(finished.ended.output, "out\nerr\n");
    assert!(!finished.timed_out);
}

#[tokio::test]
async fn a_signal_is_not_an_exit_code() {
    let finished = run(sh("kill -SEGV $$"), LONG, LONG).await.unwrap();
    assert_eq!(
        finished.ended.exit.unwrap().to_string(),
        "signal 11 (SIGSEGV, segmentation fault)"
    );
}

#[tokio::test]
async fn a_process_that_ignores_the_request_to_stop_is_killed() {
    let script = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let running = Running::spawn(sh(script)).unwrap();
    while running.output().is_empty() {
        tokio::task::yield_now().await;
    }
    running.signal(Signal::TERM);
    let ended = running.end().await;
    assert_eq!(ended.exit, Some(Exit::Signal(9)));
}

#[tokio::test]
async fn a_time_limit_ends_the_whole_group() {
    let finished = run(sh("sleep 1000 & sleep 1000"), Duration::from_millis(50), LONG)
        .await
        .unwrap();
    assert!(finished.timed_out);
    assert_eq!(finished.ended.exit, Some(Exit::Signal(15)));
}

#[tokio::test]
async fn a_daemon_among_hundreds_of_others_is_reported() {
    let script = "exec >/dev/null 2>&1; for i in $(seq 150); do sleep 1000 & done; setsid sleep 1000 & sleep 1";
    let running = Running::spawn(sh(script)).unwrap();
    running.exited().await;
    let left = running.end_gently().await.left_behind;
    assert_eq!(left.iter().filter(|left| left.daemon).count(), 1, "{}", left.len());
}

#[tokio::test]
async fn a_grandchild_that_holds_the_output_open_delays_nobody() {
    let finished = run(sh("sleep 1000 & echo done"), LONG, LONG).await.unwrap();
    assert_eq!(finished.ended.output, "done\n");
    assert_eq!(finished.ended.left_behind.len(), 1);
}

#[tokio::test]
async fn a_grandchild_in_a_session_of_its_own_is_killed_too() {
    let running = Running::spawn(sh("setsid sh -c 'echo $$; sleep 1000; :' & wait")).unwrap();
    while !running.output().ends_with('\n') {
        tokio::task::yield_now().await;
    }
    let ended = running.end().await;
    assert!(
        ended.left_behind.iter().any(|left| left.name == "sh" && left.daemon),
        "{:?}",
        ended.left_behind
    );
    let state = std::fs::read_to_string(format!("/proc/{}/stat", ended.output.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

#[tokio::test]
async fn a_daemon_that_left_group_session_parent_and_environment_is_killed_too() {
    // The first process of the pair has ended when it is looked for.
    let script = "setsid env -i sh -c 'sh -c \"echo \\$\\$; exec sleep 1000\" &'; sleep 0.2";
    let running = Running::spawn(sh(script)).unwrap();
    running.exited().await;
    let ended = running.end_gently().await;
    let left = &ended.left_behind;
    assert!(left.iter().any(|left| left.daemon), "{left:?}");
    let state = std::fs::read_to_string(format!("/proc/{}/stat", ended.output.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let error = run(Command::new("/nowhere/python"), LONG, LONG).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot start /nowhere/python: No such file or directory (os error 2)"
    );
}
