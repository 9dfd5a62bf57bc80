//! Masks known values in everything that shows or records events.
//!
//! A value is replaced wherever it stands as it is, in the texts of events; one that is encoded, cut or spelled otherwise
//! is not found. Text that arrives in pieces is watched across its pieces.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::event::{Cause, Event, Sink, Verdict};

/// What stands in place of a hidden value.
pub const MASK: &str = "***";

/// A shorter value is not hidden: it would be found everywhere. In bytes.
const SHORTEST: usize = 8;

/// Values that nothing may show.
#[derive(Debug, Clone, Default)]
pub struct Hidden {
    /// The longest first, so that one that is part of another does not leave the rest of it.
    values: Vec<String>,
}

impl Hidden {
    /// These values, as far as they are long enough; of those with several lines, each line too.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut all = Vec::new();
        for value in values {
            all.extend(value.lines().map(|line| line.trim().to_owned()));
            all.push(value.trim().to_owned());
        }
        all.retain(|value| value.len() >= SHORTEST);
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        Self { values: all }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The text without any of them.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.hide(&mut text);
        text
    }

    fn hide(&self, text: &mut String) {
        for value in &self.values {
            if text.contains(value) {
                *text = text.replace(value, MASK);
            }
        }
    }

    /// How many bytes at the end of `text` may be the beginning of a hidden value.
    fn pending(&self, text: &str) -> usize {
        let begins = |value: &String| {
            let longest = text.len().min(value.len() - 1);
            let fits = |length: &usize| text.as_bytes().ends_with(&value.as_bytes()[..*length]);
            (1..=longest).rev().find(fits).unwrap_or(0)
        };
        let length = self.values.iter().map(begins).max().unwrap_or(0);
        // The text ends at the boundary of a character, and so does what comes before a part of one.
        text.len() - text.floor_char_boundary(text.len() - length)
    }
}

/// Passes events on with what is hidden masked.
pub struct Redacted {
    hidden: Hidden,
    sink: Arc<dyn Sink>,
    /// What was held back of each text that arrives in pieces: that of the container, and that of each step.
    held: Mutex<HashMap<Stream, String>>,
}

type Stream = Option<(String, String)>;

impl Redacted {
    /// Guards `sink`. Where there are no hidden, it needs no guard.
    #[must_use]
    pub fn guard(hidden: Hidden, sink: Arc<dyn Sink>) -> Arc<dyn Sink> {
        if hidden.is_empty() {
            return sink;
        }
        Arc::new(Self {
            hidden,
            sink,
            held: Mutex::default(),
        })
    }

    /// A piece of a text without hidden, and without the end of it that may begin one.
    fn piece(&self, stream: Stream, text: &str) -> String {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = held.remove(&stream).unwrap_or_default() + text;
        self.hidden.hide(&mut text);
        let end = text.split_off(text.len() - self.hidden.pending(&text));
        if !end.is_empty() {
            held.insert(stream, end);
        }
        text
    }

    /// Emits what was held back of the streams that end with `event`.
    fn release(&self, event: &Event) {
        let stream = match event {
            Event::StepFinished { image, step, .. } => Some((image.clone(), step.clone())),
            Event::SuiteStarted { .. } | Event::SuiteFinished { .. } | Event::RunFinished { .. } => None,
            _ => return,
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = held.remove(&stream) {
            self.sink.emit(printed(stream, text));
        }
    }

    fn cause(&self, cause: &mut Cause) {
        self.hidden.hide(&mut cause.message);
        self.hidden.hide(&mut cause.detail);
    }

    /// The event with what is hidden masked; `None` where all of it is held back.
    fn masked(&self, mut event: Event) -> Option<Event> {
        self.release(&event);
        let hide = |text: &mut String| self.hidden.hide(text);
        match &mut event {
            Event::Output { text } => {
                *text = self.piece(None, text);
                if text.is_empty() {
                    return None;
                }
            }
            Event::StepOutput { image, step, text } => {
                *text = self.piece(Some((image.clone(), step.clone())), text);
                if text.is_empty() {
                    return None;
                }
            }
            Event::ImageStarted { reason, .. } => hide(reason),
            Event::StepStarted { name, .. } => hide(name),
            Event::StepFinished { name, error, .. } => {
                hide(name);
                error.iter_mut().for_each(hide);
            }
            Event::ImageFailed { error, .. } => hide(error),
            Event::PushProgress { status, .. } => hide(status),
            Event::TestRetried { cause, output, .. } => {
                self.cause(cause);
                hide(output);
            }
            Event::TestFinished(test) => {
                hide(&mut test.output);
                match &mut test.verdict {
                    Verdict::Failed(cause) => self.cause(cause),
                    Verdict::Skipped { reason } => hide(reason),
                    Verdict::Passed => {}
                }
            }
            Event::RunFinished { problem, .. } => problem.iter_mut().for_each(hide),
            Event::Note { text } | Event::Warning { text } => hide(text),
            // Names, numbers and digests, which the repository's files hold too.
            Event::ImageUpToDate { .. }
            | Event::ImageFinished { .. }
            | Event::RunStarted(_)
            | Event::ScriptStarted { .. }
            | Event::SuiteStarted { .. }
            | Event::TestStarted { .. }
            | Event::TestSlow { .. }
            | Event::SuiteFinished { .. }
            | Event::Behind { .. }
            | Event::Untouched => {}
        }
        Some(event)
    }
}

impl Sink for Redacted {
    fn emit(&self, event: Event) {
        if let Some(event) = self.masked(event) {
            self.sink.emit(event);
        }
    }

