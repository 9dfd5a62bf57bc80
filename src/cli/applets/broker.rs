//! How the mission's script asks the agent for tests: what it calls sends its words and what surrounds it to the agent's
//! socket, and ends as the agent answers.
//!
//! So the agent alone runs tests and speaks to the host, whatever program the image has for them. It listens to processes
//! that the script started, which the kernel tells; no test is one of them.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use super::place::Place;
use crate::cli::failure::{ExitCode, Failure};
use crate::process::table::Process;

/// How long a question may take to arrive.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest question: Linux allows no longer variables and arguments.
const LONGEST_QUESTION: u64 = 16 << 20;

/// How long to wait where no connection can be taken.
const TROUBLE_INTERVAL: Duration = Duration::from_millis(100);

/// What an applet asks the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The applet's name and its arguments.
    pub words: Vec<OsString>,
    /// What surrounds it.
    pub place: Place,
}

/// How the applet is to end.
type Answer = Result<(), Failure>;

/// Asks the agent at `address`, waits for its answer, and ends as it says.
pub async fn ask(address: &str, words: Vec<OsString>, place: Place) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            ExitCode::Internal,
            format!("the agent does not answer at {address}: {error}"),
        )
    };
    let mut question = serde_json::to_vec(&Question { words, place }).map_err(|error| failed(error.into()))?;
    question.push(b'\n');
    let mut stream = UnixStream::connect(address).await.map_err(failed)?;
    stream.write_all(&question).await.map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(failed)?;
    serde_json::from_slice::<Answer>(&answer).map_err(|error| failed(error.into()))?
}

/// The agent's end.
pub struct Broker {
    listener: UnixListener,
    directory: tempfile::TempDir,
    /// How many questions wait for an answer.
    waiting: Cell<usize>,
}

impl Broker {
    /// Begins to listen.
    pub fn open() -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("floe-agent-")
            .permissions(Permissions::from_mode(0o711))
            .tempdir()?;
        let path = address(directory.path());
        let listener = UnixListener::bind(&path)?;
        // The script may go on as another user.
        fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        Ok(Self {
            listener,
            directory,
            waiting: Cell::new(0),
        })
    }

    /// Where the agent is asked.
    pub fn address(&self) -> PathBuf {
        address(self.directory.path())
    }

    /// Completes once no question waits for an answer.
    pub async fn idle(&self) {
        while self.waiting.get() > 0 {
            sleep(TROUBLE_INTERVAL / 5).await;
        }
    }

    /// Answers what the process `script` and those that it started ask, several at a time, without end. An answer that
    /// nobody waits for any more is given up.
    pub async fn serve<F: Future<Output = Answer>>(&self, script: Pid, answer: impl Fn(Question) -> F) {
        let mut questions = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        self.waiting.set(self.waiting.get() + 1);
                        questions.push(converse(stream, script, &answer));
                    }
                    Err(_) => sleep(TROUBLE_INTERVAL).await,
                },
                Some(()) = questions.next(), if !questions.is_empty() => self.waiting.set(self.waiting.get() - 1),
            }
        }
    }
}

fn address(directory: &Path) -> PathBuf {
    directory.join("socket")
}

async fn converse<F: Future<Output = Answer>>(mut stream: UnixStream, script: Pid, answer: impl Fn(Question) -> F) {
    let asker = stream.peer_cred().ok().and_then(|peer| Pid::from_raw(peer.pid()?));
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read.take(LONGEST_QUESTION));
    let mut line = Vec::new();
    let arrived = timeout(QUESTION_TIMEOUT, read.read_until(b'\n', &mut line)).await;
    let refused = |reason: &str| Err(Failure::new(ExitCode::Refused, reason));
    let answer = match serde_json::from_slice::<Question>(&line) {
        _ if !matches!(arrived, Ok(Ok(_))) => return,
        _ if !asker.is_some_and(|asker| is_of(asker, script)) => {
            refused("the agent runs tests only for what the mission's script has started")
        }
        Err(_) => refused("the agent does not understand this image's floe: build the image again"),
        Ok(question) => tokio::select! {
            answer = answer(question) => answer,
            // Nothing more is said until the answer: it is the asker's end.
            _ = read.read_u8() => return,
        },
    };
    let text = serde_json::to_vec(&answer).unwrap_or_default();
    // Who is gone needs no answer.
    let _ = write.write_all(&text).await;
}

/// Whether `asker` is `script`, or `script` started it.
fn is_of(asker: Pid, script: Pid) -> bool {
    asker == script || Process::of(asker).is_some_and(|asker| asker.descends_from(script))
}
