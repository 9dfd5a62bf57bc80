//! Turns BuildKit's status reports into events, and keeps what a failed step said last.

use std::collections::{HashMap, HashSet};
use std::mem;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexStatus};

use crate::engine::docker::tail::Tail;
use crate::event::{Event, Sink};

/// Follows the steps of one build.
pub(super) struct Progress<'a> {
    image: &'a str,
    events: &'a dyn Sink,
    steps: HashMap<String, Step>,
    transfers: HashSet<(String, String)>,
    failed: Option<FailedStep>,
}

/// The step that failed.
#[derive(Debug, PartialEq)]
pub(super) struct FailedStep {
    /// Its name.
    pub name: String,
    /// The last lines that it printed.
    pub output: String,
}

#[derive(Default)]
struct Step {
    name: String,
    began: Option<f64>,
    /// How it ended, while that is not yet certain.
    ending: Option<Ending>,
    finished: bool,
    /// The beginning of a character whose rest is still to come.
    partial: Vec<u8>,
    tail: Tail,
}

struct Ending {
    seconds: f64,
    cached: bool,
}

impl<'a> Progress<'a> {
    /// Follows the build of `image`.
    pub fn new(image: &'a str, events: &'a dyn Sink) -> Self {
        Self {
            image,
            events,
            steps: HashMap::new(),
            transfers: HashSet::new(),
            failed: None,
        }
    }

    /// Takes one report.
    pub fn take(&mut self, report: StatusResponse) {
        for vertex in &report.vertexes {
            self.begin(vertex);
        }
        for transfer in &report.statuses {
            self.transfer(transfer);
        }
        for log in report.logs {
            self.output(&log.vertex, log.msg);
        }
        // After the logs: a report may bring the last words of a step together with its end.
        for vertex in &report.vertexes {
            self.end(vertex);
        }
        for warning in report.warnings {
            let text = String::from_utf8_lossy(&warning.short).into_owned();
            self.events.emit(Event::Warning { text });
        }
    }

    /// Closes the steps whose end was not yet certain; returns the step that failed, if one did.
    pub fn finish(mut self) -> Option<FailedStep> {
        let open = self.steps.keys().cloned().collect::<Vec<_>>();
        for id in open {
            self.settle(&id);
        }
        self.failed
    }

    fn begin(&mut self, vertex: &Vertex) {
        if vertex.started.is_none() {
            return;
        }
        // A step that uses another is proof of the other's end.
        for input in &vertex.inputs {
            self.settle(input);
        }
        let step = self.steps.entry(vertex.digest.clone()).or_default();
        step.ending = None;
        if step.began.is_none() {
            step.began = vertex.started.as_ref().map(seconds);
            step.name.clone_from(&vertex.name);
            self.events.emit(Event::StepStarted {
                image: self.image.to_owned(),
                step: vertex.digest.clone(),
                name: vertex.name.clone(),
            });
        }
    }

    fn output(&mut self, id: &str, bytes: Vec<u8>) {
        let step = self.steps.entry(id.to_owned()).or_default();
        step.partial.extend(bytes);
        let text = complete_text(&mut step.partial);
        step.tail.push(&text);
        if !text.is_empty() {
            self.events.emit(Event::StepOutput {
                image: self.image.to_owned(),
                step: id.to_owned(),
                text,
            });
        }
    }

    fn transfer(&mut self, transfer: &VertexStatus) {
        let told = transfer.completed.is_some() && transfer.current > 0;
        if told && self.transfers.insert((transfer.vertex.clone(), transfer.id.clone())) {
            let text = format!("{} {} bytes\n", transfer.id, transfer.current);
            self.output(&transfer.vertex, text.into_bytes());
        }
    }

    fn end(&mut self, vertex: &Vertex) {
        let (Some(completed), Some(step)) = (&vertex.completed, self.steps.get_mut(&vertex.digest)) else {
            return;
        };
        let ending = Ending {
            seconds: step.began.map_or(0.0, |began| (seconds(completed) - began).max(0.0)),
            cached: vertex.cached,
        };
        if !vertex.error.is_empty() {
            // The steps that ran beside the failed one are cancelled and say so.
            if self.failed.is_none() && !vertex.error.contains("context canceled") {
                self.failed = Some(FailedStep {
                    name: step.name.clone(),
                    output: step.tail.last_lines(),
                });
            }
            self.conclude(
                &vertex.digest,
                &ending,
                Some(super::without_command(&vertex.error).to_owned()),
            );
        } else if vertex.inputs.is_empty() {
            // A source (files, a base image) is reported once when it is looked up and again when it is fetched.
            step.ending = Some(ending);
        } else {
            self.conclude(&vertex.digest, &ending, None);
        }
    }

    fn settle(&mut self, id: &str) {
        if let Some(ending) = self.steps.get_mut(id).and_then(|step| step.ending.take()) {
            self.conclude(id, &ending, None);
        }
    }

