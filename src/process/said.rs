//! What a program prints, its results apart from its words.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::descendants::Descendants;
use super::mark::Mark;
use super::{Exit, LAST_OUTPUT_TIMEOUT, ProcessError, Running};

/// More results than this, in bytes, are not read; the program meets a closed pipe then.
const MOST: u64 = 256 << 20;

/// How long a program that was asked to stop may take, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A program that was run for what it prints.
#[derive(Debug)]
pub struct Said {
    /// How it ended; `None` if it could not be seen to end within seconds of being killed.
    pub exit: Option<Exit>,
    /// What it wrote on standard output, whole.
    pub results: Vec<u8>,
    /// What it wrote on standard error, shortened in the middle where it was long.
    pub words: String,
    /// Whether the time limit ended it.
    pub timed_out: bool,
}

/// Runs `command` for what it prints, with an empty standard input, in a process group of its own. After `limit` it is
/// ended. A caller that does not wait to the end kills it.
pub async fn said(mut command: Command, limit: Duration) -> Result<Said, ProcessError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source| ProcessError {
        program: program.clone(),
        source,
    };
    let (results, results_end) = io::pipe().map_err(failed)?;
    let (words, words_end) = io::pipe().map_err(failed)?;
    command
        .stdin(Stdio::null())
        .stdout(results_end)
        .stderr(words_end)
        .process_group(0);
    let mark = Mark::new();
    let child = mark.spawn(&mut command).map_err(failed)?;
    // The command holds the pipes' other ends: while it lives, the output has no end.
    drop(command);
    let group = Pid::from_child(&child);
    let running = Running::watch(group, words, |_| {}, Descendants::new(Some(group), mark)).map_err(failed)?;
    let results = pipe::Receiver::from_owned_fd(results.into()).map_err(failed)?;
    let reader = tokio::spawn(async move {
        let mut printed = Vec::new();
        let _ = results.take(MOST).read_to_end(&mut printed).await;
        printed
    });
    let timed_out = timeout(limit, running.exited()).await.is_err();
    if timed_out {
        running.signal(Signal::TERM);
        let _ = timeout(GRACE, running.exited()).await;
    }
    let ended = running.end().await;
    let results = timeout(LAST_OUTPUT_TIMEOUT, reader).await;
    Ok(Said {
        exit: ended.exit,
        results: results.ok().and_then(Result::ok).unwrap_or_default(),
        words: ended.output,
        timed_out,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LONG, sh};
    use super::*;

    #[tokio::test]
    async fn results_and_words_are_told_apart_and_long_results_are_whole() {
        let said = said(sh("echo warning >&2; seq 100000; exit 3"), LONG).await.unwrap();
        assert_eq!(said.exit, Some(Exit::Code(3)));
        assert_eq!(said.words, "warning\n");
        assert_eq!(said.results.len(), 588_895);
    }

    #[tokio::test]
    async fn what_holds_the_results_open_delays_nobody() {
        let said = said(sh("sleep 1000 & echo done"), LONG).await.unwrap();
        assert_eq!((said.results.as_slice(), said.timed_out), (&b"done\n"[..], false));
    }

    #[tokio::test]
    async fn a_time_limit_ends_it() {
        let said = said(sh("echo first; sleep 1000"), Duration::from_millis(100))
            .await
            .unwrap();
        assert_eq!((said.results.as_slice(), said.timed_out), (&b"first\n"[..], true));
    }
}
