//! What passes between a container and whoever is let into it.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::super::WorkflowError;
use super::Typed;
use crate::engine::{Container, Engine, Size, Written};
use crate::state::FileError;

/// How long a command that was asked to end may take to.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the rest of what a command wrote is waited for.
const LAST_OUTPUT_TIMEOUT: Duration = Duration::from_secs(5);

/// So many interrupts end a command that does not end of them.
const MOST_INTERRUPTS: usize = 3;

/// The exit code of a command whose reader has gone away, as a shell has it.
const BROKEN_PIPE: u8 = 141;

/// Whoever is let in: streams, until it is dropped.
pub struct Seat {
    /// What is typed, or comes from a pipe. It ends where that does.
    pub input: Typed,
    /// Takes what the container writes. It is closed where nobody reads any more.
    pub output: mpsc::Sender<Written>,
    /// What else comes from outside.
    pub sent: mpsc::Receiver<Sent>,
    /// The size of the terminal, if it is one.
    pub size: Option<Size>,
}

/// What comes from outside beside what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The terminal has another size.
    Resized(Size),
    /// A signal, by its name, which the command gets.
    Signal(&'static str),
    /// Another one, which asks it to end.
    End(&'static str),
}

/// Lets the container begin, and passes everything on until it ends. Returns its exit code.
pub async fn relay(
    engine: &dyn Engine,
    container: &Container,
    terminal: bool,
    open: impl FnOnce() -> Result<Seat, FileError>,
) -> Result<u8, WorkflowError> {
    let attached = engine.attach(container, terminal).await?;
    let Seat {
        input,
        output,
        mut sent,
        size,
    } = open()?;
    engine.begin(container).await?;
    if let Some(size) = size {
        // A command that has ended already has no size.
        let _ = engine.resize(container, size).await;
    }
    let mut taking = std::pin::pin!(take(attached.input, input));
    let mut written = attached.output;
    let (mut taken, mut interrupts) = (false, 0);
    let mut deadline: Option<Instant> = None;
    let broken = loop {
        tokio::select! {
            piece = written.recv() => match piece {
                None => break false,
                Some(piece) => {
                    if output.send(piece?).await.is_err() {
                        break true;
                    }
                }
            },
            () = &mut taking, if !taken => taken = true,
            Some(sent) = sent.recv() => match sent {
                Sent::Resized(size) => {
                    let _ = engine.resize(container, size).await;
                }
                Sent::Signal(name) => {
                    engine.signal(container, name).await?;
                    interrupts += usize::from(name == "SIGINT");
                    if interrupts >= MOST_INTERRUPTS {
                        deadline = Some(Instant::now());
                    }
                }
                Sent::End(name) => {
                    engine.signal(container, name).await?;
                    deadline.get_or_insert_with(|| Instant::now() + END_TIMEOUT);
                }
            },
            () = reached(deadline) => {
                engine.kill(container).await?;
                deadline = Some(Instant::now() + LAST_OUTPUT_TIMEOUT);
            }
        }
    };
    if broken {
        engine.kill(container).await?;
        return Ok(BROKEN_PIPE);
    }
    let exit = engine.wait(container).await?;
    Ok(u8::try_from(exit.code).unwrap_or(u8::MAX))
}

/// Passes on what is typed, and then ends the input.
async fn take(mut stdin: Box<dyn tokio::io::AsyncWrite + Send + Unpin>, mut input: Typed) {
    while let Some(bytes) = input.recv().await {
        // A command that does not read any more needs nothing.
        if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
    let _ = stdin.shutdown().await;
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
