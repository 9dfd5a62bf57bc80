//! What the earlier runs of a mission tell: how long its tests take and how much memory, and which failed last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use jiff::Timestamp;
use memchr::memmem;

use crate::event::{Carried, CauseKind, Event, Record, TestFinished, Verdict};
use crate::reference::{Digest, MissionName, TestId};
use crate::run::log;
use crate::run::outcome::{Outcome, Tally};
use crate::run::store::{self, LOG};
use crate::run::whereabouts;
use crate::state::{FileError, State};
use crate::suite::request::Expected;

/// How many earlier runs are asked; the parts of a divided one count as one. A test that none of them ran is as good as a
/// new one.
const ASKED: f64 = 5.0;

/// The ID of a run that begins now: when, for whom, and what sets the runs of a mission in one second apart, in their order:
/// the millisecond and something random.
#[must_use]
pub fn new_run(mission: &MissionName) -> String {
    let now = Timestamp::now();
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let (second, millisecond) = (now.strftime("%Y%m%dT%H%M%SZ"), now.subsec_millisecond());
    format!("{second}-{mission}-{millisecond:03x}{}", &unique[..3])
}

/// Whether this is a run's ID, as [`new_run`] makes them, and with it one name in a directory.
#[must_use]
pub fn is_run(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let mission = mission_of(id).is_some_and(|mission| mission.parse::<MissionName>().is_ok());
    mission && id.starts_with(|c: char| c.is_ascii_digit()) && id.bytes().all(plain)
}

/// The mission that a run's ID names.
fn mission_of(run: &str) -> Option<&str> {
    let (_, rest) = run.split_once('-')?;
    rest.rsplit_once('-').map(|(mission, _)| mission)
}

/// The IDs of the runs of a mission that have a log and are not going on, the newest first.
fn ended(state: &State, mission: &MissionName) -> Result<Vec<String>, FileError> {
    let directories = store::directories(&state.runs_directory())?.into_iter();
    let own = directories.filter_map(|directory| {
        let run = directory.file_name()?.to_str()?.to_owned();
        let goes_on = log::is_written(&directory.join(LOG)) || whereabouts::is_away(&directory);
        let ended = mission_of(&run) == Some(mission.as_str()) && !goes_on;
        ended.then_some(run)
    });
    Ok(own.collect())
}

/// What the tests of a mission are expected to take, by the latest runs in which they ran.
///
/// It only serves to order tests: a log that cannot be read tells nothing.
#[must_use]
pub fn known(state: &State, mission: &MissionName) -> BTreeMap<TestId, Expected> {
    let mut known = BTreeMap::new();
    let mut asked = 0.0;
    for run in ended(state, mission).unwrap_or_default() {
        // Parts do not add up to a whole number exactly.
        if asked > ASKED - 0.001 {
            break;
        }
        let mut share = 1.0;
        let _ = each(&state.run(&run).join(LOG), |_, event| match event {
            Event::RunStarted(begun) => share = begun.part.map_or(1.0, |part| f64::from(part.of.max(1)).recip()),
            Event::TestFinished(test) if ran(&test) => {
                known.entry(test.id).or_insert(Expected {
                    seconds: (test.seconds * 1000.0).round() / 1000.0,
                    memory: test.peak_memory,
                });
            }
            _ => {}
        });
        asked += share;
    }
    known
}

/// How many earlier runs are asked for the last result of each test.
const REMEMBERED: usize = 50;

/// The tests of a mission whose last result is a failure, with the last run that is not still going on, by its ID. A run of
/// some tests says nothing of the others, whose earlier failures stay.
pub fn failed(state: &State, mission: &MissionName) -> Result<Option<(String, Vec<TestId>)>, FileError> {
    let mut known = BTreeMap::<TestId, bool>::new();
    let mut last = None;
    for run in ended(state, mission)?.into_iter().take(REMEMBERED) {
        let mut tally = Tally::default();
        let log = state.run(&run).join(LOG);
        each(&log, |_, event| tally.take(&event)).map_err(FileError::of(&log))?;
        let outcome: Outcome = tally.outcome();
        for test in outcome.tests {
            let failed = matches!(test.verdict, Verdict::Failed(_));
            known.entry(test.id).or_insert(failed);
        }
        last = last.or(Some(run));
    }
    let failed = known.into_iter().filter(|(_, failed)| *failed).map(|(id, _)| id);
    Ok(last.map(|run| (run, failed.collect())))
}

