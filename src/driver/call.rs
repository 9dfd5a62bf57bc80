//! A driver at work: what it prints is shown as it comes, and it can be asked to stop.

use std::process::Command;
use std::sync::Arc;

use rustix::process::Signal;

use super::failure;
use super::{DriverError, Vault};
use crate::event::redact::Redacted;
use crate::event::{Event, Sink};
use crate::process::Running;

/// A driver at work. Dropping it kills its whole process group.
#[derive(Debug)]
pub struct Call {
    running: Running,
    what: &'static str,
    /// What it says where there was nothing to do.
    absent: Option<&'static str>,
    /// What it reads lives as long as it does.
    vault: Option<Vault>,
}

impl Call {
    /// Starts a command; `what` is the step that it is, for messages.
    pub(super) fn start(
        command: Command,
        what: &'static str,
        vault: Option<Vault>,
        sink: Arc<dyn Sink>,
    ) -> Result<Self, DriverError> {
        let hidden = vault.as_ref().map(|vault| vault.hidden.clone()).unwrap_or_default();
        let sink = Redacted::guard(hidden, sink);
        let mut rest = Vec::new();
        let hear = move |bytes: &[u8]| {
            rest.extend_from_slice(bytes);
            // A character may come in two pieces.
            let end = match std::str::from_utf8(&rest) {
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                _ => rest.len(),
            };
            let text = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest.drain(..end);
            sink.emit(Event::Output { text });
        };
        Ok(Self {
            running: Running::spawn_heard(command, hear)?,
            what,
            absent: None,
            vault,
        })
    }

    /// The same; a failure that says this in its last words is none, for what it should end is not there.
    pub(super) fn or_absent(self, words: &'static str) -> Self {
        Self {
            absent: Some(words),
            ..self
        }
    }

    /// Waits until it ends by itself.
    pub async fn exited(&self) {
        self.running.exited().await;
    }

    /// Sends a signal to its whole process group.
    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Ends what is left of it. Returns whether there was anything to do; an error if it failed.
    pub async fn end(self) -> Result<bool, DriverError> {
        let ended = self.running.end().await;
        let hidden = self.vault.map(|vault| vault.hidden).unwrap_or_default();
        match failure::of(self.what, ended.exit, &hidden.mask(&ended.output)) {
            Ok(()) => Ok(true),
            Err(DriverError::Failed { cause, .. }) if self.absent.is_some_and(|words| cause.contains(words)) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
