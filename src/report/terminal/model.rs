//! What goes on now, as data: it is shown as an area of a terminal, or told from time to time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::paint::{Ink, Paint, cut};

/// More tasks than these are counted, not shown.
const SHOWN: usize = 10;

/// A task that takes longer is shown as slow.
const SLOW_INTERVAL: Duration = Duration::from_mins(1);

/// How wide a progress bar is at most, in columns.
const BAR: usize = 24;

/// A bar shorter than this says nothing and is left out.
const SHORTEST_BAR: usize = 6;

/// Something that goes on.
#[derive(Debug, Clone)]
pub(super) struct Task {
    /// Tells it from others.
    pub(super) key: String,
    /// What is shown of it; no control sequences.
    pub(super) name: String,
    /// What it last said, shown after its name or below it; no control sequences.
    pub(super) detail: String,
    /// When it began.
    pub(super) since: Instant,
    /// Whether it is known to take long.
    pub(super) slow: bool,
}

/// The bar above the tasks.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    /// What is being done, e.g. `Running`.
    pub(super) label: &'static str,
    /// How much of it is done.
    pub(super) done: usize,
    /// How much there is; 0 where that is not known.
    pub(super) total: usize,
    /// Counts, as text.
    pub(super) text: String,
    /// Whether something failed.
    pub(super) failed: bool,
    /// When it began.
    pub(super) since: Instant,
}

/// What the area shows.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) bar: Option<Bar>,
    pub(super) tasks: Vec<Task>,
}

impl Model {
    /// The lines of the area on a terminal of `width` columns at the time `now`.
    pub(super) fn area(&self, paint: Paint, width: usize, now: Instant) -> Vec<String> {
        let room = width.saturating_sub(1);
        let mut lines = Vec::new();
        if let Some(bar) = &self.bar {
            lines.push(bar.line(paint, room, now));
        }
        for task in self.tasks.iter().take(SHOWN) {
            let elapsed = now.saturating_duration_since(task.since);
            let (ink, label) = if task.slow || elapsed >= SLOW_INTERVAL {
                (Ink::Careful, "SLOW")
            } else {
                (Ink::Dim, "")
            };
            let time = format!("[{:>8.1}s]", elapsed.as_secs_f64());
            let space = room.saturating_sub(13 + time.len() + 1);
            // What a task says last matters more than the end of a long name: it gets up to half of the room.
            let detail = cut(&task.detail, (space / 2).saturating_sub(2));
            let taken = if detail.is_empty() {
                0
            } else {
                detail.chars().count() + 2
            };
            let name = cut(&task.name, space.saturating_sub(taken));
            let left = space.saturating_sub(name.chars().count() + 2);
            let detail = if detail.is_empty() {
                detail
            } else {
                format!("  {}", paint.ink(Ink::Dim, &cut(&task.detail, left)))
            };
            lines.push(paint.labelled(ink, label, &format!("{time} {name}{detail}")));
        }
        if self.tasks.len() > SHOWN {
            let more = format!("\u{2026} and {} more", self.tasks.len() - SHOWN);
            lines.push(paint.labelled(Ink::Dim, "", &more));
        }
        lines
    }
}

impl Bar {
    fn line(&self, paint: Paint, room: usize, now: Instant) -> String {
        let elapsed = now.saturating_duration_since(self.since).as_secs();
        let time = format!("[ {:02}:{:02}:{:02}]", elapsed / 3600, elapsed / 60 % 60, elapsed % 60);
        let ink = if self.failed { Ink::Bad } else { Ink::Good };
        let room = room.saturating_sub(13 + time.len() + 1);
        let text = cut(&self.text, room);
        let columns = room.saturating_sub(text.chars().count() + 1).min(BAR);
        if self.total == 0 || columns < SHORTEST_BAR {
            return paint.labelled(ink, self.label, &format!("{time} {text}"));
        }
        let full = columns * self.done.min(self.total) / self.total;
        let done = paint.ink(ink, &"\u{2501}".repeat(full));
        let left = paint.ink(Ink::Dim, &"\u{2500}".repeat(columns - full));
        paint.labelled(ink, self.label, &format!("{time} {done}{left} {text}"))
    }
}

pub(super) fn lock(model: &Mutex<Model>) -> MutexGuard<'_, Model> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { color: false };

    fn model(tasks: usize, start: Instant) -> Model {
        let task = |number: usize| Task {
            key: number.to_string(),
            name: format!("roman-cal::imports::module{number}"),
            detail: String::new(),
            since: start,
            slow: false,
        };
        Model {
            bar: Some(Bar {
                label: "Running",
                done: 10,
                total: 40,
                text: "10/40: 2 running, 9 passed, 1 failed".to_owned(),
                failed: true,
                since: start,
            }),
            tasks: (0..tasks).map(task).collect(),
        }
    }

    #[test]
    fn the_area_shows_what_runs_and_how_much_is_done() {
        let start = Instant::now();
        let now = start + Duration::from_millis(1500);
        insta::assert_snapshot!(model(2, start).area(PLAIN, 80, now).join("\n"), @r#"
        Running [ 00:00:01] ━━━━───────────── 10/40: 2 running, 9 passed, 1 failed
                [     1.5s] roman-cal::imports::module0
                [     1.5s] roman-cal::imports::module1
        "#);
    }

    #[test]
    fn a_slow_task_is_told_by_its_label() {
        let start = Instant::now();
        let lines = model(1, start).area(PLAIN, 80, start + SLOW_INTERVAL);
        assert_eq!(lines[1], "        SLOW [    60.0s] roman-cal::imports::module0");
    }

    #[test]
    fn many_tasks_do_not_fill_the_terminal() {
        let now = Instant::now();
        let lines = model(SHOWN + 5, now).area(PLAIN, 80, now);
        assert_eq!(lines.len(), 1 + SHOWN + 1);
        assert_eq!(lines.last().unwrap().trim(), "\u{2026} and 5 more");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let now = Instant::now();
        let mut model = model(2, now);
        model.tasks[0].name = "x".repeat(300);
        model.tasks[0].detail = "y".repeat(300);
        model.tasks[1].detail = "z".repeat(300);
        for width in 30..200 {
            for line in model.area(PLAIN, width, now) {
                assert!(line.chars().count() < width, "{width}: {line:?}");
            }
        }
        let lines = model.area(PLAIN, 80, now);
        assert!(lines[1].contains("xx") && lines[1].contains("yy"), "{lines:?}");
    }
}
