//! Connections through `ssh`, as Docker's own client makes them: on the other machine `docker system dial-stdio` passes on
//! what it reads and writes to the engine there.
//!
//! Each connection is a call of the user's own `ssh`, so that its configuration, agent and control sockets count. It leads a
//! process group of its own, since Ctrl-C is meant for floe, which may still have containers to end; a terminal's questions
//! are out of its reach there, and so it is told to ask none.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::address::Address;

/// Bytes of what `ssh` says that are kept.
const WORDS_LIMIT: usize = 4096;

/// How every answer of an engine begins.
const ANSWER: &[u8] = b"HTTP/";

/// A connection to an engine on another machine. The `ssh` that carries it ends with it.
pub(super) struct Carried {
    input: Option<ChildStdin>,
    output: ChildStdout,
    words: Arc<Mutex<Vec<u8>>>,
    listening: JoinHandle<()>,
    received: bool,
    _child: Child,
}

/// The arguments of `ssh` for an address; none for an address of another kind.
fn arguments(address: &Address) -> Vec<String> {
    let Address::Ssh {
        user,
        host,
        port,
        socket,
    } = address
    else {
        return Vec::new();
    };
    let mut arguments = [
        "-o",
        "ConnectTimeout=30",
        "-o",
        "BatchMode=yes",
        "-o",
        "ServerAliveInterval=30",
        "-T",
    ]
    .map(str::to_owned)
    .to_vec();
    let options = [("-l", user.clone()), ("-p", port.map(|port| port.to_string()))];
    for (option, value) in options {
        arguments.extend(value.into_iter().flat_map(|value| [option.to_owned(), value]));
    }
    arguments.extend(["--", host, "docker"].map(str::to_owned));
    if let Some(socket) = socket {
        // The other side's shell reads the words once more.
        let quoted = shlex::try_quote(socket).map_or_else(|_| socket.clone(), Cow::into_owned);
        arguments.extend(["--host".to_owned(), format!("unix://{quoted}")]);
    }
    arguments.extend(["system", "dial-stdio"].map(str::to_owned));
    arguments
}

/// Opens a connection. What is wrong with the other side is known when the first answer is read.
pub(super) fn open(address: &Address) -> io::Result<Carried> {
    let mut child = Command::new("ssh")
        .args(arguments(address))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot start ssh: {error}")))?;
    let (Some(input), Some(output), Some(mut errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("ssh has no standard streams"));
    };
    let words = Arc::new(Mutex::new(Vec::new()));
    let heard = words.clone();
    let listening = tokio::spawn(async move {
        let mut piece = [0; 1024];
        while let Ok(read @ 1..) = errors.read(&mut piece).await {
            let mut words = heard.lock().unwrap_or_else(PoisonError::into_inner);
            let room = WORDS_LIMIT.saturating_sub(words.len()).min(read);
            words.extend(&piece[..room]);
        }
    });
    Ok(Carried {
        input: Some(input),
        output,
        words,
        listening,
        received: false,
        _child: child,
    })
}

/// `ssh` has ended without an answer of the engine; holds what it said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct SshError(String);

impl Carried {
    /// The error of a connection that ended before anything was received, once all that `ssh` said has been heard.
    fn poll_failed(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        if !self.listening.is_finished() && Pin::new(&mut self.listening).poll(context).is_pending() {
            return Poll::Pending;
        }
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let words = String::from_utf8_lossy(&words);
        let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
        let said = lines.collect::<Vec<_>>().join("; ");
        let said = match said.strip_prefix("ssh: ").unwrap_or(&said) {
            "" => "ssh ended without a word".to_owned(),
            said => format!("ssh: {said}"),
        };
        Poll::Ready(io::Error::other(SshError(said)))
    }
}

impl AsyncRead for Carried {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.output).poll_read(context, buffer);
        let ended = matches!(read, Poll::Ready(Ok(()))) && buffer.filled().len() == before && buffer.remaining() > 0;
        if ended && !this.received {
            return this.poll_failed(context).map(Err);
        }
        let arrived = &buffer.filled()[before..];
        if !this.received && !arrived.is_empty() {
            this.received = true;
            // A shell that greets, or that lets nobody in, does so where the engine's answer should begin.
            if !arrived.iter().zip(ANSWER).all(|(byte, expected)| byte == expected) {
                let line = String::from_utf8_lossy(arrived);
                let line = line.lines().next().unwrap_or_default().trim();
                let said = format!("ssh: the other side says {line:?} in place of the engine");
                return Poll::Ready(Err(io::Error::other(SshError(said))));
            }
        }
        read
    }
}

impl AsyncWrite for Carried {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().input {
            // A program that has ended reads nothing; what it said is met where its answer is read.
            Some(input) => match Pin::new(input).poll_write(context, bytes) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Poll::Ready(Ok(bytes.len())),
                other => other,
            },
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().input {
            Some(input) => Pin::new(input).poll_flush(context),
            None => Poll::Ready(Ok(())),
        }
    }

    /// The other side sees the end of what is written when the pipe is closed.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().input = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_called_as_dockers_own_client_calls_it() {
        let called = |address: &str| arguments(&Address::parse(address, false).unwrap()).join(" ");
        let always = "-o ConnectTimeout=30 -o BatchMode=yes -o ServerAliveInterval=30 -T";
        for (address, rest) in [
            ("ssh://h", "-- h docker system dial-stdio"),
            ("ssh://me@h:2222", "-l me -p 2222 -- h docker system dial-stdio"),
            (
                "ssh://h/run/user/1000/docker.sock",
                "-- h docker --host unix:///run/user/1000/docker.sock system dial-stdio",
            ),
        ] {
            assert_eq!(called(address), format!("{always} {rest}"));
        }
    }
}
