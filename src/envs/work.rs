//! One environment that is worked on, and what that takes.

use std::path::PathBuf;

use super::{Layout, Tools};
use crate::event::{Event, Sink};
use crate::reference::EnvironmentName;

/// One environment that is worked on, and what that takes.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// Where environments are.
    pub layout: &'a Layout,
    /// What installs packages.
    pub tools: &'a Tools,
    /// The environment.
    pub name: &'a EnvironmentName,
    /// What hears of it.
    pub sink: &'a dyn Sink,
}

impl Work<'_> {
    /// Where the environment is, whether or not it exists.
    #[must_use]
    pub fn prefix(&self) -> PathBuf {
        self.layout.prefix(self.name)
    }

    /// Tells what is being done.
    pub(super) fn note(&self, text: impl Into<String>) {
        self.sink.emit(Event::Note { text: text.into() });
    }

    /// Tells what may not be what people expect.
    pub(super) fn warn(&self, text: impl Into<String>) {
        self.sink.emit(Event::Warning { text: text.into() });
    }
}
