//! Child processes that cannot outlive their test, hang it or fill memory with what they print.
//!
//! Each child leads a process group of its own. Its process ID stays reserved until the whole group is gone, so a
//! signal never reaches a stranger; a process that left the group is found by its mark.

pub mod capture;
mod descendants;
mod exit;
mod mark;
pub mod memory;
pub mod mounts;
mod owner;
mod said;
pub mod table;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{DumpableBehavior, Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::capture::Capture;
use self::descendants::Descendants;
pub use self::descendants::{Left, claim_strangers};
pub use self::exit::Exit;
use self::mark::Mark;
pub use self::owner::{Owner, OwnerError};
pub use self::said::{Said, said};

/// How long the end of the output is waited for once every process that could write it has been killed.
const LAST_OUTPUT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a killed process may take to disappear; longer means that the machine, not the process, is at fault.
const DEATH_TIMEOUT: Duration = Duration::from_secs(5);

/// A process that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {program}: {source}")]
pub struct ProcessError {
    /// The program as it was named.
    pub program: String,
    /// Why.
    pub source: io::Error,
}

/// What is known of a process after it and all it started are gone.
#[derive(Debug)]
pub struct Ended {
    /// How the process itself ended; `None` if it could not be seen to end within seconds of being killed.
    pub exit: Option<Exit>,
    /// What it printed, standard output and error in one, shortened in the middle where it was long.
    pub output: String,
    /// What it left behind, which has been killed.
    pub left_behind: Vec<Left>,
}

/// A process that ran under a time limit.
#[derive(Debug)]
pub struct Finished {
    /// How it ended and what it printed.
    pub ended: Ended,
    /// Whether the time limit ended it.
    pub timed_out: bool,
}

/// Makes orphans of this process's descendants its own children, so that they can be found and reaped.
///
/// The command line calls this once, before the first child is started.
pub fn adopt_orphans() -> io::Result<()> {
    // The system call takes a flag; any process ID stands for "yes".
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(io::Error::from)
}

/// Keeps this process's memory, environment and open files from other processes, those of the same user included.
pub fn hide() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(io::Error::from)
}

/// Runs `command` to its end: after `limit` it is asked to stop (SIGTERM), `grace` later it is killed.
pub async fn run(command: Command, limit: Duration, grace: Duration) -> Result<Finished, ProcessError> {
    let running = Running::spawn(command)?;
    let timed_out = timeout(limit, running.exited()).await.is_err();
    if timed_out {
        running.signal(Signal::TERM);
        let _ = timeout(grace, running.exited()).await;
    }
    Ok(Finished {
        ended: running.end().await,
        timed_out,
    })
}

/// A child process, its group, and whatever left that group. Dropping it kills them all.
#[derive(Debug)]
pub struct Running {
    group: Pid,
    exit: watch::Receiver<Option<Exit>>,
    capture: Arc<Mutex<Capture>>,
    drain: JoinHandle<()>,
    strays: Descendants,
}

impl Running {
    /// Starts `command` with an empty standard input and its output captured, in a process group of its own.
    pub fn spawn(command: Command) -> Result<Self, ProcessError> {
        Self::spawn_heard(command, |_| {})
    }

