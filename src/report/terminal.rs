//! What a person sees while floe works: lines that stay, and on a terminal an area below them of what goes on now.
//!
//! The manner is cargo-nextest's for tests and Docker's for builds, in one column of labels. In a pipe the same lines
//! come without the area, so that a CI log reads like the terminal did.

mod build;
mod live;
mod model;
mod paint;
mod pulse;
mod run;

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::build::BuildDisplay;
use self::live::Screen;
use self::paint::{Ink, Paint};
use self::run::RunDisplay;
use super::untrusted::{Assembler, Untrusted};
use crate::event::{Event, Sink, Verdict};
use crate::run::outcome::Outcome;

type Writer = Arc<Mutex<Box<dyn Write + Send>>>;

/// How to show it; the command line knows what the writer can do.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Style {
    /// Whether to colour.
    pub color: bool,
    /// Whether the writer is a terminal on which lines can be overwritten.
    pub live: bool,
    /// The terminal's width in columns now; asked again at each drawing of the live area, and only for it.
    pub width: fn() -> u16,
    /// Whether the output is read by a CI service that obeys lines such as `::error::`.
    pub commands: bool,
    /// Whether to show the output of steps and tests that went well too.
    pub verbose: bool,
    /// Whether to show warnings and failures alone.
    pub quiet: bool,
}

impl Default for Style {
    /// Plain text of eighty columns, without what went well.
    fn default() -> Self {
        Self {
            color: false,
            live: false,
            width: || 80,
            commands: false,
            verbose: false,
            quiet: false,
        }
    }
}

/// Shows events to a person. The live area goes away when this is finished or dropped.
pub struct Terminal {
    state: Mutex<State>,
}

struct State {
    screen: Screen,
    show: Show,
    run: RunDisplay,
    build: BuildDisplay,
    output: Assembler,
}

/// How text becomes lines of the display.
#[derive(Debug, Clone, Copy)]
struct Show {
    paint: Paint,
    untrusted: Untrusted,
    verbose: bool,
    quiet: bool,
}

/// The lines that the display ends up with for a run that has ended: every test, then the summary.
#[must_use]
pub fn text(outcome: &Outcome, style: Style) -> String {
    let lines = run::ended(outcome, Show::of(style));
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

impl Terminal {
    /// A display that writes to `writer`, usually the standard error stream.
    #[must_use]
    pub fn new(writer: Box<dyn Write + Send>, style: Style) -> Self {
        Self {
            state: Mutex::new(State {
                screen: Screen::new(writer, style),
                show: Show::of(style),
                run: RunDisplay::default(),
                build: BuildDisplay::default(),
                output: Assembler::default(),
            }),
        }
    }

    /// Shows what is still held back and takes the live area away. Call it before anything else writes to the
    /// terminal, and before the process exits without dropping the display.
    pub fn finish(&self) {
        let mut state = self.lock();
        state.flush_output();
        state.screen.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Terminal {
    fn emit(&self, event: Event) {
        self.lock().take(&event);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.finish();
    }
}

impl State {
    fn take(&mut self, event: &Event) {
        self.screen.mute(self.show.quiet && !is_trouble(event));
        match event {
            Event::Output { text } => {
                let lines = self.output.push(text);
                self.screen.lines(&self.show.printed(&lines));
            }
            Event::Behind { .. } | Event::Untouched => {}
            Event::Note { text } => self.screen.lines(&self.show.message(Ink::Dim, "NOTE", text)),
            Event::Warning { text } => self.screen.lines(&self.show.message(Ink::Careful, "WARNING", text)),
            Event::ImageStarted { .. }
            | Event::ImageUpToDate { .. }
            | Event::ImageFinished { .. }
            | Event::ImageFailed { .. }
            | Event::StepStarted { .. }
            | Event::StepOutput { .. }
            | Event::StepFinished { .. }
            | Event::PushProgress { .. } => self.build.take(event, self.show, &self.screen),
            Event::RunStarted(_)
            | Event::ScriptStarted { .. }
            | Event::SuiteStarted { .. }
            | Event::TestStarted { .. }
            | Event::TestSlow { .. }
            | Event::TestRetried { .. }
            | Event::TestFinished(_)
            | Event::SuiteFinished { .. }
            | Event::RunFinished { .. } => {
                if matches!(event, Event::SuiteFinished { .. } | Event::RunFinished { .. }) {
                    self.flush_output();
                }
                self.run.take(event, self.show, &self.screen);
            }
        }
    }

    fn flush_output(&mut self) {
        let rest = self.output.finish();
        if !self.show.quiet {
            self.screen.lines(&self.show.printed(&rest));
        }
    }
}

/// Whether an event is, or may tell of, something that went wrong.
fn is_trouble(event: &Event) -> bool {
    match event {
        Event::Warning { .. } | Event::ImageFailed { .. } | Event::SuiteFinished { .. } | Event::RunFinished { .. } => {
            true
        }
        Event::StepFinished { error, .. } => error.is_some(),
        Event::TestFinished(test) => matches!(test.verdict, Verdict::Failed(_)),
        _ => false,
    }
}

impl Show {
    fn of(style: Style) -> Self {
        Self {
            paint: Paint { color: style.color },
            untrusted: Untrusted {
                color: style.color,
                commands: style.commands,
            },
            verbose: style.verbose,
            quiet: style.quiet,
        }
    }

    /// Lines that a program printed, set apart from floe's own.
    fn printed(self, text: &str) -> Vec<String> {
        let bar = self.paint.ink(Ink::Dim, "\u{2502}");
        let lines = self.untrusted.lines(text);
        lines.iter().map(|line| format!("{bar} {line}")).collect()
    }

    /// A text beside a label, its further lines below the first.
    fn message(self, ink: Ink, label: &str, text: &str) -> Vec<String> {
        let lines = self.untrusted.lines(text);
        let mut lines = lines.iter().map(String::as_str);
        let mut shown = vec![self.paint.labelled(ink, label, lines.next().unwrap_or_default())];
        shown.extend(lines.map(|line| self.paint.labelled(ink, "", line)));
        shown
    }

    /// A text of several lines under a heading, indented.
    fn section(self, ink: Ink, heading: &str, text: &str) -> Vec<String> {
        let lines = self.untrusted.lines(text.trim_end());
        if lines.is_empty() {
            return Vec::new();
        }
        let dashes = "\u{2500}".repeat(3);
        let mut shown = vec![format!(
            "  {}",
            self.paint.ink(ink, &format!("{dashes} {heading} {dashes}"))
        )];
        shown.extend(lines.iter().map(|line| format!("    {line}")));
        shown
    }
}

#[cfg(test)]
mod tests;
