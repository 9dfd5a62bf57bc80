//! The display of a test run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::Show;
use super::live::Screen;
use super::model::{Bar, Task};
use super::paint::{self, Ink, bytes, count, seconds};
use crate::event::{Cause, CauseKind, Event, RunStarted, TestFinished, Verdict};
use crate::reference::TestId;
use crate::report::amounts::duration;
use crate::report::location;
use crate::run::account;
use crate::run::outcome::{Outcome, Tally};

/// Less than this is not worth telling, in seconds.
const LEAST_LEFT: f64 = 2.0;

/// What is known of the run on display.
#[derive(Default)]
pub(super) struct RunDisplay {
    tally: Tally,
    /// Whether the run was begun by a host, which then ends it; otherwise each set of tests stands for itself.
    of_a_host: bool,
    /// How long the tests that have not ended took when they last ran, in seconds.
    earlier: BTreeMap<TestId, f64>,
    /// How many tests run at a time.
    jobs: usize,
    /// The tests that were carried and are not shown yet.
    carried: Vec<TestFinished>,
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
        if let Event::TestFinished(test) = event
            && test.is_carried()
        {
            self.carried.push(test.clone());
            return;
        }
        let carried = std::mem::take(&mut self.carried);
        if !carried.is_empty() {
            screen.lines(&self::carried(&carried, show));
        }
        match event {
            Event::RunStarted(begun) => {
                self.earlier.clone_from(&begun.earlier);
                screen.lines(&[show.paint.labelled(Ink::Good, "Testing", &beginning(begun, show))]);
                self.begin(screen);
            }
            Event::SuiteStarted { tests, jobs, .. } => {
                self.jobs = *jobs;
                let left = self
                    .left()
                    .map(|left| format!(", about {} by earlier runs", about(left)));
                let rest = format!(
                    "{}, {jobs} at a time{}",
                    count(tests.len(), "test"),
                    left.unwrap_or_default()
                );
                screen.lines(&[show.paint.labelled(Ink::Good, "Starting", &rest)]);
                self.begin(screen);
            }
            Event::TestStarted { id, attempt, .. } => {
                let task = Task {
                    key: id.to_string(),
                    name: show.untrusted.inline(&id.to_string()),
                    detail: match attempt {
                        1 => String::new(),
                        again => format!("attempt {again}"),
                    },
                    since: Instant::now(),
                    slow: false,
                };
                screen.update(|model| model.tasks.push(task));
                self.progress(screen);
            }
            Event::TestSlow { id, seconds } => {
                let key = id.to_string();
                screen.update(|model| {
                    for task in model.tasks.iter_mut().filter(|task| task.key == key) {
                        task.slow = true;
                    }
                });
                let line = format!("{} {}", over(*seconds), show.untrusted.inline(&key));
                screen.lines(&[show.paint.labelled(Ink::Careful, "SLOW", &line)]);
            }
            Event::TestRetried {
                id,
                attempt,
                cause,
                seconds,
                output,
            } => {
                let key = id.to_string();
                screen.update(|model| model.tasks.retain(|task| task.key != key));
                self.progress(screen);
                let time = paint::seconds(*seconds);
                let id = show.untrusted.inline(&key);
                let mut lines = vec![show.paint.labelled(Ink::Careful, "RETRY", &format!("{time} {id}"))];
                let why = format!("attempt {attempt}: {}, {}", cause.kind.label(), message(cause, show));
                lines.push(show.paint.labelled(Ink::Careful, "", &why));
                if show.verbose {
                    lines.extend(explanation(cause, output, show));
                }
                screen.lines(&lines);
            }
            Event::TestFinished(test) => {
                let key = test.id.to_string();
                self.earlier.remove(&test.id);
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

    /// How long what has not ended will take, by earlier runs, in seconds: all of it on as many workers as there are, and no
    /// less than the longest test. `None` where too little is known, or nearly nothing is left.
    fn left(&self) -> Option<f64> {
        let received = self.tally.received();
        let ended = received.ran() + received.skipped + received.carried;
        let open = self.tally.expected().saturating_sub(ended);
        let together = self.earlier.values().sum::<f64>();
        let longest = self.earlier.values().copied().fold(0.0, f64::max);
        #[expect(clippy::cast_precision_loss, reason = "few workers")]
        let left = (together / self.jobs.max(1) as f64).max(longest);
        (self.earlier.len() * 5 >= open * 4 && left >= LEAST_LEFT).then_some(left)
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
        let done = received.ran() + received.skipped + received.carried;
        let left = self.left().filter(|_| self.jobs > 0);
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
                if let Some(left) = left {
                    let _ = write!(bar.text, ", about {} left", about(left));
                }
            }
        });
    }
}

