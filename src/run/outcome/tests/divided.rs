//! A run that is divided: its parts are green only together.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::event::Part;

const TESTS: [&[&str]; 3] = [&["a", "b"], &["c"], &[]];

/// How a part of the run begins.
fn part(index: u32) -> RunStarted {
    let all = TESTS.concat().iter().map(|name| id(name)).collect::<Vec<_>>();
    let expected = TESTS[index as usize - 1].iter().map(|name| id(name)).collect();
    RunStarted {
        part: Some(Part { index, of: 3 }),
        selected: Some(TestId::digest(&all)),
        definitions: Some(Digest::of(b"definitions")),
        ..RunStarted::new(format!("r{index}"), "roman", Digest::of(b"image"), expected)
    }
}

/// The log of a run in which all that it expects passes.
fn log(begun: RunStarted) -> Vec<Event> {
    let names = begun.expected.iter().map(|id| id.name.clone()).collect::<Vec<_>>();
    let names = names.iter().map(String::as_str).collect::<Vec<_>>();
    let mut events = vec![Event::RunStarted(begun)];
    if !names.is_empty() {
        events.push(suite(&names));
        events.extend(names.iter().map(|name| passed(name)));
        events.push(suite_ended(names.len(), 0, 0));
    }
    events.push(tally(&events).finish(None, 1.0));
    events
}

fn merged(logs: &[Vec<Event>]) -> Outcome {
    let event = |event: Event| Record {
        at: jiff::Timestamp::UNIX_EPOCH,
        number: 0,
        log: 0,
        event,
    };
    Outcome::merged(&logs.concat().into_iter().map(event).collect::<Vec<_>>())
}

#[test]
fn all_parts_together_pass_though_one_of_them_holds_no_test() {
    let outcome = merged(&[log(part(2)), log(part(1)), log(part(3))]);
    assert!(outcome.passed, "{outcome:?}");
    assert_eq!(outcome.summary.passed, 3);
    assert_eq!(outcome.seconds, Some(3.0));
}

#[test]
fn a_part_by_itself_passes_but_does_not_stand_for_the_run() {
    for index in 1..=3 {
        let own = tally(&log(part(index))).outcome();
        assert!(own.passed, "{own:?}");
        assert_eq!(
            own.notes,
            [format!("this is part {index} of 3, and stands for no other")]
        );
        assert!(!merged(&[log(part(index))]).passed);
    }
}

#[test]
fn a_lost_part_does_not_read_as_green() {
    for lost in 1..=3 {
        let there = (1..=3).filter(|&index| index != lost).map(|index| log(part(index)));
        let outcome = merged(&there.collect::<Vec<_>>());
        assert!(!outcome.passed, "part {lost} was not missed");
        assert_eq!(
            outcome.problems,
            [format!("parts of roman that are missing: {lost} of 3")]
        );
    }
}

#[test]
fn a_doubled_part_does_not_read_as_green() {
    let outcome = merged(&[log(part(1)), log(part(2)), log(part(3)), log(part(2))]);
    assert!(!outcome.passed);
    assert_eq!(
        outcome.problems,
        ["parts of roman that are there more than once: 2 of 3"]
    );
}

#[test]
fn a_part_that_did_not_end_does_not_read_as_green() {
    let mut cut = log(part(2));
    cut.pop();
    let outcome = merged(&[log(part(1)), cut, log(part(3))]);
    assert!(!outcome.passed);
    assert_eq!(outcome.problems, ["the run did not end: its log stops early"]);
}

#[test]
fn a_log_that_stops_early_before_the_end_of_another_does_not_read_as_green() {
    let mut logs = written(false);
    let mut end = logs[0].clone();
    end.remove(0);
    logs[2].truncate(1);
    logs.push(end);
    let outcome = whole(&logs);
    assert!(!outcome.passed);
    let first = "the log of r3 has a record of another log after record 1";
    assert_eq!(outcome.problems[0], first);
    // Records of an earlier floe do not say of which log they are.
    for record in logs.iter_mut().flatten() {
        record.log = 0;
    }
    let outcome = whole(&logs);
    assert!(!outcome.passed);
    assert_eq!(
        outcome.problems,
        ["the log of r3 has a result of another log: roman::imports::a"]
    );
}

#[test]
fn parts_that_do_not_belong_together_do_not_read_as_green() {
    for how in [
        "tested different images",
        "had different test definitions",
        "were asked for different tests",
        "have different numbers of parts",
        "that are no parts of one run",
    ] {
        let mut other = part(2);
        match how {
            "tested different images" => other.image = Digest::of(b"other"),
            "had different test definitions" => other.definitions = None,
            "were asked for different tests" => other.selected = None,
            "have different numbers of parts" => other.part = Some(Part { index: 2, of: 4 }),
            _ => other.part = None,
        }
        let outcome = merged(&[log(part(1)), log(other), log(part(3))]);
        assert!(!outcome.passed, "{how}");
        assert!(outcome.problems[0].contains(how), "{:?}", outcome.problems);
        let all = ["that are no parts of one run", "r1, r2, r3"];
        let named = if how == all[0] { all[1] } else { "r1, r3 against r2" };
        assert!(outcome.problems[0].ends_with(named), "{:?}", outcome.problems);
    }
}

#[test]
fn parts_whose_tests_are_not_those_that_were_asked_for_do_not_read_as_green() {
    let mut fewer = part(1);
    fewer.expected.pop();
    let outcome = merged(&[log(fewer), log(part(2)), log(part(3))]);
    assert_eq!(
        outcome.problems,
        ["the parts of roman together are not the tests that were asked for"]
    );
}