    /// The same; `hear` is given what is printed as it comes, too.
    pub fn spawn_heard(mut command: Command, hear: impl FnMut(&[u8]) + Send + 'static) -> Result<Self, ProcessError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |source| ProcessError {
            program: program.clone(),
            source,
        };
        let (reader, writer) = io::pipe().map_err(failed)?;
        let mark = Mark::new();
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(failed)?)
            .stderr(writer)
            .process_group(0);
        let child = mark.spawn(&mut command).map_err(failed)?;
        // The command holds the pipe's other end: while it lives, the output has no end.
        drop(command);
        let group = Pid::from_child(&child);
        Self::watch(group, reader, hear, Descendants::new(Some(group), mark)).map_err(failed)
    }

    /// Takes charge of a child that leads its process group.
    fn watch(
        group: Pid,
        output: io::PipeReader,
        hear: impl FnMut(&[u8]) + Send + 'static,
        strays: Descendants,
    ) -> io::Result<Self> {
        let receiver = pipe::Receiver::from_owned_fd(output.into())?;
        let capture = Arc::new(Mutex::new(Capture::default()));
        Ok(Self {
            group,
            exit: watch_exit(group),
            drain: tokio::spawn(drain(receiver, Arc::clone(&capture), hear)),
            capture,
            strays,
        })
    }

    /// The process ID, also the ID of the process group.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.group
    }

    /// Waits for the process itself to end, not for what it started.
    pub async fn exited(&self) -> Exit {
        let mut exit = self.exit.clone();
        let seen = exit.wait_for(Option::is_some).await.map(|exit| *exit);
        match seen {
            Ok(Some(exit)) => exit,
            // The watching thread always sends before it ends, so this cannot be reached; to wait is the safe answer.
            _ => std::future::pending().await,
        }
    }

    /// Whether a process that it started itself is dead and still waits for it to take notice.
    #[must_use]
    pub fn has_dead_children(&self) -> bool {
        descendants::has_dead_children(self.group)
    }

    /// Sends a signal to the whole group.
    pub fn signal(&self, signal: Signal) {
        // A group that is gone needs no signal.
        let _ = kill_process_group(self.group, signal);
    }

    /// What has been printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.capture.lock().unwrap_or_else(PoisonError::into_inner).text()
    }

    /// The same, after a moment for what made itself independent of a process that has ended.
    pub async fn end_gently(self) -> Ended {
        self.strays.notice().await;
        self.end().await
    }

    /// Kills whatever is left, waits until it is gone, and says how it all ended.
    pub async fn end(mut self) -> Ended {
        let left_behind = self.strays.kill().await;
        let exit = timeout(DEATH_TIMEOUT, self.exited()).await.ok();
        self.strays.reap();
        if timeout(LAST_OUTPUT_TIMEOUT, &mut self.drain).await.is_err() {
            self.drain.abort();
        }
        Ended {
            exit,
            output: self.output(),
            left_behind,
        }
    }
}

/// A process that another starts on behalf of this one, which adopts it as an orphan.
///
/// Until then it is known by its mark alone. Dropping this kills whatever carries it.
#[derive(Debug)]
pub struct Orphan {
    mark: Mark,
    reader: io::PipeReader,
    writer: io::PipeWriter,
    strays: Descendants,
}

impl Orphan {
    /// A process that has yet to be started.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mark = Mark::new();
        Ok(Self {
            strays: Descendants::new(None, mark),
            mark,
            reader,
            writer,
        })
    }

    /// What marks the process: the limit on file locks that it must set for itself.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.mark.limit()
    }

    /// Where the process must print to.
    #[must_use]
    pub fn output(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }

    /// Takes charge of the process, which leads a group of its own. An error if it is no child of this process.
    pub fn adopt(self, pid: Pid) -> io::Result<Running> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        waitid(WaitId::Pid(pid), look)?;
        // While this end is open, the output has no end.
        drop(self.writer);
        Running::watch(pid, self.reader, |_| {}, self.strays.of_group(pid))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.drain.abort();
    }
}

/// Learns how the process ends without reaping it: until then its ID, and its group's, cannot be given to another.
fn watch_exit(pid: Pid) -> watch::Receiver<Option<Exit>> {
    let (sender, receiver) = watch::channel(None);
    std::thread::spawn(move || {
        let exit = loop {
            match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(Some(status)) => {
                    break status
                        .exit_status()
                        .map(Exit::Code)
                        .or_else(|| status.terminating_signal().map(Exit::Signal));
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => break None,
            }
        };
        // Only a process that somebody else reaped has no known end; it is certain to be gone.
        sender.send_replace(Some(exit.unwrap_or(Exit::Signal(0))));
    });
    receiver
}

async fn drain(mut receiver: pipe::Receiver, capture: Arc<Mutex<Capture>>, mut hear: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = receiver.read(&mut buffer).await {
        hear(&buffer[..length]);
        capture
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(&buffer[..length]);
    }
}

#[cfg(test)]
mod tests;