/// A duration that is known by experience alone: `12 s`, `2 min 05 s`.
fn about(seconds: f64) -> String {
    if seconds < 59.5 {
        format!("{seconds:.0} s")
    } else {
        duration(seconds)
    }
}

fn end(outcome: &Outcome, show: Show, screen: &Screen) {
    screen.update(|model| {
        model.bar = None;
        model.tasks.clear();
    });
    if !(show.quiet && outcome.passed) {
        screen.lines(&summary(outcome, show));
    }
}

/// The lines of a run that has ended.
pub(super) fn ended(outcome: &Outcome, show: Show) -> Vec<String> {
    let (earlier, now) = outcome.tests.iter().partition::<Vec<_>, _>(|test| test.is_carried());
    let mut lines = carried(earlier, show);
    lines.extend(now.into_iter().flat_map(|test| finished(test, show)));
    lines.extend(summary(outcome, show));
    lines
}

/// A line for the tests of each environment that were carried from each run.
fn carried<'a>(tests: impl IntoIterator<Item = &'a TestFinished>, show: Show) -> Vec<String> {
    let mut numbers = BTreeMap::<(&str, &str), usize>::new();
    for test in tests {
        let run = test.carried.as_ref().map_or("", |earlier| earlier.run.as_str());
        *numbers.entry((&test.id.owner, run)).or_default() += 1;
    }
    let lines = numbers.into_iter().map(|((owner, run), number)| {
        let [owner, run] = [owner, run].map(|text| show.untrusted.inline(text));
        let what = count(number, "test");
        let text = format!(
            "{} {owner}: {what} passed in run {run}, and nothing has changed since",
            no_time()
        );
        show.paint.labelled(Ink::Good, "CARRIED", &text)
    });
    lines.collect()
}

/// The lines of a test that ended. One that did not run, with no more to say than why, is left to the summary.
fn finished(test: &TestFinished, show: Show) -> Vec<String> {
    if let Verdict::Failed(cause) = &test.verdict
        && cause.kind == CauseKind::NotRun
        && cause.detail.is_empty()
        && test.output.is_empty()
    {
        return Vec::new();
    }
    let mut line = verdict_line(test, show);
    if show.verbose
        && let Some(peak) = test.peak_memory
    {
        line.push_str(&show.paint.ink(Ink::Dim, &format!(" ({} at most)", bytes(peak))));
    }
    if matches!(test.verdict, Verdict::Failed(_)) && test.attempt > 1 {
        let times = format!("  failed {} times", test.attempt);
        line.push_str(&show.paint.ink(Ink::Dim, &times));
    }
    let mut lines = vec![line];
    match &test.verdict {
        Verdict::Failed(cause) => {
            lines.push(show.paint.labelled(Ink::Bad, "", &message(cause, show)));
            lines.extend(explanation(cause, &test.output, show));
        }
        _ if show.verbose => lines.extend(show.section(Ink::Dim, "output", &test.output)),
        _ => {}
    }
    lines
}

