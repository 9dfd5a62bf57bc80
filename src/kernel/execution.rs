//! The execution of one cell: from the request until the kernel has replied and is idle, or cannot be expected to.
//!
//! A cell passes when its code went on to its end, whatever it showed. A kernel's reply does not say that for certain; the
//! witness does, where the kernel has one. Elsewhere a published `error` fails the cell, even if the reply says `ok`.

use std::time::Duration;

use jupyter_protocol::messaging::{ExecuteRequest, JupyterMessage};
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::{Connection, ConnectionError, Message};
use super::sequence::Sequence;
use super::{Kernel, witness};
use crate::process::Exit;

/// How long the channels are read after the kernel died, for what it had sent before.
const LAST_MESSAGES_TIMEOUT: Duration = Duration::from_millis(100);

/// How long the exit of a kernel is waited for whose sockets have closed.
const DEATH_TIMEOUT: Duration = Duration::from_secs(5);

/// How many messages ipykernel keeps for a client that does not read them, 0 for all.
const KEPT_OUTPUT: &str = "get_ipython().kernel.iopub_thread.socket.sndhwm";

/// How ipykernel names the exception in its reply where there was none.
const NO_EXCEPTION: &str = "NoneType";

/// A cell to execute.
#[derive(Debug)]
pub struct Request(JupyterMessage);

/// The limits of one cell.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// When the cell is interrupted.
    pub deadline: Instant,
    /// How long the kernel may take to obey an interrupt before it is killed.
    pub grace: Duration,
    /// How long it may be silent between its reply and the report that it is idle.
    pub settle: Duration,
}

/// How the execution of a cell ended.
#[derive(Debug, Clone, PartialEq)]
pub enum CellEnd {
    /// It ran to its end.
    Completed,
    /// It raised an exception, or a magic command failed.
    Raised {
        /// The exception's type.
        name: String,
        /// Its message.
        value: String,
        /// The traceback with its colours; empty where IPython gives none.
        traceback: String,
        /// The cell's execution count, by which the traceback names it.
        count: Option<u64>,
    },
    /// It ran, and asked the kernel to exit.
    AskedToExit,
    /// It asked for input, which nobody can give.
    AskedForInput,
    /// It ran longer than it may.
    TimedOut {
        /// Whether the interrupt was enough to stop it, or the kernel with it; if not, the kernel must be killed.
        interrupted: bool,
    },
    /// The kernel ended during the cell.
    Died(Exit),
    /// It ran, but the kernel lost messages, output of this cell or of one before among them.
    Lost {
        /// How many.
        messages: u64,
    },
    /// The kernel replied but never said that it had finished, or its channels closed while it lived.
    Silent,
}

impl Request {
    /// The request to execute `code`.
    #[must_use]
    pub fn new(code: &str) -> Self {
        let request = ExecuteRequest {
            code: code.to_owned(),
            allow_stdin: false,
            // Each request is sent when the one before has ended: there is nothing to abort.
            stop_on_error: false,
            ..ExecuteRequest::default()
        };
        Self(request.into())
    }

    /// The request to evaluate an expression, which nobody notices.
    pub(super) fn asking(expression: &str) -> Self {
        let request = ExecuteRequest {
            silent: true,
            store_history: false,
            allow_stdin: false,
            user_expressions: Some([("asked".to_owned(), expression.to_owned())].into()),
            ..ExecuteRequest::default()
        };
        Self(request.into())
    }

    /// The ID that the messages of this execution have as their parent.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.header.msg_id
    }
}

impl Connection {
    /// Sends a request made by [`Request::asking`] and waits for what became of its expression: `status` and `data`.
    pub(super) async fn ask(&mut self, request: Request, numbers: &mut Sequence) -> Result<Value, ConnectionError> {
        let id = request.id().to_owned();
        self.shell.send(request.0).await?;
        loop {
            let mut reply = self.shell.receive().await?;
            numbers.replied(&reply.id);
            if reply.parent == id {
                return Ok(reply.content["user_expressions"]["asked"].take());
            }
        }
    }
}

