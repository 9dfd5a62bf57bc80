//! Whether logs are whole: the records of each are numbered and say of which log they are, so that one that is lost, doubled or
//! out of its place is missed, even where what the others say would do without it. Records of an earlier floe do not say of which
//! log they are: where the end of another one follows, the numbers may fit, and the tests do not.

use std::collections::HashSet;

use crate::event::{Event, Record, RunStarted};
use crate::reference::TestId;

/// What is wrong with the order of `records`, which are those of one log or of several, one after the other. A log of an
/// earlier floe has no numbers; nothing is known of its order. Nor is a log wrong that stops early: that its run did not
/// end is missed elsewhere.
pub(super) fn problems(records: &[Record]) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut run, mut own, mut last, mut ended, mut whole) = (None, 0, 0, false, true);
    for record in records {
        let begun = match &record.event {
            Event::RunStarted(begun) => Some(begun.run.as_str()),
            _ => None,
        };
        if record.number == 1 || (record.number == 0 && begun.is_some()) {
            (run, own, ended, whole) = (None, record.log, false, true);
        } else if whole
            && (ended || record.log != own || record.number != last + u64::from(record.number > 0 || last > 0))
        {
            whole = false;
            let log = run
                .or(begun)
                .map_or("a log".to_owned(), |run| format!("the log of {run}"));
            problems.push(match (last, record.number) {
                _ if ended => format!("{log} goes on after the end of its run"),
                _ if record.log != own && last > 0 => format!("{log} has a record of another log after record {last}"),
                (0, number) => format!("{log} begins with record {number}"),
                (last, 0) => format!("{log} has a record without a number after record {last}"),
                (last, number) => format!("{log} has record {number} after record {last}"),
            });
        }
        (run, last) = (run.or(begun), record.number);
        ended |= matches!(record.event, Event::RunFinished { .. });
    }
    problems.extend(foreign(records));
    problems
}

/// For each part of a divided run the first result that is of another part.
fn foreign(records: &[Record]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut part = None::<(&RunStarted, HashSet<&TestId>)>;
    for record in records {
        match (&record.event, &part) {
            (Event::RunStarted(begun), _) => {
                part = begun.part.map(|_| (begun, begun.expected.iter().collect()));
            }
            (Event::TestFinished(test), Some((begun, expected))) if !expected.contains(&test.id) => {
                problems.push(format!(
                    "the log of {} has a result of another log: {}",
                    begun.run, test.id
                ));
                part = None;
            }
            _ => {}
        }
    }
    problems
}