/// What explains a cause beside its message, set off by an empty line; nothing where there is no more to say.
fn explanation(cause: &Cause, output: &str, show: Show) -> Vec<String> {
    let mut lines = Vec::new();
    if cause.detail.trim() != cause.message.trim() {
        lines.extend(show.section(Ink::Bad, "detail", &cause.detail));
    }
    lines.extend(show.section(Ink::Careful, "output", output));
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// `roman, part 2 of 4: 12 tests, image 5472c8bb85ed, run …`
fn beginning(begun: &RunStarted, show: Show) -> String {
    let name = show.paint.ink(Ink::Name, &show.untrusted.inline(&begun.mission));
    let part = begun
        .part
        .map(|part| format!(", part {} of {}", part.index, part.of))
        .unwrap_or_default();
    format!(
        "{name}{part}: {}, image {}, run {}",
        count(begun.expected.len(), "test"),
        begun.image.short(),
        show.untrusted.inline(&begun.run)
    )
}

/// `        PASS [   0.812s] roman-cal::imports::numpy`
fn verdict_line(test: &TestFinished, show: Show) -> String {
    let id = show.untrusted.inline(&test.id.to_string());
    let (ink, label) = match &test.verdict {
        Verdict::Passed if test.is_flaky() => (Ink::Careful, "FLAKY"),
        Verdict::Passed => (Ink::Good, "PASS"),
        Verdict::Failed(cause) => (Ink::Bad, cause.kind.label()),
        Verdict::Skipped { .. } => (Ink::Careful, "SKIP"),
    };
    let time = match &test.verdict {
        Verdict::Skipped { .. } => no_time(),
        Verdict::Failed(cause) if cause.kind == CauseKind::NotRun => no_time(),
        _ => seconds(test.seconds),
    };
    let more = match &test.verdict {
        Verdict::Skipped { reason } => format!("  {}", show.untrusted.inline(reason)),
        Verdict::Passed if test.is_flaky() => format!("  passed at attempt {}", test.attempt),
        _ => String::new(),
    };
    let more = show.paint.ink(Ink::Dim, &more);
    show.paint.labelled(ink, label, &format!("{time} {id}{more}"))
}

fn no_time() -> String {
    format!("[{:>9}]", "")
}

/// `[>  60.000s]`, as wide as a time.
fn over(seconds: f64) -> String {
    format!(
        "[>{:>7.3}s]",
        Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs_f64()
    )
}

fn message(cause: &Cause, show: Show) -> String {
    show.untrusted.inline(&location::message(cause))
}

/// The tests that did not run, those of one cause together.
fn not_run(tests: &[(&TestFinished, &Cause)], show: Show) -> Vec<String> {
    let mut causes: Vec<(String, Vec<&TestFinished>)> = Vec::new();
    for (test, cause) in tests {
        let message = message(cause, show);
        match causes.iter_mut().find(|(known, _)| *known == message) {
            Some((_, of_cause)) => of_cause.push(test),
            None => causes.push((message, vec![test])),
        }
    }
    let mut lines = Vec::new();
    for (message, of_cause) in causes {
        if let [test] = of_cause.as_slice() {
            lines.push(format!("{}: {message}", verdict_line(test, show)));
            continue;
        }
        let text = format!("{} {}: {message}", no_time(), count(of_cause.len(), "test"));
        lines.push(show.paint.labelled(Ink::Bad, CauseKind::NotRun.label(), &text));
        let ids = of_cause.iter().map(|test| show.untrusted.inline(&test.id.to_string()));
        lines.extend(ids.map(|id| show.paint.labelled(Ink::Bad, "", &format!("{} {id}", no_time()))));
    }
    lines
}

/// The lines that end a run. They say in words whether it passed, and repeat what failed.
fn summary(outcome: &Outcome, show: Show) -> Vec<String> {
    let ink = if outcome.passed { Ink::Good } else { Ink::Bad };
    let time = outcome.seconds.map(|time| format!("{} ", seconds(time)));
    let text = format!("{}{}", time.unwrap_or_default(), account::counts(outcome));
    let mut lines = vec![show.paint.rule(), show.paint.labelled(ink, "Summary", &text)];
    for test in outcome.tests.iter().filter(|test| test.is_flaky()) {
        lines.push(verdict_line(test, show));
    }
    let (not_run, failed) = outcome
        .failures()
        .partition::<Vec<_>, _>(|(_, cause)| cause.kind == CauseKind::NotRun);
    for (test, cause) in failed {
        lines.push(format!("{}: {}", verdict_line(test, show), message(cause, show)));
    }
    lines.extend(self::not_run(&not_run, show));
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
