//! Charts, whose lengths are shares of the width that the page has: they fit any screen and their labels stay text.
//!
//! No crate draws them: those that there are make pictures of a fixed size, or need script.

use std::collections::HashMap;

use serde::Serialize;

use super::name::{Ending, Name};
use crate::event::{TestFinished, Verdict};
use crate::reference::TestId;
use crate::report::amounts::duration;
use crate::run::timeline::{End, Lane, Span, Timeline};

/// More bars than these are not drawn.
const BARS: usize = 16;

/// A span shorter than this share of the width, in percent, is drawn as long, so that it can be seen and pointed at.
const SHORTEST: f64 = 0.2;

/// A chart of horizontal bars.
#[derive(Debug, Serialize)]
pub(super) struct Bars {
    pub(super) bars: Vec<Bar>,
    /// What is said of those that are not drawn.
    pub(super) rest: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Bar {
    name: Name,
    anchor: String,
    width: String,
    value: String,
    result: Ending,
}

/// The timeline, drawn.
#[derive(Debug, Serialize)]
pub(super) struct Drawing {
    lanes: Vec<DrawnLane>,
    ticks: Vec<Tick>,
}

#[derive(Debug, Serialize)]
struct DrawnLane {
    label: String,
    spans: Vec<DrawnSpan>,
}

#[derive(Debug, Serialize)]
struct DrawnSpan {
    x: String,
    width: String,
    title: String,
    class: &'static str,
    anchor: Option<String>,
}

#[derive(Debug, Serialize)]
struct Tick {
    x: String,
    label: String,
    /// How the label lies beside its tick, so that none leaves the chart.
    align: &'static str,
}

/// Bars for the tests that `measure` measures, the longest first; none if there is nothing to compare.
pub(super) fn bars<'a>(
    tests: impl Iterator<Item = &'a TestFinished>,
    anchors: &HashMap<&TestId, String>,
    measure: impl Fn(&TestFinished) -> Option<f64>,
    value: impl Fn(f64) -> String,
) -> Option<Bars> {
    let mut measured = tests
        .filter(|test| !matches!(test.verdict, Verdict::Skipped { .. }))
        .filter_map(|test| Some((test, measure(test).filter(|size| *size > 0.0 && size.is_finite())?)))
        .collect::<Vec<_>>();
    measured.sort_by(|a, b| b.1.total_cmp(&a.1));
    let longest = measured.first()?.1;
    let rest = measured.get(BARS).map(|(_, size)| {
        let more = measured.len() - BARS;
        format!("{more} more, none above {}", value(*size))
    });
    let bar = |(test, size): &(&TestFinished, f64)| Bar {
        name: Name::of(&test.id),
        anchor: anchors.get(&test.id).cloned().unwrap_or_default(),
        width: percent(100.0 * size / longest),
        value: value(*size),
        result: Ending::of(test),
    };
    let bars = measured.iter().take(BARS).map(bar).collect();
    Some(Bars { bars, rest })
}

/// The timeline, if anything ran for a measurable time.
pub(super) fn timeline(timeline: &Timeline, runs: &[String], anchors: &HashMap<&TestId, String>) -> Option<Drawing> {
    if timeline.seconds <= 0.0 || timeline.lanes.is_empty() {
        return None;
    }
    let share = |seconds: f64| 100.0 * seconds / timeline.seconds;
    let mut before = None;
    let mut lanes = Vec::new();
    for lane in &timeline.lanes {
        let same = before == Some((lane.run, lane.worker));
        before = Some((lane.run, lane.worker));
        let spans = lane.spans.iter();
        lanes.push(DrawnLane {
            label: if same { String::new() } else { label(lane, runs) },
            spans: spans.map(|span| drawn(span, &share, anchors)).collect(),
        });
    }
    Some(Drawing {
        lanes,
        ticks: ticks(timeline.seconds),
    })
}

