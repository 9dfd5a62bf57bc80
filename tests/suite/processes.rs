use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use floe::event::{CauseKind, Verdict};
use serde_json::json;

use crate::case::{Case, cause};

/// Adds a kernel `cal` that runs a shell script, in place of the real one.
fn with_kernel(case: &mut Case, directory: &Path, script: &str) {
    let kernel = directory.join("kernels/cal");
    fs::create_dir_all(&kernel).unwrap();
    let spec = json!({"argv": ["/bin/sh", "-c", script, "sh", "{connection_file}"]});
    fs::write(kernel.join("kernel.json"), spec.to_string()).unwrap();
    case.options.kernels.0.insert(0, directory.to_owned());
}

#[tokio::test]
async fn a_kernel_that_dies_before_it_is_ready_shows_its_last_words() {
    let (mut case, directory) = (Case::new(), tempfile::tempdir().unwrap());
    with_kernel(&mut case, directory.path(), "echo no libzmq here >&2; exit 7");
    case.notebook("x.ipynb", &["1"]);
    let run = case.run().await;
    let failure = cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::KernelDied);
    assert_eq!(failure.message, "kernel \"cal\" died before it was ready: exit code 7");
    assert_eq!(failure.detail, "no libzmq here\n");
}

#[tokio::test]
async fn a_kernel_that_never_answers_is_given_up() {
    let (mut case, directory) = (Case::new(), tempfile::tempdir().unwrap());
    with_kernel(&mut case, directory.path(), "sleep 1000 & sleep 1000");
    case.options.ready_timeout = Duration::from_millis(300);
    case.notebook("x.ipynb", &["1"]);
    let run = case.run().await;
    let failure = cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Timeout);
    assert_eq!(failure.message, "kernel \"cal\" was not ready after 0.3 s");
}

#[tokio::test]
async fn a_daemon_that_a_notebook_left_is_killed_and_named() {
    let case = Case::new();
    case.notebook(
        "x.ipynb",
        &["import subprocess\np = subprocess.Popen(['sleep', '1000'], start_new_session=True)\nprint(p.pid)"],
    );
    let run = case.run().await;
    let finished = run.finished("cal::notebooks::x.ipynb");
    assert_eq!(finished.verdict, Verdict::Passed);
    let (pid, note) = finished.output.split_once('\n').unwrap();
    assert_eq!(note, "[floe: left behind and killed: sleep]\n");
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

#[tokio::test]
async fn a_scratch_directory_with_a_long_path_does_not_matter() {
    let (mut case, directory) = (Case::new(), tempfile::tempdir().unwrap());
    let long = directory.path().join("x".repeat(120));
    fs::create_dir(&long).unwrap();
    case.options.scratch = long;
    case.notebook("x.ipynb", &["1"]);
    assert!(case.run().await.passed("cal::notebooks::x.ipynb"));
}

#[tokio::test]
async fn a_link_to_a_parent_directory_is_not_followed() {
    let case = Case::new();
    let notebook = case.file("data/x", "");
    symlink("..", notebook.with_file_name("loop")).unwrap();
    case.notebook("x.ipynb", &["open('data/x')"]);
    assert!(case.run().await.passed("cal::notebooks::x.ipynb"));
}