/// The latest runs in which the tests of environments passed on these `grounds`, of those that began after `since`: by it they
/// need not run again. `tests` are all of each environment.
///
/// The last run of any of an environment's tests decides: where one failed, was flaky, or something was wrong with the run, no
/// earlier one counts.
pub fn passed(
    state: &State,
    mission: &MissionName,
    grounds: &BTreeMap<String, Digest>,
    tests: &BTreeMap<String, BTreeSet<TestId>>,
    since: Timestamp,
) -> Result<BTreeMap<String, Carried>, FileError> {
    let mut decided = BTreeMap::<String, Option<Carried>>::new();
    for run in ended(state, mission)?.into_iter().take(REMEMBERED) {
        if decided.len() == grounds.len() {
            break;
        }
        let (mut tally, mut begun) = (Tally::default(), None);
        let log = state.run(&run).join(LOG);
        let read = each(&log, |at, event| {
            tally.take(&event);
            if let Event::RunStarted(started) = event {
                begun = Some((at, started.grounds));
            }
        });
        read.map_err(FileError::of(&log))?;
        let Some((at, known)) = begun else { continue };
        if at < since {
            break;
        }
        let outcome: Outcome = tally.outcome();
        let same = |(owner, ground): &(&String, &Digest)| known.get(*owner) == Some(*ground);
        for (owner, _) in grounds.iter().filter(same) {
            let own = outcome
                .tests
                .iter()
                .filter(|test| test.id.is_of(owner) && test.carried.is_none());
            let own = own.collect::<Vec<_>>();
            let ids = own.iter().map(|test| test.id.clone()).collect::<BTreeSet<_>>();
            let all = tests.get(owner).is_some_and(|tests| *tests == ids);
            let well = outcome.problems.is_empty()
                && own.iter().all(|test| match test.verdict {
                    Verdict::Passed => !test.is_flaky(),
                    Verdict::Skipped { .. } => true,
                    Verdict::Failed(_) => false,
                });
            if own.is_empty() || (well && !all) {
                continue;
            }
            let carried = well.then(|| Carried { run: run.clone(), at });
            decided.entry(owner.clone()).or_insert(carried);
        }
    }
    let passed = decided
        .into_iter()
        .filter_map(|(owner, carried)| Some((owner, carried?)));
    Ok(passed.collect())
}

fn ran(test: &TestFinished) -> bool {
    if test.carried.is_some() {
        return false;
    }
    match &test.verdict {
        Verdict::Passed => true,
        Verdict::Failed(cause) => cause.kind != CauseKind::NotRun,
        Verdict::Skipped { .. } => false,
    }
}

