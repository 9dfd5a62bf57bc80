//! The terminal, or the pipe, of whoever is let into a container.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::failure::{ExitCode, Failure};
use crate::engine::{Size, Written};
use crate::state::FileError;
use crate::workflow::{Seat, Sent};

/// The signals that the command gets, and whether they ask for its end whatever it makes of them.
const PASSED: [(SignalKind, &str, bool); 6] = [
    (SignalKind::interrupt(), "SIGINT", false),
    (SignalKind::quit(), "SIGQUIT", false),
    (SignalKind::user_defined1(), "SIGUSR1", false),
    (SignalKind::user_defined2(), "SIGUSR2", false),
    (SignalKind::terminate(), "SIGTERM", true),
    (SignalKind::hangup(), "SIGHUP", true),
];

/// Whether a person sits at a terminal, for what is typed and what is shown.
#[must_use]
pub fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// This process's own end of a container's streams, for as long as it lives. A terminal passes every key on meanwhile.
#[derive(Default)]
pub struct Desk {
    raw: Option<Raw>,
    written: Option<oneshot::Receiver<()>>,
}

impl Desk {
    /// Opens the streams. Signals are the command's from now on.
    pub fn open(&mut self, terminal: bool) -> Result<Seat, FileError> {
        let failed = |place: &'static str| {
            move |source: io::Error| FileError {
                path: place.into(),
                source,
            }
        };
        let stdin = io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(failed("standard input"))?;
        let sent = listen(terminal).map_err(failed("signals"))?;
        if terminal {
            self.raw = Some(Raw::enter(stdin.try_clone().map_err(failed("terminal"))?).map_err(failed("terminal"))?);
        }
        let (sender, done) = oneshot::channel();
        self.written = Some(done);
        Ok(Seat {
            input: typed(stdin),
            output: shown(sender),
            sent,
            size: terminal.then(size).flatten(),
        })
    }

    /// Gives the terminal back; before that, waits until all is shown, if that is to be.
    pub async fn close(mut self, whole: bool) {
        if let Some(written) = self.written.take().filter(|_| whole) {
            tokio::select! {
                _ = written => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
    }
}

/// A terminal that passes every key on, until this is dropped.
struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    fn enter(terminal: OwnedFd) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// What is typed, or comes from a pipe.
fn typed(stdin: OwnedFd) -> mpsc::Receiver<Vec<u8>> {
    let (sender, input) = mpsc::channel(4);
    // A thread of its own: the end of this process does not wait for it.
    std::thread::spawn(move || {
        let mut stdin = File::from(stdin);
        let mut buffer = vec![0; 32 * 1024];
        loop {
            match io::Read::read(&mut stdin, &mut buffer) {
                Ok(0) => return,
                Ok(length) => {
                    if sender.blocking_send(buffer[..length].to_vec()).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    input
}

/// Takes what is to be shown. `done` is dropped when nothing more is.
fn shown(done: oneshot::Sender<()>) -> mpsc::Sender<Written> {
    let (sender, mut output) = mpsc::channel(16);
    std::thread::spawn(move || {
        let _done = done;
        while let Some(written) = output.blocking_recv() {
            let shown = match written {
                Written::Output(bytes) => {
                    let mut stdout = io::stdout().lock();
                    stdout.write_all(&bytes).and_then(|()| stdout.flush())
                }
                Written::Error(bytes) => io::stderr().lock().write_all(&bytes),
            };
            if shown.is_err() {
                return;
            }
        }
    });
    sender
}

/// Passes on signals, and the sizes of the terminal.
fn listen(terminal: bool) -> io::Result<mpsc::Receiver<Sent>> {
    let (sender, sent) = mpsc::channel(8);
    for (kind, name, ends) in PASSED {
        let mut stream = signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                let heard = if ends { Sent::End(name) } else { Sent::Signal(name) };
                let _ = sender.send(heard).await;
            }
        });
    }
    if terminal {
        let mut resized = signal(SignalKind::window_change())?;
        tokio::spawn(async move {
            while resized.recv().await.is_some() {
                if let Some(size) = size() {
                    let _ = sender.send(Sent::Resized(size)).await;
                }
            }
        });
    }
    Ok(sent)
}

fn size() -> Option<Size> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    Some(Size {
        columns: size.ws_col,
        rows: size.ws_row,
    })
}

/// The end of a call with the exit code of its command.
pub fn ended(code: u8) -> Result<(), Failure> {
    match code {
        0 => Ok(()),
        code => Err(Failure::shown(ExitCode::OfCommand(code))),
    }
}