    fn emit_at(&self, at: Timestamp, event: Event) {
        if let Some(event) = self.masked(event) {
            self.sink.emit_at(at, event);
        }
    }
}

impl Drop for Redacted {
    fn drop(&mut self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        for (stream, text) in held {
            self.sink.emit(printed(stream, text));
        }
    }
}

fn printed(stream: Stream, text: String) -> Event {
    match stream {
        Some((image, step)) => Event::StepOutput { image, step, text },
        None => Event::Output { text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CauseKind, Memory, Summary, TestFinished};
    use crate::reference::TestId;

    const HIDDEN: &str = "hunter2-hunter2";

    fn guarded(events: Vec<Event>) -> Vec<Event> {
        let memory = Arc::new(Memory::default());
        let sink = Redacted::guard(Hidden::new([HIDDEN.to_owned()]), memory.clone());
        for event in events {
            sink.emit(event);
        }
        drop(sink);
        memory.events()
    }

    fn output(text: &str) -> Event {
        Event::Output { text: text.to_owned() }
    }

    #[test]
    fn a_hidden_value_is_found_in_every_text_of_an_event() {
        let text = || format!("before {HIDDEN} after");
        let cause = Cause::new(CauseKind::Error, text()).with_detail(text());
        let id = TestId::import("e", "x");
        let finished = TestFinished {
            output: text(),
            ..TestFinished::new(id.clone(), Verdict::Failed(cause.clone()))
        };
        let skipped = Verdict::Skipped { reason: text() };
        let step = || ("m".to_owned(), "1".to_owned());
        let events = vec![
            Event::ImageStarted {
                image: "m".to_owned(),
                reason: text(),
            },
            Event::StepStarted {
                image: step().0,
                step: step().1,
                name: text(),
            },
            Event::StepOutput {
                image: step().0,
                step: step().1,
                text: text(),
            },
            Event::StepFinished {
                image: step().0,
                step: step().1,
                name: text(),
                seconds: 1.0,
                cached: false,
                error: Some(text()),
            },
            Event::PushProgress {
                layer: "l".to_owned(),
                status: text(),
                sent: 0,
                total: 0,
            },
            Event::TestRetried {
                id: id.clone(),
                attempt: 1,
                cause,
                seconds: 1.0,
                output: text(),
            },
            Event::TestFinished(finished),
            Event::TestFinished(TestFinished::new(id, skipped)),
            Event::RunFinished {
                summary: Summary::default(),
                passed: false,
                problem: Some(text()),
                seconds: 1.0,
            },
            Event::Note { text: text() },
            Event::Warning { text: text() },
            output(&text()),
        ];
        let number = events.len();
        let shown = guarded(events);
        assert_eq!(shown.len(), number);
        for event in shown {
            let json = serde_json::to_string(&event).unwrap();
            assert!(json.contains("before *** after") && !json.contains("hunter2"), "{json}");
        }
    }

    #[test]
    fn a_hidden_value_in_pieces_is_found_and_nothing_else_is_lost() {
        let text = format!("é{HIDDEN}x hunter2-{HIDDEN} hunt");
        for size in 1..text.len() {
            let mut events = Vec::new();
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
                events.push(output(piece));
                events.push(Event::Note {
                    text: "between".to_owned(),
                });
                rest = after;
            }
            let shown = guarded(events).into_iter().filter_map(|event| match event {
                Event::Output { text } => Some(text),
                _ => None,
            });
            assert_eq!(
                shown.collect::<String>(),
                "é***x ***-hunter2 hunt",
                "in pieces of {size}"
            );
        }
    }

    #[test]
    fn what_was_held_back_comes_before_the_end() {
        let end = Event::SuiteFinished {
            summary: Summary::default(),
        };
        assert_eq!(
            guarded(vec![output("ready h"), end.clone()]),
            [output("ready "), output("h"), end]
        );
    }

    #[test]
    fn short_values_are_none_and_lines_count_each() {
        let hidden = Hidden::new(["short".to_owned(), "first line of it\n\nsecond line\n".to_owned()]);
        assert_eq!(hidden.mask("short: second line, first line of it"), "short: ***, ***");
        assert!(Hidden::new([String::new()]).is_empty());
    }

    #[test]
    fn a_hidden_value_that_holds_another_is_hidden_whole() {
        let hidden = Hidden::new(["password".to_owned(), "password-and-more".to_owned()]);
        assert_eq!(hidden.mask("password-and-more password"), "*** ***");
    }
}
