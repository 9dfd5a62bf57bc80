//! What ran when, and on which worker.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::event::{CauseKind, Event, Record, Verdict};
use crate::reference::TestId;

/// What ran when. The times of each run are counted from its own beginning, since parts of a run are read as one that
/// may have run at different times on different machines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timeline {
    /// What ran one after the other, by worker.
    pub lanes: Vec<Lane>,
    /// When the last test ended, in seconds from the beginning.
    pub seconds: f64,
}

/// What one worker did.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// Which run it belongs to, counted from 0.
    pub run: usize,
    /// The worker, counted from 1.
    pub worker: u32,
    /// What it ran, in order; no two at a time.
    pub spans: Vec<Span>,
}

/// One attempt at a test.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The test.
    pub id: TestId,
    /// Which attempt, counted from 1.
    pub attempt: u32,
    /// When it began, in seconds from the beginning.
    pub from: f64,
    /// When it ended.
    pub to: f64,
    /// How it ended.
    pub end: End,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It passed.
    Passed,
    /// It failed, and there was another attempt.
    Retried(CauseKind),
    /// It failed.
    Failed(CauseKind),
    /// Its end is not known.
    Lost,
}

struct Open {
    attempt: u32,
    worker: u32,
    from: f64,
}

impl Timeline {
    /// What the log `records` tells.
    #[must_use]
    pub fn of(records: &[Record]) -> Self {
        let mut timeline = Self::default();
        let mut run = None;
        let mut start = records.first().map(|record| record.at);
        let mut now = 0.0;
        let mut open = HashMap::<TestId, Open>::new();
        for record in records {
            if matches!(record.event, Event::RunStarted(_)) {
                timeline.lose(run.unwrap_or(0), &mut open, now);
                run = Some(run.map_or(0, |run: usize| run + 1));
                start = Some(record.at);
            }
            now = start.map_or(0.0, |start| since(start, record.at));
            let (id, end) = match &record.event {
                Event::TestStarted { id, attempt, worker } => {
                    let begun = Open {
                        attempt: *attempt,
                        worker: *worker,
                        from: now,
                    };
                    open.insert(id.clone(), begun);
                    continue;
                }
                Event::TestRetried { id, cause, .. } => (id, End::Retried(cause.kind)),
                Event::TestFinished(test) => match &test.verdict {
                    Verdict::Failed(cause) => (&test.id, End::Failed(cause.kind)),
                    Verdict::Passed => (&test.id, End::Passed),
                    Verdict::Skipped { .. } => {
                        open.remove(&test.id);
                        continue;
                    }
                },
                _ => continue,
            };
            if let Some(begun) = open.remove(id) {
                timeline.add(run.unwrap_or(0), &begun, id, now, end);
            }
        }
        timeline.lose(run.unwrap_or(0), &mut open, now);
        timeline.lanes.sort_by_key(|lane| (lane.run, lane.worker));
        for lane in &mut timeline.lanes {
            lane.spans.sort_by(|a, b| a.from.total_cmp(&b.from));
        }
        timeline
    }

    /// Ends what is still open, as at the end of a log that stops early.
    fn lose(&mut self, run: usize, open: &mut HashMap<TestId, Open>, now: f64) {
        let mut lost = open.drain().collect::<Vec<_>>();
        lost.sort_by(|a, b| a.1.from.total_cmp(&b.1.from));
        for (id, begun) in lost {
            self.add(run, &begun, &id, now, End::Lost);
        }
    }

    fn add(&mut self, run: usize, begun: &Open, id: &TestId, to: f64, end: End) {
        let span = Span {
            id: id.clone(),
            attempt: begun.attempt,
            from: begun.from,
            to,
            end,
        };
        self.seconds = self.seconds.max(to);
        // A mission's own script runs around all others; two at a time need two lanes.
        let free = |lane: &&mut Lane| {
            let same = lane.run == run && lane.worker == begun.worker;
            same && lane
                .spans
                .iter()
                .all(|other| other.to <= span.from || span.to <= other.from)
        };
        match self.lanes.iter_mut().find(free) {
            Some(lane) => lane.spans.push(span),
            None => self.lanes.push(Lane {
                run,
                worker: begun.worker,
                spans: vec![span],
            }),
        }
    }
}

fn since(start: Timestamp, at: Timestamp) -> f64 {
    at.duration_since(start).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Cause, RunStarted, TestFinished};
    use crate::reference::Digest;

    fn at(second: i64, event: Event) -> Record {
        Record {
            at: Timestamp::from_second(second).unwrap(),
            number: 0,
            log: 0,
            event,
        }
    }

    fn id(name: &str) -> TestId {
        TestId::import("e", name)
    }

    fn begun(second: i64) -> Record {
        at(
            second,
            Event::RunStarted(RunStarted::new("r", "m", Digest::of(b"i"), vec![])),
        )
    }

    fn started(second: i64, name: &str, worker: u32) -> Record {
        at(
            second,
            Event::TestStarted {
                id: id(name),
                attempt: 1,
                worker,
            },
        )
    }

    fn passed(second: i64, name: &str) -> Record {
        at(
            second,
            Event::TestFinished(TestFinished::new(id(name), Verdict::Passed)),
        )
    }

    fn shown(records: &[Record]) -> Vec<String> {
        let timeline = Timeline::of(records);
        let lanes = timeline.lanes.iter().map(|lane| {
            let spans = lane.spans.iter();
            let spans = spans.map(|span| format!("{} {}-{} {:?}", span.id.name, span.from, span.to, span.end));
            format!("{}/{}: {}", lane.run, lane.worker, spans.collect::<Vec<_>>().join(", "))
        });
        lanes.collect()
    }

    #[test]
    fn each_worker_has_a_lane() {
        let records = [
            begun(100),
            started(100, "a", 1),
            started(101, "b", 2),
            passed(103, "a"),
            started(103, "c", 1),
            passed(104, "b"),
            passed(105, "c"),
        ];
        assert_eq!(
            shown(&records),
            ["0/1: a 0-3 Passed, c 3-5 Passed", "0/2: b 1-4 Passed"]
        );
        assert!((Timeline::of(&records).seconds - 5.0).abs() < 1e-9);
    }

    #[test]
    fn what_one_worker_did_at_a_time_stands_in_several_lanes() {
        let script = [
            started(0, "script", 1),
            started(1, "a", 1),
            passed(2, "a"),
            passed(9, "script"),
        ];
        assert_eq!(shown(&script), ["0/1: a 1-2 Passed", "0/1: script 0-9 Passed"]);
    }

    #[test]
    fn an_attempt_that_is_repeated_is_a_span_of_its_own() {
        let cause = Cause::new(CauseKind::Timeout, "slow");
        let retried = Event::TestRetried {
            id: id("a"),
            attempt: 1,
            cause,
            seconds: 1.0,
            output: String::new(),
        };
        let records = [started(0, "a", 1), at(2, retried), started(3, "a", 1), passed(4, "a")];
        assert_eq!(shown(&records), ["0/1: a 0-2 Retried(Timeout), a 3-4 Passed"]);
    }

    #[test]
    fn what_did_not_end_lasts_to_the_end_of_its_log() {
        let records = [
            begun(0),
            started(1, "a", 1),
            begun(50),
            started(51, "a", 1),
            passed(54, "a"),
        ];
        assert_eq!(shown(&records), ["0/1: a 1-1 Lost", "1/1: a 1-4 Passed"]);
    }
}
