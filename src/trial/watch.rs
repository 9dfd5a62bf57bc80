//! What a container prints, taken apart into events and text.

use crate::event::wire::{Decoder, Piece};
use crate::event::{Event, FORMAT, Sink, TestFinished, Verdict};

/// What is kept of a container's output while it passes.
#[derive(Default)]
pub(super) struct Watch {
    decoder: Decoder,
    /// Whether the agent began to run tests or the mission's script.
    pub(super) begun: bool,
    pub(super) failed: usize,
    pub(super) problem: Option<String>,
    tail: String,
}

/// How much of the output outside any test is kept for explanation, in bytes.
const TAIL: usize = 16 * 1024;

impl Watch {
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
            Piece::Text(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                self.keep(&text);
                events.emit(Event::Output { text });
            }
            Piece::Record(record) => {
                match &record.event {
                    Event::ScriptStarted { format } | Event::SuiteStarted { format, .. } => {
                        self.begun = true;
                        if *format != FORMAT {
                            self.problem = Some(format!(
                                "the image's agent speaks version {format} of the event format, this floe {FORMAT}; build the image again"
                            ));
                        }
                    }
                    Event::TestFinished(TestFinished {
                        verdict: Verdict::Failed(_),
                        ..
                    }) => self.failed += 1,
                    _ => {}
                }
                events.emit(record.event);
            }
        }
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
