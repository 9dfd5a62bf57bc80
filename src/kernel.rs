//! A running Jupyter kernel: started, asked to execute cells, and gone without a trace.
//!
//! The kernel is not trusted to answer. Each step has a limit, its death is noticed at once, and whatever it started
//! is killed with it.
//!
//! ipykernel is asked to end on its shell channel: on its control channel the thread that answers flushes through one
//! that may have stopped by then, for ten seconds. It kills its children when it shuts down and then waits 14 s for
//! those that nobody reaps, so a kernel with dead children is not waited for.

pub mod connection;
pub mod execution;
mod port;
mod sequence;
pub mod spec;
pub mod traceback;
pub mod warm;
mod witness;
mod zmtp;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jupyter_protocol::messaging::{CommId, CommMsg, InterruptRequest, KernelInfoRequest, ShutdownRequest};
use rustix::process::{Pid, Signal};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until, timeout};

use self::connection::{Connection, ConnectionError, Endpoint};
use self::execution::Request;
use self::sequence::Sequence;
use self::spec::{Interrupt, KernelSpec};
use crate::process::{Ended, Exit, Running};

/// How long a kernel may take to end by itself when it is asked to, as long as Jupyter gives it: time for `atexit`
/// handlers, not for children that it waits for.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// When a kernel that is ending is looked at: one that has not ended by then may never do so.
const FIRST_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How soon an unanswered question whether the kernel is ready is asked again. The first may come before the kernel
/// knows that anybody listens to its output.
const ASK_INTERVAL: Duration = Duration::from_millis(200);

/// How long a kernel whose sockets have closed before it was ready may take to be dead.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// The variable that names the process whose end ends a kernel.
const PARENT: &str = "JPY_PARENT_PID";

/// A kernel that could not be found, started or reached.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// No kernel of this name is installed.
    #[error("no kernel is named {name:?}; there are: {}", list(available))]
    Unknown {
        /// The name that was looked for.
        name: String,
        /// The kernels that there are.
        available: Vec<String>,
    },
    /// The kernel's `kernel.json` cannot be used.
    #[error("{path}: {reason}")]
    Spec {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The directory of the connection's sockets cannot be made.
    #[error("cannot make a directory for the kernel's sockets in {path}: {source}")]
    Directory {
        /// Where it should have been.
        path: PathBuf,
        /// Why it could not.
        source: std::io::Error,
    },
    /// The kernel's program cannot be started.
    #[error("kernel {name:?}: {source}")]
    Launch {
        /// The kernel.
        name: String,
        /// Why.
        source: crate::process::ProcessError,
    },
    /// The kernel ended before it answered.
    #[error("kernel {name:?} died before it was ready: {}", exit_text(*exit))]
    Died {
        /// The kernel.
        name: String,
        /// How it ended.
        exit: Option<Exit>,
        /// What it printed.
        output: String,
    },
    /// The kernel did not answer in time.
    #[error("kernel {name:?} was not ready after {} s", limit.as_secs_f64())]
    NotReady {
        /// The kernel.
        name: String,
        /// The time it had.
        limit: Duration,
        /// What it printed.
        output: String,
    },
    /// The server that should fork the kernel did not.
    #[error("kernel {name:?}: {source}")]
    Fork {
        /// The kernel.
        name: String,
        /// Why.
        source: warm::ServerError,
    },
    /// The connection to the kernel failed while both ends were alive.
    #[error("kernel {name:?}: {source}")]
    Connection {
        /// The kernel.
        name: String,
        /// Why.
        source: connection::ConnectionError,
        /// What the kernel printed.
        output: String,
    },
}

/// How a kernel is to be started.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The kernel.
    pub spec: &'a KernelSpec,
    /// The interpreter that a bare `python` in the spec stands for.
    pub python: &'a Path,
    /// The working directory.
    pub directory: &'a Path,
    /// The whole environment, before the spec's own variables.
    pub environment: &'a BTreeMap<OsString, OsString>,
    /// Where the sockets' directory is made, if the path is short enough for sockets.
    pub scratch: &'a Path,
    /// How long the kernel may take to answer its first request.
    pub ready: Duration,
}

