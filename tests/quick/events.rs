//! `docs/reference/events.md` tells of every event, field and value that a log can hold.

use std::collections::BTreeSet;

use floe::event::{Cause, CauseKind, Event, FORMAT, Part, Record, RunStarted, Summary, TestFinished, Verdict};
use floe::reference::{Digest, TestId};
use serde_json::Value;

/// Every kind of event, with all of its fields.
fn events() -> Vec<Event> {
    [events_of_builds(), events_of_runs()].concat()
}

fn events_of_builds() -> Vec<Event> {
    let text = || "text".to_owned();
    let (image, step, name) = (text, text, text);
    vec![
        Event::ImageStarted {
            image: image(),
            reason: text(),
        },
        Event::ImageUpToDate {
            image: image(),
            reference: text(),
        },
        Event::StepStarted {
            image: image(),
            step: step(),
            name: name(),
        },
        Event::StepOutput {
            image: image(),
            step: step(),
            text: text(),
        },
        Event::StepFinished {
            image: image(),
            step: step(),
            name: name(),
            seconds: 1.0,
            cached: true,
            error: Some(text()),
        },
        Event::ImageFinished {
            image: image(),
            id: Digest::of(b"image"),
            seconds: 1.0,
        },
        Event::ImageFailed {
            image: image(),
            error: text(),
        },
        Event::PushProgress {
            layer: text(),
            status: text(),
            sent: 1,
            total: 2,
        },
    ]
}

fn events_of_runs() -> Vec<Event> {
    let text = || "text".to_owned();
    let id = || TestId::import("cal", "numpy");
    let cause = || Cause {
        cell: Some(3),
        line: Some(2),
        ..Cause::new(CauseKind::Error, "message").with_detail("detail")
    };
    let summary = Summary::default();
    let mut begun = RunStarted::new("run", "mission", Digest::of(b"image"), vec![id()]);
    begun.reference = text();
    begun.part = Some(Part { index: 1, of: 2 });
    begun.selected = Some(Digest::of(b"selected"));
    begun.definitions = Some(Digest::of(b"definitions"));
    let finished = |verdict| TestFinished {
        peak_memory: Some(1),
        output: text(),
        notebook: Some(text()),
        attempt: 2,
        worker: 2,
        ..TestFinished::new(id(), verdict)
    };
    let paths = vec!["/data/conda".into()];
    vec![
        Event::RunStarted(begun),
        Event::ScriptStarted { format: FORMAT },
        Event::SuiteStarted {
            format: FORMAT,
            tests: vec![id()],
            jobs: 2,
        },
        Event::TestStarted {
            id: id(),
            attempt: 2,
            worker: 2,
        },
        Event::TestSlow {
            id: id(),
            seconds: 60.0,
        },
        Event::TestRetried {
            id: id(),
            attempt: 1,
            cause: cause(),
            seconds: 1.0,
            output: text(),
        },
        Event::TestFinished(finished(Verdict::Passed)),
        Event::TestFinished(finished(Verdict::Skipped { reason: text() })),
        Event::TestFinished(finished(Verdict::Failed(cause()))),
        Event::SuiteFinished { summary },
        Event::Output { text: text() },
        Event::RunFinished {
            summary,
            passed: false,
            problem: Some(text()),
            seconds: 1.0,
        },
        Event::Behind { paths },
        Event::Untouched,
        Event::Note { text: text() },
        Event::Warning { text: text() },
    ]
}

/// Fails to compile when a kind of event is added: it belongs into [`events`] and into the document.
fn is_listed(event: &Event) {
    match event {
        Event::ImageStarted { .. }
        | Event::ImageUpToDate { .. }
        | Event::StepStarted { .. }
        | Event::StepOutput { .. }
        | Event::StepFinished { .. }
        | Event::ImageFinished { .. }
        | Event::ImageFailed { .. }
        | Event::PushProgress { .. }
        | Event::RunStarted(_)
        | Event::ScriptStarted { .. }
        | Event::SuiteStarted { .. }
        | Event::TestStarted { .. }
        | Event::TestSlow { .. }
        | Event::TestRetried { .. }
        | Event::TestFinished(_)
        | Event::SuiteFinished { .. }
        | Event::Behind { .. }
        | Event::Untouched
        | Event::Output { .. }
        | Event::RunFinished { .. }
        | Event::Note { .. }
        | Event::Warning { .. } => {}
    }
}

/// The names of all fields in a value, and in those within it.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    if let Value::Object(object) = value {
        for (name, value) in object {
            found.insert(name.clone());
            fields(value, found);
        }
    }
}

/// The part of the document that tells of an event: its section, or its row.
fn told<'a>(document: &'a str, kind: &str) -> &'a str {
    let name = format!("`{kind}`");
    let section = document.split("\n### ").find(|section| {
        let title = section.lines().next().unwrap_or_default();
        title.contains(&name)
    });
    let row = || document.lines().find(|line| line.starts_with(&format!("| {name} |")));
    section
        .or_else(row)
        .unwrap_or_else(|| panic!("{kind} is not in docs/reference/events.md"))
}

#[test]
fn every_event_and_field_is_in_the_document() {
    let document = include_str!("../../docs/reference/events.md");
    let values = document
        .split_once("\n## Values")
        .unwrap()
        .1
        .split_once("\n## ")
        .unwrap()
        .0;
    for event in events() {
        is_listed(&event);
        let record = Record {
            at: jiff::Timestamp::UNIX_EPOCH,
            number: 0,
            log: 0,
            event,
        };
        let value = serde_json::to_value(&record).unwrap();
        let kind = value["event"].as_str().unwrap().to_owned();
        let told = told(document, &kind);
        let own = value.as_object().unwrap().keys();
        for field in own.filter(|field| !["at", "event"].contains(&field.as_str())) {
            assert!(told.contains(&format!("`{field}`")), "{kind} does not tell of {field}");
        }
        let mut inner = BTreeSet::new();
        value
            .as_object()
            .unwrap()
            .values()
            .for_each(|value| fields(value, &mut inner));
        for field in inner {
            assert!(
                values.contains(&format!("`{field}`")),
                "{kind}: {field} is not among the values"
            );
        }
    }
}

#[test]
fn every_cause_and_the_version_are_in_the_document() {
    let document = include_str!("../../docs/reference/events.md");
    for kind in [
        CauseKind::Error,
        CauseKind::Timeout,
        CauseKind::Oom,
        CauseKind::KernelDied,
        CauseKind::EarlyExit,
        CauseKind::Leak,
        CauseKind::NotRun,
        CauseKind::Infra,
    ] {
        let name = serde_json::to_value(kind).unwrap();
        assert!(
            document.contains(&format!("| `{}` |", name.as_str().unwrap())),
            "{name}"
        );
    }
    assert!(document.contains(&format!("now **{FORMAT}**")));
}
