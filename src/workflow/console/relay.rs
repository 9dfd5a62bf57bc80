//! What passes between a container and whoever is let into it.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::super::WorkflowError;
use super::Typed;
use crate::engine::{Container, Engine, EngineError, Size, Written};
use crate::state::FileError;

/// How long a command that was asked to end may take to.
const END_TIMEOUT: Duration = Duration::from_secs(10);

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

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// Its exit code.
    pub code: u8,
    /// Whether all that it wrote was passed on.
    pub whole: bool,
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

/// Lets the container begin, and passes everything on until it ends.
pub async fn relay(
    engine: &dyn Engine,
    container: &Container,
    terminal: bool,
    open: impl FnOnce() -> Result<Seat, FileError>,
) -> Result<Gone, WorkflowError> {
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
    // A piece that nobody has taken yet keeps no signal from being heard.
    let mut held: Option<Written> = None;
    let whole = loop {
        tokio::select! {
            piece = written.recv(), if held.is_none() => match piece {
                Some(piece) => held = Some(piece?),
                None => break true,
            },
            permit = output.reserve(), if held.is_some() => {
                let (Ok(permit), Some(piece)) = (permit, held.take()) else {
                    cut(engine, container, &mut written).await?;
                    return Ok(Gone { code: BROKEN_PIPE, whole: false });
                };
                permit.send(piece);
            }
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
                cut(engine, container, &mut written).await?;
                break false;
            }
        }
    };
    let exit = engine.wait(container).await?;
    let code = u8::try_from(exit.code).unwrap_or(u8::MAX);
    Ok(Gone { code, whole })
}

/// Kills the command, and reads what it wrote until then: an engine does not end what still has something to say.
async fn cut(
    engine: &dyn Engine,
    container: &Container,
    written: &mut mpsc::Receiver<Result<Written, EngineError>>,
) -> Result<(), EngineError> {
    let (killed, ()) = tokio::join!(engine.kill(container), async {
        while written.recv().await.is_some() {}
    });
    killed
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