impl Kernel {
    /// Executes one cell and hands every message about output to `observe`, those of earlier cells too.
    pub async fn execute(
        &mut self,
        request: Request,
        limits: Limits,
        observe: &mut (dyn FnMut(&Message) + Send),
    ) -> CellEnd {
        let mut cell = Cell {
            id: request.id().to_owned(),
            ..Cell::default()
        };
        if self.connection.shell.send(request.0).await.is_err() {
            return self.closed(false).await;
        }
        let mut deadline = limits.deadline;
        let mut interrupted = false;
        while !cell.ended() {
            tokio::select! {
                message = self.connection.iopub.receive() => {
                    let Ok(message) = message else { return self.closed(interrupted).await };
                    if cell.reply.is_some() && !interrupted {
                        deadline = Instant::now() + limits.settle;
                    }
                    self.numbers.published(&message.id);
                    cell.published(&message);
                    observe(&message);
                }
                message = self.connection.shell.receive() => {
                    let Ok(message) = message else { return self.closed(interrupted).await };
                    self.numbers.replied(&message.id);
                    if cell.replied(message) && !interrupted {
                        deadline = Instant::now() + limits.settle;
                    }
                }
                message = self.connection.stdin.receive() => {
                    // ipykernel raises an exception in the cell instead; others may ask all the same.
                    if message.is_ok_and(|message| message.kind == "input_request") {
                        return CellEnd::AskedForInput;
                    }
                }
                exit = self.process.exited() => {
                    let _ = timeout(LAST_MESSAGES_TIMEOUT, async {
                        while let Ok(message) = self.connection.iopub.receive().await {
                            observe(&message);
                        }
                    })
                    .await;
                    return died(exit, interrupted);
                }
                () = sleep_until(deadline) => {
                    if interrupted {
                        return CellEnd::TimedOut { interrupted: false };
                    }
                    if cell.reply.is_some() {
                        return CellEnd::Silent;
                    }
                    self.interrupt().await;
                    interrupted = true;
                    deadline = Instant::now() + limits.grace;
                }
            }
        }
        if interrupted {
            return CellEnd::TimedOut { interrupted: true };
        }
        match self.lost(limits.settle).await {
            0 => cell.end(self.witnessed),
            messages => CellEnd::Lost { messages },
        }
    }

    /// How many messages, output among them, the kernel has lost so far.
    ///
    /// A number that is missing was not lost if the kernel is sure to keep everything: some libraries withhold what they
    /// have numbered.
    async fn lost(&mut self, limit: Duration) -> u64 {
        let missing = self.numbers.missing();
        if missing == 0 {
            return 0;
        }
        let asked = self.connection.ask(Request::asking(KEPT_OUTPUT), &mut self.numbers);
        match timeout(limit, asked).await {
            Ok(Ok(answer)) if answer["data"]["text/plain"] == "0" => 0,
            _ => missing,
        }
    }

    /// The channels are closed: either the kernel is dying, or it is of no use any more.
    async fn closed(&mut self, interrupted: bool) -> CellEnd {
        timeout(DEATH_TIMEOUT, self.process.exited())
            .await
            .map_or(CellEnd::Silent, |exit| died(exit, interrupted))
    }
}

/// How a cell ended during which the kernel ended: an interrupt ends some kernels as a whole.
fn died(exit: Exit, interrupted: bool) -> CellEnd {
    if interrupted {
        CellEnd::TimedOut { interrupted }
    } else {
        CellEnd::Died(exit)
    }
}

/// What has been heard of a cell.
#[derive(Default)]
struct Cell {
    id: String,
    reply: Option<Value>,
    idle: bool,
    error: Option<Value>,
}

impl Cell {
    fn ended(&self) -> bool {
        self.idle && self.reply.is_some()
    }

    fn published(&mut self, message: &Message) {
        if message.parent != self.id {
            return;
        }
        match message.kind.as_str() {
            "status" => self.idle |= message.content["execution_state"] == "idle",
            "error" => self.error = Some(message.content.clone()),
            _ => {}
        }
    }

    /// Takes the reply to this cell; the replies to others are old.
    fn replied(&mut self, message: Message) -> bool {
        let mine = message.parent == self.id && message.kind == "execute_reply";
        if mine {
            self.reply = Some(message.content);
        }
        mine
    }