#[test]
fn two_whole_runs_of_a_mission_are_not_one_and_of_two_missions_each_counts() {
    let whole = |run: &str, mission: &str| {
        let expected = vec![id(mission)];
        log(RunStarted::new(run, mission, Digest::of(b"image"), expected))
    };
    let outcome = merged(&[whole("r1", "roman"), whole("r2", "roman")]);
    assert_eq!(outcome.problems, ["runs of roman that are no parts of one run: r1, r2"]);
    assert!(merged(&[whole("r1", "roman"), whole("r2", "tess")]).passed);
}

#[test]
fn nothing_but_empty_parts_is_not_green() {
    let empty = |index| RunStarted {
        expected: Vec::new(),
        selected: Some(TestId::digest([])),
        ..part(index)
    };
    let outcome = merged(&[log(empty(1)), log(empty(2)), log(empty(3))]);
    assert_eq!(outcome.problems, ["no test ran"]);
}

/// The logs of all parts, as they are written: in each record its number and that of its log. In `broken`, one test fails.
fn written(broken: bool) -> Vec<Vec<Record>> {
    let numbered = |log: u64, mut events: Vec<Event>| {
        if broken && let Some(place) = events.iter().position(|event| *event == passed("c")) {
            events[place] = failed("c");
            events[place + 1] = suite_ended(0, 1, 0);
            events.pop();
            events.push(tally(&events).finish(None, 1.0));
        }
        let records = (1..).zip(events).map(|(number, event)| Record {
            at: jiff::Timestamp::UNIX_EPOCH,
            number,
            log,
            event,
        });
        records.collect::<Vec<_>>()
    };
    (1..=3).map(|index| numbered(index.into(), log(part(index)))).collect()
}

/// What can become of logs between a job that writes them and the one that reads them.
#[derive(Debug, Clone)]
enum Mishap {
    LoseRecord(usize),
    DoubleRecord(usize),
    /// A record goes to another place, of the same log or another.
    MoveRecord(usize, usize),
    CutLog(usize, usize),
    LoseLog(usize),
    DoubleLog(usize),
}

fn befalls(logs: &mut Vec<Vec<Record>>, mishap: &Mishap) {
    let at = |logs: &[Vec<Record>], place: usize| {
        let places = logs.iter().enumerate();
        let places = places.flat_map(|(log, records)| (0..records.len()).map(move |record| (log, record)));
        let places = places.collect::<Vec<_>>();
        (!places.is_empty()).then(|| places[place % places.len()])
    };
    match *mishap {
        Mishap::LoseRecord(place) | Mishap::DoubleRecord(place) | Mishap::MoveRecord(place, _) => {
            let Some((log, record)) = at(logs, place) else { return };
            let taken = logs[log][record].clone();
            match *mishap {
                Mishap::DoubleRecord(_) => logs[log].insert(record, taken),
                Mishap::MoveRecord(_, to) => {
                    logs[log].remove(record);
                    let (log, record) = at(logs, to).unwrap_or((log, 0));
                    logs[log].insert(record, taken);
                }
                _ => drop(logs[log].remove(record)),
            }
        }
        Mishap::CutLog(log, length) if !logs.is_empty() => {
            let log = log % logs.len();
            let length = length % (logs[log].len() + 1);
            logs[log].truncate(length);
        }
        Mishap::LoseLog(log) if !logs.is_empty() => drop(logs.remove(log % logs.len())),
        Mishap::DoubleLog(log) if !logs.is_empty() => logs.push(logs[log % logs.len()].clone()),
        _ => {}
    }
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        any::<usize>().prop_map(Mishap::LoseRecord),
        any::<usize>().prop_map(Mishap::DoubleRecord),
        any::<(usize, usize)>().prop_map(|(from, to)| Mishap::MoveRecord(from, to)),
        any::<(usize, usize)>().prop_map(|(log, length)| Mishap::CutLog(log, length)),
        any::<usize>().prop_map(Mishap::LoseLog),
        any::<usize>().prop_map(Mishap::DoubleLog),
    ]
}

fn whole(logs: &[Vec<Record>]) -> Outcome {
    Outcome::merged(&logs.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn one_record_or_log_that_is_lost_doubled_or_moved_is_never_green(mishap in mishap(), turn in 0..3_usize) {
        let mut logs = written(false);
        logs.rotate_left(turn);
        prop_assert!(whole(&logs).passed, "the order of parts means nothing");
        let before = logs.concat();
        befalls(&mut logs, &mishap);
        prop_assume!(logs.concat() != before);
        let outcome = whole(&logs);
        prop_assert!(!outcome.passed && !outcome.problems.is_empty(), "{:?}", outcome);
    }

    #[test]
    fn whatever_is_lost_doubled_or_moved_a_failure_is_never_green(mishaps in vec(mishap(), 0..6)) {
        let mut logs = written(true);
        for mishap in &mishaps {
            befalls(&mut logs, mishap);
        }
        prop_assert!(!whole(&logs).passed);
    }

    #[test]
    fn what_is_green_after_mishaps_lacks_nothing(mishaps in vec(mishap(), 1..6)) {
        let mut logs = written(false);
        for mishap in &mishaps {
            befalls(&mut logs, mishap);
        }
        let key = |record: &Record| format!("{record:?}");
        let sorted = |logs: &[Vec<Record>]| {
            let mut records = logs.concat().iter().map(key).collect::<Vec<_>>();
            records.sort();
            records
        };
        prop_assert!(!whole(&logs).passed || sorted(&logs) == sorted(&written(false)));
    }
}