/// Takes each event of a log in turn, with its time, without what was printed outside of tests, which may be long. Lines that
/// are no events are left out: a log may end in the middle of one.
fn each(log: &Path, mut take: impl FnMut(Timestamp, Event)) -> io::Result<()> {
    let printed = memmem::Finder::new(br#""event":"output""#);
    let mut reader = BufReader::new(File::open(log)?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        // The kind of an event stands at its line's beginning, behind the time.
        let beginning = &line[..line.len().min(100)];
        if printed.find(beginning).is_none()
            && let Ok(record) = serde_json::from_slice::<Record>(&line)
        {
            take(record.at, record.event);
        }
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::event::{Cause, RunStarted, Sink as _};
    use crate::reference::Digest;
    use crate::run::log::Log;

    fn mission() -> MissionName {
        "my-mission".parse().unwrap()
    }

    /// Writes the log of a run with this ID.
    fn run(state: &State, id: &str, events: Vec<Event>) {
        let directory = state.run(id);
        fs::create_dir_all(&directory).unwrap();
        let log = Log::create(&directory.join(LOG)).unwrap();
        for event in events {
            log.emit(event);
        }
    }

    fn begun(names: &[&str]) -> Event {
        let expected = names.iter().map(|name| TestId::import("a", name)).collect();
        Event::RunStarted(RunStarted::new("r", "my-mission", Digest::of(b"x"), expected))
    }

    fn finished(name: &str, seconds: f64, verdict: Verdict) -> Event {
        Event::TestFinished(TestFinished {
            seconds,
            peak_memory: Some(1000),
            ..TestFinished::new(TestId::import("a", name), verdict)
        })
    }

    fn failed(kind: CauseKind) -> Verdict {
        Verdict::Failed(Cause::new(kind, "no"))
    }

    #[test]
    fn the_newest_run_in_which_a_test_ran_tells_what_it_takes() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::of(directory.path());
        let old = vec![finished("x", 1.0, Verdict::Passed), finished("y", 2.0, Verdict::Passed)];
        run(&state, "20260101T000000Z-my-mission-000000", old);
        let new = vec![
            Event::Output {
                text: "\"event\":\"test-finished\"".to_owned(),
            },
            finished("x", 3.0, Verdict::Passed),
            finished("y", 0.0, failed(CauseKind::NotRun)),
        ];
        run(&state, "20260102T000000Z-my-mission-000000", new);
        let other = vec![finished("x", 9.0, Verdict::Passed)];
        run(&state, "20260103T000000Z-mission-000000", other);
        let known = known(&state, &mission());
        let shown = known
            .iter()
            .map(|(id, known)| (id.name.as_str(), known.seconds, known.memory));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [("x", 3.0, Some(1000)), ("y", 2.0, Some(1000))]
        );
    }

    #[test]
    fn the_last_run_tells_what_failed_and_what_did_not_run_even_if_it_was_killed() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::of(directory.path());
        assert!(super::failed(&state, &mission()).unwrap().is_none());
        let id = "20260101T000000Z-my-mission-000000";
        let events = vec![
            begun(&["x", "y", "z"]),
            finished("x", 1.0, failed(CauseKind::Error)),
            finished("y", 1.0, Verdict::Passed),
        ];
        run(&state, id, events);
        let path = state.run(id).join(LOG);
        let cut = fs::read_to_string(&path).unwrap() + "{\"at\":\"2026";
        fs::write(&path, cut).unwrap();
        let (run, failed) = super::failed(&state, &mission()).unwrap().unwrap();
        assert_eq!(run, id);
        let names = failed.iter().map(|id| id.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["x", "z"]);
    }

    #[test]
    fn a_failure_is_remembered_until_that_test_has_run_again() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::of(directory.path());
        let runs = [
            ("20260101", vec![("x", false), ("y", false), ("z", true)]),
            ("20260102", vec![("z", false)]),
            ("20260103", vec![("x", true)]),
        ];
        for (day, tests) in runs {
            let names = tests.iter().map(|(name, _)| *name).collect::<Vec<_>>();
            let mut events = vec![begun(&names)];
            events.extend(tests.iter().map(|(name, passed)| {
                let verdict = if *passed {
                    Verdict::Passed
                } else {
                    failed(CauseKind::Error)
                };
                finished(name, 1.0, verdict)
            }));
            run(&state, &format!("{day}T000000Z-my-mission-000000"), events);
        }
        let (_, failed) = super::failed(&state, &mission()).unwrap().unwrap();
        let names = failed.iter().map(|id| id.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["y", "z"]);
    }

    #[test]
    fn the_mission_of_a_run_is_read_from_its_id() {
        assert_eq!(mission_of(&new_run(&mission())), Some("my-mission"));
        assert_eq!(mission_of("x"), None);
    }

    #[test]
    fn runs_of_one_second_sort_in_their_order() {
        let runs = (0..20).map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(2));
            new_run(&mission())
        });
        let runs = runs.collect::<Vec<_>>();
        assert!(runs.is_sorted(), "{runs:?}");
    }
}
