//! JupyterLab in a container of an image, for a browser of this machine.

use std::net::TcpListener;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::super::{Interrupts, WorkflowError, Workplace};
use super::{Console, ConsoleError, prepare, unless_interrupted};
use crate::engine::{Container, Engine, EngineError, Image, Input, Written};
use crate::server;

/// The port of Jupyter, which is taken if it is free.
const FIRST_PORT: u16 = 8888;

/// So many ports after it are tried.
const TRIED: u16 = 100;

/// How long a server that was asked to end may take to.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of what the server printed last explains its end, in bytes.
const LOG: usize = 8 * 1024;

/// How JupyterLab is started.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// The port, if not the first free one from 8888 on.
    pub port: Option<u16>,
    /// What opens it.
    pub token: String,
}

/// Starts JupyterLab, calls `ready` with its URL once it answers, and goes on until it is interrupted. The container is
/// removed however this ends.
pub async fn lab(
    workplace: &Workplace,
    console: &Console,
    options: &LabOptions,
    interrupts: &Interrupts,
    ready: impl FnOnce(&str) + Send,
) -> Result<(), WorkflowError> {
    let image = console.subject.image(workplace, interrupts).await?;
    interrupts.leave_to_work();
    let port = port(options.port)?;
    let mut console = console.clone();
    console.visit.command = command(&image, port, &console);
    console.setup.port = Some(port);
    let token = ("JUPYTER_TOKEN".to_owned(), options.token.clone());
    console.setup.variables.extend([token]);
    let container = prepare(workplace, &console, image, Input::None, interrupts).await?;
    let engine = workplace.engine().await?;
    let limit = workplace.settings.server_timeout;
    let server = Server {
        port,
        token: &options.token,
        limit: limit.map_or(server::START_TIMEOUT, |limit| limit.0),
    };
    let ended = async {
        unless_interrupted(interrupts)?;
        server.runs(engine, &container, interrupts, ready).await
    };
    let ended = ended.await;
    engine.remove(&container).await?;
    ended
}

/// The words that start the image's server, for whoever reaches the container.
fn command(image: &Image, port: u16, console: &Console) -> Vec<String> {
    let own = || vec![server::COMMAND.to_owned()];
    let mut words = if image.command.is_empty() {
        own()
    } else {
        image.command.clone()
    };
    words.extend(["--ip=0.0.0.0", "--no-browser"].map(str::to_owned));
    words.push(format!("--port={port}"));
    words.push("--ServerApp.port_retries=0".to_owned());
    if super::is_root(image, &console.setup) {
        words.push("--allow-root".to_owned());
    }
    words
}

/// A port on which nobody listens at the moment.
fn port(named: Option<u16>) -> Result<u16, ConsoleError> {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    match named {
        Some(port) if is_free(port) => Ok(port),
        Some(port) => Err(ConsoleError::Taken { port }),
        None => (FIRST_PORT..FIRST_PORT + TRIED)
            .find(|port| is_free(*port))
            .ok_or(ConsoleError::Taken { port: FIRST_PORT }),
    }
}

struct Server<'a> {
    port: u16,
    token: &'a str,
    limit: Duration,
}

impl Server<'_> {
    async fn runs(
        &self,
        engine: &dyn Engine,
        container: &Container,
        interrupts: &Interrupts,
        ready: impl FnOnce(&str),
    ) -> Result<(), WorkflowError> {
        let attached = engine.attach(container, false).await?;
        engine.begin(container).await?;
        let mut log = Log::default();
        let answered = {
            let mut reading = pin!(log.read(attached.output));
            let answered = tokio::select! {
                read = &mut reading => Err(read),
                answered = timeout(self.limit, server::answered(self.port, self.token)) => Ok(answered.is_ok()),
                how = interrupts.first() => {
                    return Err(ConsoleError::Interrupted(how).into());
                }
            };
            if answered.as_ref().is_ok_and(|answered| *answered) {
                ready(&format!("http://127.0.0.1:{}/lab?token={}", self.port, self.token));
                tokio::select! {
                    read = &mut reading => Err(read),
                    _ = interrupts.first() => {
                        end(engine, container).await?;
                        return Ok(());
                    }
                }
            } else {
                answered
            }
        };
        match answered {
            Err(read) => {
                read?;
                let code = engine.wait(container).await?.code;
                Err(ConsoleError::Ended { code, log: log.text() }.into())
            }
            Ok(_) => Err(ConsoleError::Silent {
                limit: self.limit,
                log: log.text(),
            }
            .into()),
        }
    }
}

/// Lets the server end by itself, if it does so soon.
async fn end(engine: &dyn Engine, container: &Container) -> Result<(), EngineError> {
    engine.terminate(container).await?;
    tokio::select! {
        ended = engine.wait(container) => ended.map(drop),
        () = sleep(END_TIMEOUT) => engine.kill(container).await,
    }
}

/// What a server printed last.
#[derive(Default)]
struct Log(Vec<u8>);

impl Log {
    /// Reads until the server ends.
    async fn read(&mut self, mut written: mpsc::Receiver<Result<Written, EngineError>>) -> Result<(), EngineError> {
        while let Some(piece) = written.recv().await {
            let (Written::Output(bytes) | Written::Error(bytes)) = piece?;
            self.0.extend(bytes);
            if self.0.len() > 2 * LOG {
                self.0.drain(..self.0.len() - LOG);
            }
        }
        Ok(())
    }

    /// Its last whole lines.
    fn text(&self) -> String {
        let cut = self.0.len().saturating_sub(LOG);
        let text = String::from_utf8_lossy(&self.0[cut..]);
        let whole = if cut == 0 {
            &text
        } else {
            text.split_once('\n').map_or(&*text, |(_, rest)| rest)
        };
        whole.trim_end().to_owned()
    }
}