fn label(lane: &Lane, runs: &[String]) -> String {
    match runs.get(lane.run).filter(|_| runs.len() > 1) {
        Some(run) => format!("{run}, worker {}", lane.worker),
        None => format!("worker {}", lane.worker),
    }
}

fn drawn(span: &Span, share: &impl Fn(f64) -> f64, anchors: &HashMap<&TestId, String>) -> DrawnSpan {
    let width = share(span.to - span.from).max(SHORTEST);
    let attempt = match span.attempt {
        1 => String::new(),
        again => format!(", attempt {again}"),
    };
    let (class, end) = match span.end {
        End::Passed if span.attempt > 1 => ("flaky", "passed in the end".to_owned()),
        End::Passed => ("passed", "passed".to_owned()),
        End::Retried(kind) => ("flaky", format!("{}, repeated", kind.label())),
        End::Failed(kind) => ("failed", kind.label().to_owned()),
        End::Lost => ("failed", "its end is not known".to_owned()),
    };
    DrawnSpan {
        // What is made wider to be seen must not leave the chart.
        x: percent(share(span.from).min(100.0 - width)),
        width: percent(width),
        title: format!(
            "{}{attempt}: {end}, {} (from {} on)",
            Name::of(&span.id),
            duration(span.to - span.from),
            duration(span.from)
        ),
        class,
        anchor: anchors.get(&span.id).cloned(),
    }
}

/// At most six ticks at round times.
fn ticks(seconds: f64) -> Vec<Tick> {
    const STEPS: [f64; 15] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
    ];
    let fits = |step: &f64| seconds / step <= 5.0;
    let mut step = STEPS.into_iter().find(fits).unwrap_or(7200.0);
    while !fits(&step) {
        step *= 2.0;
    }
    let mut ticks = Vec::new();
    for number in 0..6_u32 {
        let at = f64::from(number) * step;
        if at > seconds {
            break;
        }
        let x = 100.0 * at / seconds;
        ticks.push(Tick {
            x: percent(x),
            label: clock(at),
            align: match x {
                _ if number == 0 => "start",
                x if x > 92.0 => "end",
                _ => "middle",
            },
        });
    }
    ticks
}

/// A time as ticks name it: `0.5 s`, `20 s`, `1:30 min`, `2:00 h`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ticks are few and positive"
)]
fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match seconds {
        0.0 => "0".to_owned(),
        s if s < 1.0 => format!("{s:.1} s"),
        s if s < 60.0 => format!("{whole} s"),
        s if s < 3600.0 => format!("{}:{:02} min", whole / 60, whole % 60),
        _ => format!("{}:{:02} h", whole / 3600, whole / 60 % 60),
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.3}%", share.clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        let labels = |seconds| ticks(seconds).into_iter().map(|tick| tick.label).collect::<Vec<_>>();
        assert_eq!(labels(0.35), ["0", "0.1 s", "0.2 s", "0.3 s"]);
        assert_eq!(labels(42.0), ["0", "10 s", "20 s", "30 s", "40 s"]);
        assert_eq!(labels(200.0), ["0", "1:00 min", "2:00 min", "3:00 min"]);
        assert_eq!(labels(40_000.0), ["0", "4:00 h", "8:00 h"]);
        for seconds in [0.001, 1.0, 59.9, 3601.0, 1e6] {
            assert!((1..=6).contains(&ticks(seconds).len()), "{seconds}");
        }
    }

    #[test]
    fn nothing_leaves_the_chart() {
        assert_eq!(percent(-1.0), "0.000%");
        assert_eq!(percent(100.5), "100.000%");
        let span = Span {
            id: TestId::import("e", "x"),
            attempt: 1,
            from: 10.0,
            to: 10.0,
            end: End::Passed,
        };
        let drawn = drawn(&span, &|seconds| 10.0 * seconds, &HashMap::new());
        assert_eq!((drawn.x.as_str(), drawn.width.as_str()), ("99.800%", "0.200%"));
    }
}
