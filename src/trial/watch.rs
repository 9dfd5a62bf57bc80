//! What a container prints, taken apart into events and text.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;

use super::Trial;
use crate::event::seal::Key;
use crate::event::wire::{Decoder, MOST_OUTPUT, Piece};
use crate::event::{Cause, CauseKind, Event, FORMAT, Sink, TestFinished, Verdict};
use crate::reference::TestId;

/// What is kept of a container's output while it passes.
///
/// Whatever runs in the container can write to it. So only what the agent has sealed counts, of tests that the host itself
/// expects there, and skipped is only what the host's reading of the definitions skips.
pub(super) struct Watch<'a> {
    trial: &'a Trial,
    decoder: Decoder,
    /// When what is read now happened, where it is read afterwards.
    at: Option<Timestamp>,
    /// Whether the agent began to run tests or the mission's script.
    pub(super) begun: bool,
    /// Whether the container has been asked to end because the run took too long.
    pub(super) overdue: bool,
    pub(super) problem: Option<String>,
    /// Whether the agent found what tests run with as it was before them.
    pub(super) untouched: bool,
    /// Where what tests run with lies behind links.
    pub(super) behind: Vec<PathBuf>,
    /// The executed notebooks that the agent has named.
    pub(super) notebooks: BTreeSet<PathBuf>,
    tail: String,
    printed: usize,
    warnings: usize,
}

/// How much of the output outside any test is kept for explanation, in bytes.
const TAIL: usize = 16 * 1024;

/// No more places than these are behind links.
const MOST_BEHIND: usize = 100;

/// How many records are told of that were not believed.
const MOST_WARNINGS: usize = 20;

impl<'a> Watch<'a> {
    pub(super) fn of(trial: &'a Trial, key: Key) -> Self {
        Self {
            trial,
            decoder: Decoder::sealed(key),
            at: trial.spread.as_ref().and_then(|spread| spread.since),
            begun: false,
            overdue: false,
            problem: None,
            untouched: false,
            behind: Vec::new(),
            notebooks: BTreeSet::new(),
            tail: String::new(),
            printed: 0,
            warnings: 0,
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8], events: &dyn Sink) {
        for piece in self.decoder.feed(bytes) {
            self.piece(piece, events);
        }
    }

    pub(super) fn finish(&mut self, events: &dyn Sink) {
        for piece in std::mem::take(&mut self.decoder).finish() {
            self.piece(piece, events);
        }
    }

    fn piece(&mut self, piece: Piece, events: &dyn Sink) {
        match piece {
            Piece::Text(bytes) => self.printed(String::from_utf8_lossy(&bytes).into_owned(), events),
            Piece::Refused(refusal) => {
                let text = refusal.to_string();
                self.problem.get_or_insert_with(|| text.clone());
                self.warn(text, events);
            }
            Piece::Record(record) => {
                self.at = self.at.map(|_| self.happened(record.at));
                let event = match self.accepted(record.event) {
                    Ok(Event::Output { text }) => return self.printed(text, events),
                    Ok(Event::Behind { paths }) => {
                        self.behind.extend(paths.into_iter().take(MOST_BEHIND));
                        return;
                    }
                    Ok(Event::Untouched) => {
                        self.untouched = true;
                        return;
                    }
                    Ok(event) => event,
                    Err(text) => return self.warn(text, events),
                };
                match &event {
                    Event::ScriptStarted { format } | Event::SuiteStarted { format, .. } => {
                        self.begun = true;
                        if *format != FORMAT {
                            self.problem = Some(format!(
                                "the agent speaks version {format} of the event format, this floe {FORMAT}"
                            ));
                        }
                    }
                    Event::TestFinished(TestFinished {
                        notebook: Some(path), ..
                    }) => self.notebooks.extend(within(path)),
                    _ => {}
                }
                self.emit(event, events);
            }
        }
    }

    /// Passes an event on, with the time at which it happened where that is not now.
    fn emit(&self, event: Event, events: &dyn Sink) {
        match self.at {
            Some(at) => events.emit_at(at, event),
            None => events.emit(event),
        }
    }