    fn conclude(&mut self, id: &str, ending: &Ending, error: Option<String>) {
        let Some(step) = self.steps.get_mut(id).filter(|step| !step.finished) else {
            return;
        };
        step.finished = true;
        step.tail = Tail::default();
        self.events.emit(Event::StepFinished {
            image: self.image.to_owned(),
            step: id.to_owned(),
            name: step.name.clone(),
            seconds: ending.seconds,
            cached: ending.cached,
            error,
        });
    }
}

/// Takes the text out of `bytes`, with what is not UTF-8 replaced. The beginning of a character stays until its rest comes.
fn complete_text(bytes: &mut Vec<u8>) -> String {
    let incomplete = match bytes.utf8_chunks().last() {
        // At most three bytes can begin a character; more are simply not UTF-8.
        Some(last) if (1..4).contains(&last.invalid().len()) => match std::str::from_utf8(last.invalid()) {
            Err(error) if error.error_len().is_none() => last.invalid().len(),
            _ => 0,
        },
        _ => 0,
    };
    let rest = bytes.split_off(bytes.len() - incomplete);
    String::from_utf8_lossy(&mem::replace(bytes, rest)).into_owned()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a double holds seconds since the epoch to the microsecond"
)]
fn seconds(time: &Timestamp) -> f64 {
    time.seconds as f64 + f64::from(time.nanos) / 1e9
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::moby::buildkit::v1::VertexLog;

    use super::*;
    use crate::event::Memory;

    fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanos: 0 }
    }

    fn vertex(digest: &str, inputs: &[&str], times: (i64, Option<i64>), error: &str) -> StatusResponse {
        StatusResponse {
            vertexes: vec![Vertex {
                digest: digest.to_owned(),
                inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
                name: format!("step {digest}"),
                started: Some(at(times.0)),
                completed: times.1.map(at),
                error: error.to_owned(),
                ..Vertex::default()
            }],
            ..StatusResponse::default()
        }
    }

    fn log(digest: &str, bytes: &[u8]) -> StatusResponse {
        StatusResponse {
            logs: vec![VertexLog {
                vertex: digest.to_owned(),
                msg: bytes.to_vec(),
                ..VertexLog::default()
            }],
            ..StatusResponse::default()
        }
    }

    fn followed(reports: Vec<StatusResponse>) -> (Vec<String>, Option<FailedStep>) {
        let memory = Memory::default();
        let mut progress = Progress::new("common", &memory);
        for report in reports {
            progress.take(report);
        }
        let failed = progress.finish();
        let told = memory.events().into_iter().map(|event| match event {
            Event::StepStarted { step, .. } => format!("{step} started"),
            Event::StepOutput { step, text, .. } => format!("{step} said {text:?}"),
            Event::StepFinished {
                step, seconds, error, ..
            } => format!("{step} finished after {seconds} {}", error.unwrap_or_default()),
            other => format!("{other:?}"),
        });
        (told.collect(), failed)
    }

    #[test]
    fn a_source_that_is_reported_twice_finishes_once() {
        let (told, failed) = followed(vec![
            vertex("files", &[], (0, None), ""),
            vertex("files", &[], (0, Some(1)), ""),
            vertex("files", &[], (2, None), ""),
            vertex("files", &[], (2, Some(5)), ""),
            vertex("copy", &["files"], (5, None), ""),
            vertex("copy", &["files"], (5, Some(6)), ""),
            vertex("copy", &["files"], (5, Some(6)), ""),
        ]);
        assert_eq!(
            told,
            [
                "files started",
                "files finished after 5 ",
                "copy started",
                "copy finished after 1 "
            ]
        );
        assert_eq!(failed, None);
    }

    #[test]
    fn a_cancelled_neighbour_is_not_the_step_that_failed() {
        let (_, failed) = followed(vec![
            vertex("a", &["x"], (0, None), ""),
            vertex("b", &["x"], (0, None), ""),
            log("b", b"no compiler\n"),
            vertex("a", &["x"], (0, Some(1)), "context canceled"),
            vertex("b", &["x"], (0, Some(1)), "exit code: 2"),
        ]);
        let failed = failed.unwrap();
        assert_eq!(
            (failed.name.as_str(), failed.output.as_str()),
            ("step b", "no compiler")
        );
    }

    #[test]
    fn a_character_cut_between_reports_stays_whole() {
        let euro = "€".as_bytes();
        let (told, _) = followed(vec![
            vertex("a", &["x"], (0, None), ""),
            log("a", &[b"1 ", &euro[..1]].concat()),
            log("a", &euro[1..2]),
            log("a", &[&euro[2..], b"\xff!"].concat()),
        ]);
        assert_eq!(told[1..], ["a said \"1 \"", "a said \"€\u{fffd}!\""]);
    }
}