impl Launch<'_> {
    /// The whole environment, with the spec's own variables.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<OsString, OsString> {
        let own = self.spec.variables(self.environment).into_iter();
        let own = own.map(|(name, value)| (name.into(), value));
        self.environment.clone().into_iter().chain(own).collect()
    }
}

/// A kernel that has answered. Dropping it kills it.
#[derive(Debug)]
pub struct Kernel {
    process: Running,
    connection: Connection,
    interrupt: Interrupt,
    farewell: Farewell,
    numbers: Sequence,
    /// What it says of its language.
    language: Value,
    /// Whether its replies say when code ended by an exception that nothing in the notebook took.
    witnessed: bool,
}

/// What a kernel that answers has shown of itself.
struct Reached {
    connection: Connection,
    numbers: Sequence,
    language: Value,
    witnessed: bool,
}

/// Where a kernel is asked to end.
#[derive(Debug)]
enum Farewell {
    /// Where the protocol has it.
    Control,
    /// Where ipykernel takes it, too. Asked on the other channel, it often waits ten seconds for a thread that it has
    /// stopped already.
    Shell,
}

impl Kernel {
    /// Starts a kernel and waits until it answers requests and its output can be heard.
    pub async fn start(launch: Launch<'_>) -> Result<Self, KernelError> {
        let name = &launch.spec.name;
        let endpoint = Endpoint::create(launch.scratch, launch.spec)?;
        let mut arguments = launch.spec.command(launch.python, &endpoint.file()).into_iter();
        let mut command = Command::new(arguments.next().unwrap_or_default());
        command
            .args(arguments)
            .current_dir(launch.directory)
            .env_clear()
            .envs(launch.variables())
            .env(PARENT, std::process::id().to_string());
        let process = Running::spawn(command).map_err(|source| KernelError::Launch {
            name: name.clone(),
            source,
        })?;
        Self::connect(process, endpoint, launch).await
    }

    /// The same with a kernel that `server` forks, which was started for the same kernel and environment.
    pub async fn fork(launch: Launch<'_>, server: &warm::Server) -> Result<Self, KernelError> {
        let name = &launch.spec.name;
        let failed = |source| KernelError::Fork {
            name: name.clone(),
            source,
        };
        let endpoint = Endpoint::create(launch.scratch, launch.spec)?;
        let Some((launcher, arguments)) = launch.spec.launcher(launch.python, &endpoint.file()) else {
            return Err(failed(warm::ServerError::Refused("it is no ipykernel".to_owned())));
        };
        let process = server
            .fork(&launcher, &arguments, launch.directory)
            .await
            .map_err(failed)?;
        Self::connect(process, endpoint, launch).await
    }

    async fn connect(process: Running, endpoint: Endpoint, launch: Launch<'_>) -> Result<Self, KernelError> {
        let name = &launch.spec.name;
        let connected = tokio::select! {
            connection = timeout(launch.ready, reach(endpoint)) => connection.map(Ok),
            exit = process.exited() => Ok(Err(exit)),
        };
        // A kernel that dies may close its sockets before it is seen to be dead.
        let connected = match connected {
            Ok(Ok(Err(error))) => timeout(CLOSING_TIMEOUT, process.exited())
                .await
                .map_or(Ok(Ok(Err(error))), |exit| Ok(Err(exit))),
            other => other,
        };
        match connected {
            Ok(Ok(Err(source))) => Err(KernelError::Connection {
                name: name.clone(),
                source,
                output: process.end().await.output,
            }),
            Ok(Ok(Ok(reached))) => Ok(Self {
                process,
                connection: reached.connection,
                interrupt: launch.spec.interrupt,
                farewell: if launch.spec.is_ipykernel() {
                    Farewell::Shell
                } else {
                    Farewell::Control
                },
                numbers: reached.numbers,
                language: reached.language,
                witnessed: reached.witnessed,
            }),
            Ok(Err(_)) => {
                let ended = process.end().await;
                Err(KernelError::Died {
                    name: name.clone(),
                    exit: ended.exit,
                    output: ended.output,
                })
            }
            Err(_) => Err(KernelError::NotReady {
                name: name.clone(),
                limit: launch.ready,
                output: process.end().await.output,
            }),
        }
    }

