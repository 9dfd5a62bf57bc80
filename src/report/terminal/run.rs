//! The display of a test run.

use std::fmt::Write as _;
use std::time::Instant;

use super::Show;
use super::live::{Bar, Screen, Task};
use super::paint::{Ink, bytes, count, seconds};
use crate::event::{Cause, CauseKind, Event, TestFinished, Verdict};
use crate::report::outcome::{Outcome, Tally};

/// What is known of the run on display.
#[derive(Default)]
pub(super) struct RunDisplay {
    tally: Tally,
    /// Whether the run was begun by a host, which then ends it; otherwise each set of tests stands for itself.
    of_a_host: bool,
}

impl RunDisplay {
    pub(super) fn take(&mut self, event: &Event, show: Show, screen: &Screen) {
        if let Event::RunStarted(_) = event {
            *self = Self {
                of_a_host: true,
                ..Self::default()
            };
        }
        self.tally.take(event);
        match event {
            Event::RunStarted(begun) => {
                let name = show.paint.ink(Ink::Name, &show.untrusted.inline(&begun.mission));
                let rest = format!(
                    "{name}: {} expected of image {}, run {}",
                    count(begun.expected.len(), "test"),
                    begun.image.short(),
                    show.untrusted.inline(&begun.run)
                );
                screen.lines(&[show.paint.labelled(Ink::Good, "Testing", &rest)]);
                self.begin(screen);
            }
            Event::SuiteStarted { tests, jobs, .. } => {
                let rest = format!("{}, {jobs} at a time", count(tests.len(), "test"));
                screen.lines(&[show.paint.labelled(Ink::Good, "Starting", &rest)]);
                self.begin(screen);
            }
            Event::TestStarted { id, .. } => {
                let task = Task {
                    key: id.to_string(),
                    name: show.untrusted.inline(&id.to_string()),
                    detail: String::new(),
                    since: Instant::now(),
                };
                screen.update(|model| model.tasks.push(task));
                self.progress(screen);
            }
            Event::TestFinished(test) => {
                let key = test.id.to_string();
                screen.update(|model| model.tasks.retain(|task| task.key != key));
                self.progress(screen);
                screen.lines(&finished(test, show));
            }
            Event::SuiteFinished { .. } if !self.of_a_host => {
                end(&self.tally.so_far(), show, screen);
                *self = Self::default();
            }
            Event::RunFinished { .. } => {
                end(&self.tally.outcome(), show, screen);
                *self = Self::default();
            }
            _ => {}
        }
    }

    fn begin(&self, screen: &Screen) {
        screen.update(|model| {
            model.bar.get_or_insert_with(|| Bar {
                label: "Running",
                done: 0,
                total: 0,
                text: String::new(),
                failed: false,
                since: Instant::now(),
            });
        });
        self.progress(screen);
    }

    fn progress(&self, screen: &Screen) {
        let (received, expected) = (self.tally.received(), self.tally.expected());
        let done = received.ran() + received.skipped;
        screen.update(|model| {
            let running = model.tasks.len();
            if let Some(bar) = &mut model.bar {
                bar.done = done;
                bar.total = expected;
                bar.failed = received.failed > 0;
                bar.text = format!("{done}/{expected}: {running} running, {} passed", received.passed);
                for (number, word) in [(received.failed, "failed"), (received.skipped, "skipped")] {
                    if number > 0 {
                        let _ = write!(bar.text, ", {number} {word}");
                    }
                }
            }
        });
    }
}

fn end(outcome: &Outcome, show: Show, screen: &Screen) {
    screen.update(|model| {
        model.bar = None;
        model.tasks.clear();
    });
    screen.lines(&summary(outcome, show));
}

/// The lines of a test that ended.
fn finished(test: &TestFinished, show: Show) -> Vec<String> {
    let mut line = verdict_line(test, show);
    if show.verbose
        && let Some(peak) = test.peak_memory
    {
        line.push_str(&show.paint.ink(Ink::Dim, &format!(" ({} at most)", bytes(peak))));
    }
    let mut lines = vec![line];
    match &test.verdict {
        Verdict::Failed(cause) => {
            lines.push(show.paint.labelled(Ink::Bad, "", &message(cause, show)));
            if cause.detail.trim() != cause.message.trim() {
                lines.extend(show.section(Ink::Bad, "detail", &cause.detail));
            }
            lines.extend(show.section(Ink::Careful, "output", &test.output));
            if lines.len() > 2 {
                lines.push(String::new());
            }
        }
        _ if show.verbose => lines.extend(show.section(Ink::Dim, "output", &test.output)),
        _ => {}
    }
    lines
}

/// `        PASS [   0.812s] roman-cal::imports::numpy`
fn verdict_line(test: &TestFinished, show: Show) -> String {
    let id = show.untrusted.inline(&test.id.to_string());
    let (ink, label) = match &test.verdict {
        Verdict::Passed => (Ink::Good, "PASS"),
        Verdict::Failed(cause) => (Ink::Bad, cause.kind.label()),
        Verdict::Skipped { .. } => (Ink::Careful, "SKIP"),
    };
    let time = match &test.verdict {
        Verdict::Skipped { .. } => no_time(),
        Verdict::Failed(cause) if cause.kind == CauseKind::NotRun => no_time(),
        _ => seconds(test.seconds),
    };
    let reason = match &test.verdict {
        Verdict::Skipped { reason } => {
            let reason = format!("  {}", show.untrusted.inline(reason));
            show.paint.ink(Ink::Dim, &reason)
        }
        _ => String::new(),
    };
    show.paint.labelled(ink, label, &format!("{time} {id}{reason}"))
}

fn no_time() -> String {
    format!("[{:>9}]", "")
}

fn message(cause: &Cause, show: Show) -> String {
    let message = show.untrusted.inline(&cause.message);
    match cause.cell {
        Some(cell) => format!("cell {cell}: {message}"),
        None => message,
    }
}

/// The lines that end a run. They say in words whether it passed, and repeat what failed.
fn summary(outcome: &Outcome, show: Show) -> Vec<String> {
    let ink = if outcome.passed { Ink::Good } else { Ink::Bad };
    let counts = outcome.summary;
    let not_run = outcome
        .failures()
        .filter(|(_, cause)| cause.kind == CauseKind::NotRun)
        .count();
    let time = outcome.seconds.map(|time| format!("{} ", seconds(time)));
    let mut text = format!(
        "{}{} run: {} passed",
        time.unwrap_or_default(),
        count(counts.ran() - not_run, "test"),
        counts.passed
    );
    for (number, word) in [
        (counts.failed - not_run, "failed"),
        (not_run, "not run"),
        (counts.skipped, "skipped"),
    ] {
        if number > 0 {
            let _ = write!(text, ", {number} {word}");
        }
    }
    let mut lines = vec![show.paint.rule(), show.paint.labelled(ink, "Summary", &text)];
    for (test, cause) in outcome.failures() {
        lines.push(format!("{}: {}", verdict_line(test, show), message(cause, show)));
    }
    for problem in &outcome.problems {
        lines.extend(show.message(Ink::Bad, "PROBLEM", problem));
    }
    for note in &outcome.notes {
        lines.extend(show.message(Ink::Careful, "NOTE", note));
    }
    let of = outcome.run.as_ref().map_or_else(String::new, |run| {
        format!("{}, image {}", show.untrusted.inline(&run.mission), run.image.short())
    });
    let word = if outcome.passed { "PASSED" } else { "FAILED" };
    lines.push(show.paint.labelled(ink, word, &of).trim_end().to_owned());
    lines
}
