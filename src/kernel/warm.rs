//! A server that forks kernels: it has imported ipykernel once, which is most of what a kernel's start takes.
//!
//! A kernel that it forks gets the same arguments, variables and directory as one that is started from scratch, leads a process
//! group of its own, and becomes a child of this process. The server imports nothing that a kernel does not import by
//! itself before it looks at a notebook: anything else would hide what an environment lacks.
//!
//! What still tells the two apart: forked kernels have one seed of hashes in common, so that the order of sets is the same
//! in all of them, and `/proc/<pid>/cmdline` is that of the server.
//!
//! A forked kernel is ready in a tenth of a second. ipykernel reads `JPY_PARENT_PID` while it is imported, so the
//! server has the agent as its parent, and each kernel is forked twice, to be adopted by the agent. Python takes its
//! modules apart when it ends, which for pandas and matplotlib takes a third of the time of importing them: a forked
//! kernel does what was registered for its end, in Python and in C, and leaves without that.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::Pid;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::spec::Launcher;
use super::{PARENT, connection, witness};
use crate::process::{Orphan, ProcessError, Running};

const PROGRAM: &str = include_str!("warm/server.py");

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A server that cannot be started, or that did not fork a kernel.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its interpreter cannot be started.
    #[error(transparent)]
    Launch(#[from] ProcessError),
    /// It ended, or the connection to it failed.
    #[error("the server that forks kernels failed: {0}")]
    Connection(#[from] io::Error),
    /// It did not answer in time.
    #[error("the server that forks kernels did not answer within {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// It answered something else than it should.
    #[error("the server that forks kernels answered {0:?}")]
    Garbage(String),
    /// It says why it cannot fork this kernel, or any.
    #[error("{0}")]
    Refused(String),
}

/// A running server. Dropping it ends it, and no kernel with it.
#[derive(Debug)]
pub struct Server {
    process: Running,
    link: Mutex<Link>,
    /// How long it may take to answer.
    limit: Duration,
}

/// The connection to a server. Requests and answers alternate.
#[derive(Debug)]
struct Link {
    stream: UnixStream,
    /// Whether an answer may be missing or incomplete, so that the next could not be told from it.
    broken: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ready(bool),
    Pid(i32),
    Error(String),
}

impl Server {
    /// Starts the launcher's interpreter with these variables and nothing else, and has it import ipykernel.
    pub async fn start(
        launcher: &Launcher,
        variables: &BTreeMap<OsString, OsString>,
        scratch: &Path,
        limit: Duration,
    ) -> Result<Self, ServerError> {
        let directory = tempfile::Builder::new()
            .prefix("floe-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(connection::sockets_parent(scratch))?;
        let address = directory.path().join("socket");
        let listener = UnixListener::bind(&address)?;
        let mut command = Command::new(&launcher.program);
        command
            .args(&launcher.flags)
            .args(["-c", PROGRAM])
            .arg(std::process::id().to_string())
            .arg(&address)
            .arg(witness::prepared())
            .current_dir(directory.path())
            .env_clear()
            .envs(variables)
            // ipykernel reads it when it is imported.
            .env(PARENT, std::process::id().to_string());
        let process = Running::spawn(command)?;
        let connect = async {
            tokio::select! {
                accepted = listener.accept() => Ok(accepted?.0),
                exit = process.exited() => Err(ServerError::Connection(io::Error::other(exit.to_string()))),
            }
        };
        let stream = timeout(limit, connect)
            .await
            .map_err(|_| ServerError::Silent(limit))??;
        let mut link = Link { stream, broken: false };
        match link.answer(limit).await? {
            Answer::Ready(true) => Ok(Self {
                process,
                link: Mutex::new(link),
                limit,
            }),
            other => Err(other.into()),
        }
    }

    /// Forks a kernel that runs as `launcher` says, with `arguments` to ipykernel, in `directory`, with the server's
    /// variables.
    pub async fn fork(
        &self,
        launcher: &Launcher,
        arguments: &[OsString],
        directory: &Path,
    ) -> Result<Running, ServerError> {
        let orphan = Orphan::new()?;
        let not_text = || ServerError::Refused("a path is not valid UTF-8".to_owned());
        let request = json!({
            "command": texts(&launcher.command(arguments)).ok_or_else(not_text)?,
            "arguments": texts(arguments).ok_or_else(not_text)?,
            "directory": directory.to_str().ok_or_else(not_text)?,
            "mark": orphan.mark(),
        });
        let mut link = self.link.lock().await;
        link.send(&format!("{request}\n"), &orphan).await?;
        match link.answer(self.limit).await? {
            Answer::Pid(pid) => {
                let known = Some(pid).filter(|&pid| pid > 0).and_then(Pid::from_raw);
                Ok(orphan.adopt(known.ok_or_else(|| ServerError::Garbage(pid.to_string()))?)?)
            }
            other => Err(other.into()),
        }
    }

    /// Ends the server.
    pub async fn end(self) {
        drop(self.link);
        self.process.end().await;
    }
}

impl Link {
    async fn send(&mut self, request: &str, orphan: &Orphan) -> Result<(), ServerError> {
        if self.broken {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        self.broken = true;
        let output = [orphan.output()];
        let attempt = || {
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            let parts = [IoSlice::new(request.as_bytes())];
            ancillary.push(SendAncillaryMessage::ScmRights(&output));
            Ok(sendmsg(&self.stream, &parts, &mut ancillary, SendFlags::NOSIGNAL)?)
        };
        let sent = self.stream.async_io(Interest::WRITABLE, attempt).await?;
        if sent < request.len() {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        Ok(())
    }

    async fn answer(&mut self, limit: Duration) -> Result<Answer, ServerError> {
        self.broken = true;
        let mut line = Vec::new();
        let read = async {
            let mut buffer = [0; 4096];
            while line.last() != Some(&b'\n') && line.len() < LONGEST_ANSWER {
                match self.stream.read(&mut buffer).await? {
                    0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                    length => line.extend_from_slice(&buffer[..length]),
                }
            }
            Ok(())
        };
        timeout(limit, read).await.map_err(|_| ServerError::Silent(limit))??;
        let answer = serde_json::from_slice(&line)
            .map_err(|_| ServerError::Garbage(String::from_utf8_lossy(&line).trim_end().to_owned()))?;
        self.broken = false;
        Ok(answer)
    }
}

fn texts(words: &[OsString]) -> Option<Vec<&str>> {
    words.iter().map(|word| word.to_str()).collect()
}

impl From<Answer> for ServerError {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Error(reason) => Self::Refused(reason),
            Answer::Ready(ready) => Self::Garbage(format!("ready: {ready}")),
            Answer::Pid(pid) => Self::Garbage(format!("pid: {pid}")),
        }
    }
}