    /// The process ID of the kernel.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// What the kernel says of its language, which Jupyter writes into notebooks as `language_info`.
    #[must_use]
    pub fn language(&self) -> &Value {
        &self.language
    }

    /// Sends data to a comm of the kernel, such as a widget.
    pub async fn tell(&mut self, comm: &str, data: Map<String, Value>) -> Result<(), ConnectionError> {
        let message = CommMsg {
            comm_id: CommId(comm.to_owned()),
            data,
        };
        self.connection.shell.send(message.into()).await
    }

    /// Asks the kernel to end, kills it and all it started, and says how it ended and what it printed itself.
    pub async fn end(mut self) -> Ended {
        let request = ShutdownRequest { restart: false };
        let channel = match self.farewell {
            Farewell::Control => &mut self.connection.control,
            Farewell::Shell => &mut self.connection.shell,
        };
        let asked = channel.send(request.into()).await.is_ok();
        if asked && self.ends().await {
            return self.process.end_gently().await;
        }
        let mut ended = self.process.end().await;
        // It was not given the time to end them.
        ended.left_behind.iter_mut().for_each(|left| left.daemon = false);
        ended
    }

    /// Whether the kernel ends by itself.
    async fn ends(&self) -> bool {
        if timeout(FIRST_LOOK_INTERVAL, self.process.exited()).await.is_ok() {
            return true;
        }
        // ipykernel kills its children first, and then waits long for those that it never reaps.
        !self.process.has_dead_children() && timeout(FAREWELL_TIMEOUT, self.process.exited()).await.is_ok()
    }

    /// Kills the kernel and all it started without asking.
    pub async fn kill(self) -> Ended {
        self.process.end().await
    }

    async fn interrupt(&mut self) {
        match self.interrupt {
            Interrupt::Signal => self.process.signal(Signal::INT),
            Interrupt::Message => {
                // If it cannot be sent, the kernel is killed when its grace is over.
                let _ = self.connection.control.send(InterruptRequest {}.into()).await;
            }
        }
    }
}

/// Connects and asks until the kernel answers on both channels: replies on one, its output on the other. One that runs
/// Python is then asked to say how code ends, unless it was forked so that it does.
async fn reach(endpoint: Endpoint) -> Result<Reached, ConnectionError> {
    let mut connection = endpoint.connect().await?;
    let mut numbers = Sequence::default();
    let (mut language, mut heard, mut prepared) = (None, false, false);
    while language.is_none() || !heard {
        connection.shell.send(KernelInfoRequest {}.into()).await?;
        let again = Instant::now() + ASK_INTERVAL;
        while language.is_none() || !heard {
            tokio::select! {
                reply = connection.shell.receive() => {
                    let reply = reply?;
                    numbers.replied(&reply.id);
                    if reply.kind == "kernel_info_reply" {
                        prepared = witness::is_there(&reply.content);
                        language = Some(reply.content["language_info"].clone());
                    }
                }
                message = connection.iopub.receive() => {
                    numbers.published(&message?.id);
                    heard = true;
                }
                () = sleep_until(again) => break,
            }
        }
    }
    let language = language.unwrap_or_default();
    let witnessed = prepared
        || language["name"] == "python" && {
            let request = Request::asking(&witness::expression());
            let answer = connection.ask(request, &mut numbers).await?;
            answer["status"] == "ok"
        };
    Ok(Reached {
        connection,
        numbers,
        language,
        witnessed,
    })
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn exit_text(exit: Option<Exit>) -> String {
    exit.map_or_else(|| "no exit status".to_owned(), |exit| exit.to_string())
}
