//! The agent as a program of its own: what it takes from the machine, and what it leaves there.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::case::Case;

/// What the agent ended with and said.
struct Ended {
    code: Option<i32>,
    said: String,
}

/// Runs `test-notebooks` with these arguments in a mount namespace of its own, where `mounts` were made.
fn in_namespace(case: &Case, mounts: &str, notebooks: &[&str]) -> Ended {
    let mut agent = case.agent();
    agent.args(["test-notebooks", "cal"]).args(notebooks);
    let output = world::mounted(mounts, &agent).output().unwrap();
    Ended {
        code: output.status.code(),
        said: String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
    }
}

/// The living children of a process.
fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let mut fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
        !matches!(fields.next(), Some("Z" | "X")) && fields.next() == Some(&parent.to_string())
    };
    let names = fs::read_dir("/proc").unwrap().flatten();
    let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_child).collect()
}

/// Waits until `done`, for as long as a slow machine may take.
fn wait_until(done: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_mins(1);
    while Instant::now() < end {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn a_disk_that_is_full_is_the_machines_fault_and_not_the_notebooks() {
    let case = Case::new();
    case.notebook("x.ipynb", &["1"]);
    let mounts = "mount -t tmpfs -o size=64k tmpfs \"$TMPDIR\"; head -c 64k /dev/zero >\"$TMPDIR/full\" || :";
    let ended = in_namespace(&case, mounts, &["x.ipynb"]);
    assert_eq!(ended.code, Some(100), "{}", ended.said);
    assert!(ended.said.contains("INFRA"), "{}", ended.said);
    assert!(ended.said.contains("No space left on device"), "{}", ended.said);
}

#[test]
fn a_disk_that_a_notebook_fills_takes_its_copy_and_not_its_verdict() {
    let case = Case::new();
    let fill = "try:\n    open('full', 'wb', 0).write(bytes(10**9)); open('more', 'wb', 0).write(bytes(10**9))\n\
                except OSError as error: print(error.strerror)";
    case.notebook("x.ipynb", &[fill]);
    let ended = in_namespace(&case, "mount -t tmpfs -o size=4m tmpfs \"$TMPDIR\"", &["x.ipynb"]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
}

#[test]
fn a_home_that_cannot_be_written_does_not_matter() {
    let case = Case::new();
    case.notebook(
        "x.ipynb",
        &[
            "print(_)",
            "import os\nassert not os.access(os.path.expanduser('~'), os.W_OK)",
        ],
    );
    let ended = in_namespace(&case, "mount -t tmpfs -o ro tmpfs \"$HOME\"", &["x.ipynb"]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
}

#[test]
fn an_agent_that_is_killed_leaves_nothing_behind() {
    let case = Case::new();
    case.notebook("a.ipynb", &["open('/proc/self/comm'); import time; time.sleep(1000)"]);
    case.notebook("b.ipynb", &["import time; time.sleep(1000)"]);
    let mut agent = case.agent();
    let mut running = agent
        .args(["test-notebooks", "cal", "a.ipynb", "b.ipynb"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    // The server and at least one kernel.
    let pid = running.id();
    assert!(wait_until(|| children(pid).len() >= 2));
    let started = children(pid);
    running.kill().unwrap();
    running.wait().unwrap();
    let gone = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    assert!(wait_until(|| started.iter().all(gone)), "{started:?}");
}
