//! The failures of a run as the page shows them: cause, cell, traceback, output, pictures.

use std::collections::HashMap;

use serde::Serialize;

use super::ansi;
use super::name::{Ending, Name, visible};
use super::table::link;
use crate::event::{Cause, TestFinished, Verdict};
use crate::quantity::bytes;
use crate::reference::TestId;
use crate::report::amounts::{duration, shortened};
use crate::report::executed::{Executed, Shown};
use crate::report::location::{self, Locations};
use crate::run::account::{Account, Attempt};

/// All explanations of failures are kept to about this many bytes, so that a page can be opened.
const EXPLANATIONS: usize = 12 << 20;

/// All pictures of a page are kept to this many bytes.
const PICTURES: usize = 8 << 20;

/// More failures than these are folded, so that they are seen at a glance.
const OPEN: usize = 8;

/// A failure.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    anchor: String,
    name: Name,
    result: Ending,
    open: bool,
    /// `cell 3, line 2`.
    place: String,
    message: String,
    time: String,
    memory: String,
    cell: Vec<Line>,
    detail_html: String,
    shown: Vec<Figure>,
    output_html: String,
    attempts: Vec<Earlier>,
    file: String,
    notebook: Option<String>,
}

/// A line of the cell that failed.
#[derive(Debug, Serialize)]
struct Line {
    number: usize,
    text: String,
    failed: bool,
}

/// Something that the cell showed.
#[derive(Debug, Serialize)]
struct Figure {
    /// What it is, above it.
    caption: String,
    text_html: String,
    /// A `data:` address.
    picture: Option<String>,
}

/// A test that passed in the end.
#[derive(Debug, Serialize)]
pub(super) struct Flaky {
    anchor: String,
    name: Name,
    attempts: Vec<Earlier>,
}

/// An attempt before the last one.
#[derive(Debug, Serialize)]
struct Earlier {
    number: u32,
    result: Ending,
    message: String,
    time: String,
    detail_html: String,
}

/// The failures, in order.
pub(super) fn failures(
    account: &Account,
    anchors: &HashMap<&TestId, String>,
    executed: &Executed,
    places: &Locations,
) -> Vec<Failure> {
    let number = account.outcome.failures().count();
    let most = (EXPLANATIONS / number.max(1)).clamp(2 << 10, 64 << 10);
    let mut pictures = PICTURES;
    let mut failures = Vec::new();
    for (test, cause) in account.outcome.failures() {
        let cell = test.notebook.as_ref().zip(cause.cell);
        let cell = cell.and_then(|(notebook, number)| executed.cell(notebook, number));
        let cell = cell.unwrap_or_default();
        let place = places.place(account.mission(), &test.id, Some(cause));
        failures.push(Failure {
            anchor: anchors.get(&test.id).cloned().unwrap_or_default(),
            name: Name::of(&test.id),
            result: Ending::failed(cause.kind),
            open: number <= OPEN,
            place: location::within(cause).unwrap_or_default(),
            message: visible(&cause.message),
            time: duration(test.seconds),
            memory: test.peak_memory.map(bytes).unwrap_or_default(),
            cell: lines(&shortened(&cell.source, most), cause),
            detail_html: explanation(cause, most, !cell.source.is_empty()),
            shown: cell
                .shown
                .iter()
                .map(|shown| figure(shown, most, &mut pictures))
                .collect(),
            output_html: ansi::markup(&shortened(&test.output, most)),
            attempts: earlier(account.attempts(&test.id), most),
            file: place.map_or_else(String::new, |place| match place.line {
                Some(line) => format!("{}:{line}", visible(&place.file)),
                None => visible(&place.file),
            }),
            notebook: link(test, executed),
        });
    }
    failures
}

/// The tests that passed after they had failed.
pub(super) fn flaky(account: &Account, anchors: &HashMap<&TestId, String>) -> Vec<Flaky> {
    let flaky = account.flaky().map(|test: &TestFinished| {
        debug_assert_eq!(test.verdict, Verdict::Passed);
        Flaky {
            anchor: anchors.get(&test.id).cloned().unwrap_or_default(),
            name: Name::of(&test.id),
            attempts: earlier(account.attempts(&test.id), 16 << 10),
        }
    });
    flaky.collect()
}

fn earlier(attempts: &[Attempt], most: usize) -> Vec<Earlier> {
    let earlier = |attempt: &Attempt| Earlier {
        number: attempt.number,
        result: Ending::failed(attempt.cause.kind),
        message: visible(&location::message(&attempt.cause)),
        time: duration(attempt.seconds),
        detail_html: explanation(&attempt.cause, most, false),
    };
    attempts.iter().map(earlier).collect()
}

/// The cause's detail, unless it only repeats the message. Its first line names the cell, which may be shown whole.
fn explanation(cause: &Cause, most: usize, cell_is_shown: bool) -> String {
    let mut detail = cause.detail.trim_end();
    let place = location::within(cause).filter(|_| cell_is_shown);
    if place.is_some_and(|place| detail.starts_with(&format!("{place}: "))) {
        detail = detail.split_once('\n').map_or("", |(_, rest)| rest);
    }
    if detail.trim() == cause.message.trim() {
        return String::new();
    }
    ansi::markup(&shortened(detail, most))
}

fn lines(source: &str, cause: &Cause) -> Vec<Line> {
    let lines = source.lines().zip(1..);
    let line = |(text, number): (&str, usize)| Line {
        number,
        text: visible(text),
        failed: cause.line == Some(number),
    };
    lines.map(line).collect()
}

fn figure(shown: &Shown, most: usize, pictures: &mut usize) -> Figure {
    let mut figure = Figure {
        caption: String::new(),
        text_html: String::new(),
        picture: None,
    };
    match shown {
        Shown::Text(text) => figure.text_html = ansi::markup(&shortened(text, most)),
        Shown::Picture { kind, base64, size } if *size <= *pictures => {
            *pictures -= size;
            figure.picture = Some(format!("data:{kind};base64,{base64}"));
        }
        Shown::Picture { size, .. } => {
            figure.caption = format!("A picture of {} is in the executed notebook only.", bytes(*size as u64));
        }
        Shown::Source { kind, text } => {
            figure.caption = format!("{}, as source", visible(kind));
            figure.text_html =
                ansi::escaped(&crate::report::untrusted::Untrusted::default().plain(&shortened(text, most)));
        }
        Shown::Omitted(what) => figure.caption = format!("The cell showed {}.", visible(what)),
    }
    figure
}
