//! An installation for the agent, and what the agent says.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use floe::event::wire::{Decoder, Piece};
use floe::event::{CauseKind, Event, TestFinished, Verdict};

/// An installation whose base environment is this machine's Python, with modules of its own.
pub struct Installation(tempfile::TempDir);

impl Installation {
    pub fn new(modules: &[(&str, &str)]) -> Self {
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

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn applet(&self, arguments: &[&str]) -> Command {
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

    /// The agent as the first process of a container whose environments' directories are below `environments`.
    pub fn supervise(&self, request: &serde_json::Value) -> Command {
        let mut command = self.applet(&["supervise"]);
        command
            .env("FLOE_EVENTS", "1")
            .env("FLOE_ENVIRONMENTS", self.path().join("environments"))
            .env("FLOE_TESTS", request.to_string());
        command
    }

    /// The same, for the mission's script, which is `text` in a shell; `floe` is the agent's program there.
    pub fn with_script(&self, text: &str) -> Command {
        self.program("environments/test", text);
        self.supervise(&serde_json::json!({"duty": {"script": "mission:m::test"}}))
    }

    pub fn program(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!(
            "#! /bin/sh\nfloe() {{ {} \"$@\"; }}\n{text}\n",
            world::program().display()
        );
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub fn define(&self, path: &str, text: &str) {
        let path = self.path().join("environments").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

pub fn events(output: &[u8]) -> Vec<Event> {
    let pieces = Decoder::default().feed(output).into_iter();
    let events = pieces.filter_map(|piece| match piece {
        Piece::Record(record) => Some(record.event),
        Piece::Text(_) | Piece::Refused(_) => None,
    });
    events.collect()
}

/// The verdict on each test, in the order of their ends.
pub fn verdicts(events: &[Event]) -> Vec<(String, Verdict)> {
    let ends = events.iter().filter_map(|event| match event {
        Event::TestFinished(test) => Some((test.id.to_string(), test.verdict.clone())),
        _ => None,
    });
    ends.collect()
}

/// A module whose import ends in an hour.
pub const SLEEPING: (&str, &str) = ("sleeping", "import time\ntime.sleep(3600)\n");

/// Asks the agent to end once it has begun to import `sleeping`; returns its exit code and the events of its output.
pub fn interrupted(mut child: Child, signal: &str) -> (Option<i32>, Vec<Event>) {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut all = Vec::new();
    while !String::from_utf8_lossy(&all).contains(r#""event":"test-started","id":"base::imports::sleeping"#) {
        assert!(output.read_until(b'\n', &mut all).unwrap() > 0, "no test began");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    output.read_to_end(&mut all).unwrap();
    (child.wait().unwrap().code(), events(&all))
}

pub fn ends(events: &[Event]) -> Vec<(String, CauseKind)> {
    let ends = events.iter().filter_map(|event| match event {
        Event::TestFinished(TestFinished {
            id,
            verdict: Verdict::Failed(cause),
            ..
        }) => Some((id.to_string(), cause.kind)),
        Event::TestFinished(test) => panic!("{} did not fail", test.id),
        _ => None,
    });
    ends.collect()
}

impl Installation {
    /// Fails the test unless all that was started with this installation goes: what is killed may need a moment.
    pub fn expect_nothing_left(&self) {
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