    /// When something happened, by a clock that may go wrong: not before the run began, and not later than now.
    fn happened(&self, told: Timestamp) -> Timestamp {
        let began = self.trial.spread.as_ref().and_then(|spread| spread.since);
        told.max(began.unwrap_or(told)).min(Timestamp::now())
    }

    /// Warns of what a record was not believed for, up to a number of times.
    fn warn(&mut self, text: String, events: &dyn Sink) {
        self.warnings += 1;
        if self.warnings < MOST_WARNINGS {
            self.emit(Event::Warning { text }, events);
        } else if self.warnings == MOST_WARNINGS {
            let text = format!("{text}; more of the kind are left out");
            self.emit(Event::Warning { text }, events);
        }
    }

    /// Passes on what was printed outside any test, up to a bound.
    fn printed(&mut self, text: String, events: &dyn Sink) {
        self.keep(&text);
        let before = self.printed;
        self.printed += text.len();
        if self.printed <= MOST_OUTPUT {
            self.emit(Event::Output { text }, events);
        } else if before <= MOST_OUTPUT {
            let text = format!(
                "more than {} MiB were printed outside of tests; the rest is left out",
                MOST_OUTPUT >> 20
            );
            self.emit(Event::Warning { text }, events);
        }
    }

    /// The event, where an agent may say it; else what is said of it.
    fn accepted(&mut self, event: Event) -> Result<Event, String> {
        match event {
            Event::SuiteStarted { format, tests, jobs } => {
                // What a script asks for beyond the definitions is its own affair.
                let tests = tests.into_iter().filter(|id| self.expects(id)).collect();
                Ok(Event::SuiteStarted { format, tests, jobs })
            }
            // Only a host knows of earlier runs.
            Event::TestFinished(test) if self.expects(&test.id) && test.carried.is_none() => {
                Ok(Event::TestFinished(self.judged(test)))
            }
            Event::TestFinished(TestFinished { id, .. })
            | Event::TestStarted { id, .. }
            | Event::TestSlow { id, .. }
            | Event::TestRetried { id, .. }
                if !self.expects(&id) =>
            {
                Err(format!(
                    "{id} counts for nothing: the mission's files define no such test here"
                ))
            }
            Event::TestStarted { .. }
            | Event::TestSlow { .. }
            | Event::TestRetried { .. }
            | Event::ScriptStarted { .. }
            | Event::SuiteFinished { .. }
            | Event::Behind { .. }
            | Event::Untouched
            | Event::Output { .. }
            | Event::Note { .. }
            | Event::Warning { .. } => Ok(event),
            _ => {
                let problem = "the container sent a record that no agent sends";
                self.problem.get_or_insert_with(|| problem.to_owned());
                Err(problem.to_owned())
            }
        }
    }

    /// Whether the host expects this test.
    fn expects(&self, id: &TestId) -> bool {
        self.trial.expected.contains(id)
    }

    /// The result, where it can be: a test that no definition skips did not skip itself.
    fn judged(&self, mut test: TestFinished) -> TestFinished {
        if let Verdict::Skipped { reason } = &test.verdict
            && !self.trial.skips.contains(&test.id)
            // The agent skips the mission's script where that passed on that others failed.
            && test.id.mission().is_none()
        {
            let message = format!("it was skipped ({reason}), and nothing in the mission's files skips it");
            test.verdict = Verdict::Failed(Cause::new(CauseKind::NotRun, message));
        }
        // The agent knows that it was asked to end, and not why.
        if let Verdict::Failed(cause) = &mut test.verdict
            && self.overdue
            && test.id.mission().is_some()
            && cause.kind == CauseKind::NotRun
        {
            "still running when the run's time was over".clone_into(&mut cause.message);
            cause.kind = CauseKind::Timeout;
        }
        test
    }

    fn keep(&mut self, text: &str) {
        self.tail.push_str(text);
        if self.tail.len() > 2 * TAIL {
            let cut = self.tail.ceil_char_boundary(self.tail.len() - TAIL);
            self.tail.drain(..cut);
        }
    }

    pub(super) fn tail(&self) -> String {
        let start = self.tail.ceil_char_boundary(self.tail.len().saturating_sub(TAIL));
        self.tail[start..].to_owned()
    }
}

/// A path that leads nowhere but below the artifacts.
fn within(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && path.starts_with("notebooks")).then(|| path.to_owned())
}
