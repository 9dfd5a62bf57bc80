//! How a run begins: what is known before any container starts.

use std::collections::BTreeSet;

use super::{Ended, Trial};
use crate::event::{Event, RunStarted, Sink};

/// The run of no test: of a part that holds none, or where all are carried. It begins, and nothing is wrong.
pub fn run_nothing(trial: &Trial, events: &dyn Sink) -> Ended {
    start(trial, events);
    if trial.carried.is_empty() {
        events.emit(Event::Note {
            text: "this part holds no test; the others do".to_owned(),
        });
    }
    Ended::default()
}

/// Says that a run begins, and what is known of it already.
pub(super) fn start(trial: &Trial, events: &dyn Sink) {
    events.emit(Event::RunStarted(begun(trial)));
    for test in &trial.carried {
        events.emit(Event::TestFinished(test.clone()));
    }
}

pub(super) fn begun(trial: &Trial) -> RunStarted {
    let known = trial.request.known.iter();
    let expected = trial.expected.iter().collect::<BTreeSet<_>>();
    let all = trial.expected.iter().chain(trial.carried.iter().map(|test| &test.id));
    let earlier = known.filter(|(id, _)| expected.contains(id));
    RunStarted {
        earlier: earlier.map(|(id, known)| (id.clone(), known.seconds)).collect(),
        reference: trial.reference.clone(),
        part: trial.part,
        selected: trial.selected.clone(),
        definitions: trial.definitions.clone(),
        grounds: trial.grounds.clone(),
        size: trial.size.clone(),
        ..RunStarted::new(&trial.run, &trial.mission, trial.image.clone(), all.cloned().collect())
    }
}
