//! The program that is tested, and how a call of it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a call of floe gets of this process's environment: what finds programs, and what reaches the network from here.
const KEPT: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// What a call that may use the container engine gets beside [`KEPT`].
const ENGINE: &[&str] = &["DOCKER_HOST", "DOCKER_CONFIG"];

/// An address at which no engine is.
const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";

/// How a call of floe ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code, or -1 if a signal ended it.
    pub code: i32,
    /// What it wrote on standard output.
    pub stdout: String,
    /// What it wrote on standard error.
    pub stderr: String,
}

/// A call of floe that finds no container engine. No setting of this process's environment reaches it.
pub fn floe() -> Command {
    let mut command = cleared(KEPT);
    command.env("DOCKER_HOST", NO_ENGINE);
    command
}

/// A call of floe that uses the container engine which this process would use.
pub fn floe_with_engine() -> Command {
    cleared(&[KEPT, ENGINE].concat())
}

fn cleared(kept: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.stdin(Stdio::null()).env_clear();
    for name in kept {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// The program. Cargo builds it before every test and benchmark, into the directory above that of their own programs.
pub fn program() -> PathBuf {
    let program = above_this_program(2).join("floe");
    assert!(program.exists(), "{} is not built", program.display());
    program
}

/// A directory for what is kept between runs.
pub fn scratch() -> PathBuf {
    above_this_program(3).join("tmp")
}

/// The directory so many levels above: `target/<triple>/debug/deps/<this program>`.
fn above_this_program(levels: usize) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.ancestors().nth(levels).map(Path::to_owned).unwrap()
}

impl Ended {
    /// How a call that gave `output` ended.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails the test unless floe ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "floe said:\n{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless floe printed each of `parts` on standard output.
    #[track_caller]
    pub fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part), "{part:?} is not in:\n{}", self.stdout);
        }
        self
    }

    /// Fails the test unless floe said each of `parts` on standard error.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in:\n{}", self.stderr);
        }
        self
    }
}
