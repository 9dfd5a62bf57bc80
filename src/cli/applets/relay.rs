//! What is printed outside of tests, on its way to the host.

use std::sync::{Arc, Mutex, PoisonError};

use crate::event::wire::MOST_OUTPUT;
use crate::event::{Event, Sink};

/// Passes on what is printed outside of tests, whole characters at a time and no more than the host takes.
#[derive(Clone)]
pub struct Relay {
    events: Arc<dyn Sink>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The beginning of a character whose end has not come.
    rest: Vec<u8>,
    passed: usize,
}

impl Relay {
    /// Passes on to `events`.
    pub fn new(events: Arc<dyn Sink>) -> Self {
        Self {
            events,
            state: Arc::default(),
        }
    }

    /// Passes on the next bytes.
    pub fn pass(&self, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.passed > MOST_OUTPUT {
            return;
        }
        state.passed += bytes.len();
        if state.passed > MOST_OUTPUT {
            let text = format!(
                "more than {} MiB were printed outside of tests; the rest is left out",
                MOST_OUTPUT >> 20
            );
            self.events.emit(Event::Warning { text });
            return;
        }
        state.rest.extend_from_slice(bytes);
        let whole = state.rest.len() - unfinished(&state.rest);
        let text = String::from_utf8_lossy(&state.rest[..whole]).into_owned();
        state.rest.drain(..whole);
        if !text.is_empty() {
            self.events.emit(Event::Output { text });
        }
    }
}

/// How many bytes at the end begin a character that is not whole.
fn unfinished(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        // What is invalid for another reason stays so whatever comes: a whole character has at most four bytes.
        Some(chunk) if chunk.invalid().len() < 4 => match std::str::from_utf8(chunk.invalid()) {
            Err(error) if error.error_len().is_none() => chunk.invalid().len(),
            _ => 0,
        },
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Memory;

    fn passed(pieces: &[&[u8]]) -> Vec<Event> {
        let memory = Arc::new(Memory::default());
        let relay = Relay::new(memory.clone());
        for piece in pieces {
            relay.pass(piece);
        }
        memory.events()
    }

    fn output(text: &str) -> Event {
        Event::Output { text: text.to_owned() }
    }

    #[test]
    fn a_character_that_is_cut_arrives_whole_and_what_is_none_delays_nothing() {
        let cut = passed(&[b"a\xc3", b"\xa4", b"\xf0\x9f", b"\x8e", b"\x89b"]);
        assert_eq!(cut, [output("a"), output("ä"), output("🎉b")]);
        assert_eq!(
            passed(&[b"a\xff", b"\xc3(b"]),
            [output("a\u{fffd}"), output("\u{fffd}(b")]
        );
    }

    #[test]
    fn more_than_the_host_takes_is_left_out_and_said_once() {
        let mebibyte = vec![b'x'; 1 << 20];
        let pieces = vec![mebibyte.as_slice(); (MOST_OUTPUT >> 20) + 3];
        let events = passed(&pieces);
        assert_eq!(events.len(), (MOST_OUTPUT >> 20) + 1);
        assert!(matches!(events.last(), Some(Event::Warning { text }) if text.contains("16 MiB")));
    }
}