    /// How the cell ended; with or without a witness in the kernel.
    fn end(self, witnessed: bool) -> CellEnd {
        let reply = self.reply.unwrap_or_default();
        let count = reply["execution_count"].as_u64();
        let payloads = reply["payload"].as_array().map(Vec::as_slice).unwrap_or_default();
        let seen = payloads.iter().find(|payload| payload["source"] == witness::SOURCE);
        // The reply that a display failed, and no code.
        let of_display = witnessed && reply["ename"] == NO_EXCEPTION;
        if reply["status"] != "ok" && !of_display {
            let said = self.error.as_ref().filter(|error| !says_why(&reply) && says_why(error));
            return raised(said.unwrap_or(&reply), count);
        }
        if let Some(error) = seen.or(self.error.as_ref().filter(|_| !witnessed)) {
            return raised(error, count);
        }
        let exits = |payload: &Value| payload["source"] == "ask_exit" && payload["keepkernel"] != true;
        if payloads.iter().any(exits) {
            CellEnd::AskedToExit
        } else {
            CellEnd::Completed
        }
    }
}

/// Whether an error tells more than that there was one: kernels reply with no name, or with a number.
fn says_why(error: &Value) -> bool {
    let text = |name: &str| error[name].as_str().unwrap_or_default();
    let in_words = |text: &str| text.is_empty() || text.contains(char::is_alphabetic);
    !matches!(text("ename"), "" | NO_EXCEPTION) && in_words(text("evalue").lines().next().unwrap_or_default())
}

fn raised(content: &Value, count: Option<u64>) -> CellEnd {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = content["traceback"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = content["ename"].as_str().or_else(|| content["status"].as_str());
    let name = name.unwrap_or_default();
    // xeus-python names the class as Python shows it.
    let class = name.strip_prefix("<class '").and_then(|name| name.strip_suffix("'>"));
    CellEnd::Raised {
        name: class.unwrap_or(name).to_owned(),
        value: text(&content["evalue"]),
        traceback: lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(kind: &str, content: Value) -> Message {
        Message {
            kind: kind.to_owned(),
            parent: "1".to_owned(),
            content,
            ..Message::default()
        }
    }

    fn cell(published: &[Message], reply: Value) -> Cell {
        let mut cell = Cell {
            id: "1".to_owned(),
            ..Cell::default()
        };
        for message in published {
            cell.published(message);
        }
        cell.replied(message("execute_reply", reply));
        cell
    }

    #[test]
    fn a_reply_alone_does_not_end_a_cell() {
        assert!(!cell(&[], json!({"status": "ok"})).ended());
        let idle = message("status", json!({"execution_state": "idle"}));
        assert!(cell(&[idle], json!({"status": "ok"})).ended());
    }

    #[test]
    fn a_published_error_fails_a_cell_only_where_no_witness_is() {
        let error = message("error", json!({"ename": "E", "evalue": "v", "traceback": ["a", "b"]}));
        let end = cell(std::slice::from_ref(&error), json!({"status": "ok"})).end(false);
        let CellEnd::Raised { name, traceback, .. } = end else {
            panic!("{end:?}")
        };
        assert_eq!((name.as_str(), traceback.as_str()), ("E", "a\nb"));
        for reply in [json!({"status": "ok"}), json!({"status": "error", "ename": "NoneType"})] {
            assert_eq!(cell(std::slice::from_ref(&error), reply).end(true), CellEnd::Completed);
        }
        let payload = json!([{"source": "floe", "ename": "F", "evalue": "v"}]);
        let end = cell(&[error], json!({"status": "ok", "payload": payload})).end(true);
        assert!(matches!(end, CellEnd::Raised { name, .. } if name == "F"));
    }

    #[test]
    fn a_published_error_that_says_why_wins_over_a_reply_that_does_not() {
        let error = |name: &str, value: &str| json!({"status": "error", "ename": name, "evalue": value});
        for (reply, published, named) in [
            (error("NoneType", "None"), error("KeyError", "'x'"), "KeyError"),
            (error("", "1"), error("CommandError", "not found"), "CommandError"),
            (
                error("ExecuteError", "[0]:\n---"),
                error("NameError", "no x"),
                "NameError",
            ),
            (json!({"status": "error"}), error("NameError", ""), "NameError"),
            (error("KeyError", "'x'"), error("NameError", "no x"), "KeyError"),
            (error("ValueError", "1"), error("ValueError", "1"), "ValueError"),
        ] {
            let end = cell(&[message("error", published)], reply).end(false);
            assert!(matches!(&end, CellEnd::Raised { name, .. } if name == named), "{end:?}");
        }
    }

    #[test]
    fn an_aborted_cell_did_not_run() {
        let end = cell(&[], json!({"status": "aborted"})).end(true);
        assert!(matches!(end, CellEnd::Raised { name, .. } if name == "aborted"));
    }
}
