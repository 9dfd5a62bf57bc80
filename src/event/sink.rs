//! What takes events.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::Event;

/// Takes events as they happen. Cheap to call, from any thread; never fails, since nothing that executes could mend it.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);

    /// Takes one event that happened at `at`, and is only read of now. Who keeps no times takes it as any other.
    fn emit_at(&self, at: Timestamp, event: Event) {
        let _ = at;
        self.emit(event);
    }
}

/// Hands each event to several sinks in turn.
pub struct Fanout(pub Vec<Arc<dyn Sink>>);

impl Sink for Fanout {
    fn emit(&self, event: Event) {
        if let Some((last, others)) = self.0.split_last() {
            for sink in others {
                sink.emit(event.clone());
            }
            last.emit(event);
        }
    }

    fn emit_at(&self, at: Timestamp, event: Event) {
        if let Some((last, others)) = self.0.split_last() {
            for sink in others {
                sink.emit_at(at, event.clone());
            }
            last.emit_at(at, event);
        }
    }
}

/// Keeps every event in memory, for what is derived afterwards and for tests.
#[derive(Default)]
pub struct Memory(Mutex<Vec<Event>>);

impl Memory {
    /// The events so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Sink for Memory {
    fn emit(&self, event: Event) {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(event);
    }
}
