//! Earlier runs: the directories that hold their logs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::account::Account;
use super::log::{self, LogError};
use super::whereabouts::{self, Whereabouts};
use crate::event::{Record, Summary};
use crate::state::FileError;

/// The name of a run's log in its directory.
pub const LOG: &str = "events.jsonl";

/// How an earlier run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It passed.
    Passed,
    /// It did not.
    Failed,
    /// It is still going on.
    Running,
    /// It was left to a cluster: what became of it is seen by whoever attaches to it.
    Detached,
    /// Its log stops before its end: floe was killed, or its disk was full.
    Interrupted,
    /// Its log cannot be read.
    Unreadable,
}

/// An earlier run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Earlier {
    /// Its ID.
    pub id: String,
    /// Its directory.
    pub directory: PathBuf,
    /// How it stands.
    pub standing: Standing,
    /// The mission that was tested.
    pub mission: String,
    /// What people call the image that was tested, or its ID's beginning.
    pub image: String,
    /// The ID of that image.
    pub image_id: Option<String>,
    /// Which part of a divided run it was, e.g. `2/4`.
    pub part: Option<String>,
    /// When it began.
    pub began: Option<Timestamp>,
    /// How long it took, or has been going on by its log, in seconds.
    pub seconds: Option<f64>,
    /// How many tests ended, by verdict; those that did not run count as failed.
    pub summary: Summary,
    /// How many tests passed only after they had failed.
    pub flaky: usize,
    /// Why its log cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The directories of the runs below `directory`, the newest first. Their names begin with the time.
pub fn directories(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    found(directory, |path| path.join(LOG).is_file())
}

/// The same, with those of runs that were left to a cluster and that nobody here has heard yet.
pub fn all(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    found(directory, |path| path.join(LOG).is_file() || whereabouts::is_away(path))
}

fn found(directory: &Path, is_one: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, FileError> {
    let failed = FileError::of(directory);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(&failed)?.path();
        if is_one(&path) {
            found.push(path);
        }
    }
    found.sort();
    found.reverse();
    Ok(found)
}

/// Reads the log of the run in `directory`.
pub fn read(directory: &Path) -> Result<Vec<Record>, LogError> {
    log::read(&directory.join(LOG))
}

impl Earlier {
    /// The run in `directory`.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        if let Some(left) = Whereabouts::of(directory).filter(|_| !log::is_written(&directory.join(LOG))) {
            return Self::left(directory, left);
        }
        match read(directory) {
            Ok(records) => Self::told(directory, &records),
            Err(error) => Self {
                standing: Standing::Unreadable,
                error: Some(error.to_string()),
                ..Self::told(directory, &[])
            },
        }
    }

    /// A run that goes on without anybody here.
    fn left(directory: &Path, left: Whereabouts) -> Self {
        Self {
            id: name(directory),
            standing: Standing::Detached,
            mission: left.mission,
            image: left.reference,
            image_id: Some(left.image.to_string()),
            began: Some(left.began),
            ..Self::told(directory, &[])
        }
    }

    fn told(directory: &Path, records: &[Record]) -> Self {
        let account = Account::of(records);
        let outcome = &account.outcome;
        let run = account.runs.first();
        let ended = outcome.seconds.is_some();
        let standing = match outcome.passed {
            true => Standing::Passed,
            false if ended => Standing::Failed,
            false if log::is_written(&directory.join(LOG)) => Standing::Running,
            false => Standing::Interrupted,
        };
        let known = records.first().zip(records.last());
        let known = known.map(|(first, last)| last.at.duration_since(first.at).as_secs_f64());
        Self {
            id: run.map_or_else(|| name(directory), |run| run.run.clone()),
            directory: directory.to_owned(),
            standing,
            mission: account.mission().to_owned(),
            image: account.image(),
            image_id: run.map(|run| run.image.to_string()),
            part: run
                .and_then(|run| run.part)
                .map(|part| format!("{}/{}", part.index, part.of)),
            began: account.begun,
            seconds: outcome.seconds.or(known),
            summary: outcome.summary,
            flaky: account.flaky().count(),
            error: None,
        }
    }
}

/// The ID of the run in `directory`, by its name.
fn name(directory: &Path) -> String {
    directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, RunStarted, Sink as _};
    use crate::reference::{Digest, TestId};
    use crate::run::log::Log;

    fn begun() -> Event {
        let expected = vec![TestId::import("e", "x")];
        Event::RunStarted(RunStarted::new("r1", "roman", Digest::of(b"i"), expected))
    }

    #[test]
    fn a_run_is_going_on_while_its_log_is_written_and_was_interrupted_when_it_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::create(&directory.path().join(LOG)).unwrap();
        log.emit(begun());
        assert_eq!(Earlier::of(directory.path()).standing, Standing::Running);
        drop(log);
        let earlier = Earlier::of(directory.path());
        assert_eq!(earlier.standing, Standing::Interrupted);
        assert_eq!((earlier.id.as_str(), earlier.mission.as_str()), ("r1", "roman"));
        assert_eq!(earlier.summary.failed, 1, "a test that did not run counts");
    }

    #[test]
    fn a_run_that_ended_stands_by_its_verdict() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::create(&directory.path().join(LOG)).unwrap();
        log.emit(begun());
        let problem = Some("the container was removed".to_owned());
        log.emit(Event::RunFinished {
            summary: Summary::default(),
            passed: false,
            problem,
            seconds: 2.5,
        });
        let earlier = Earlier::of(directory.path());
        assert_eq!(earlier.standing, Standing::Failed);
        assert_eq!(earlier.seconds, Some(2.5));
    }

    #[test]
    fn a_log_that_cannot_be_read_hides_no_other_run() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [("20300101-a", "nonsense\n\n"), ("20300102-b", ""), ("20300103-c", "")] {
            fs::create_dir(directory.path().join(name)).unwrap();
            fs::write(directory.path().join(name).join(LOG), text).unwrap();
        }
        fs::remove_file(directory.path().join("20300103-c").join(LOG)).unwrap();
        let found = directories(directory.path()).unwrap();
        let names = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), ["20300102-b", "20300101-a"]);
        let earlier = Earlier::of(&found[1]);
        assert_eq!(
            (earlier.standing, earlier.id.as_str()),
            (Standing::Unreadable, "20300101-a")
        );
        assert!(earlier.error.is_some());
        assert!(directories(&directory.path().join("nowhere")).unwrap().is_empty());
    }

    #[test]
    fn a_run_that_was_left_is_listed_before_anybody_has_heard_of_it_and_its_end_counts_afterwards() {
        let runs = tempfile::tempdir().unwrap();
        let directory = runs.path().join("20300101-a");
        let left = Whereabouts {
            context: Some("staging".to_owned()),
            settings: None,
            mission: "roman".to_owned(),
            reference: "floe/roman:1".to_owned(),
            image: Digest::of(b"i"),
            began: "2030-01-01T00:00:00Z".parse().unwrap(),
        };
        left.write(&directory).unwrap();
        assert_eq!(Whereabouts::of(&directory), Some(left));
        assert!(directories(runs.path()).unwrap().is_empty(), "no log can be read of it");
        assert_eq!(all(runs.path()).unwrap(), std::slice::from_ref(&directory));
        let earlier = Earlier::of(&directory);
        assert_eq!(
            (earlier.standing, earlier.id.as_str()),
            (Standing::Detached, "20300101-a")
        );
        let log = Log::create(&directory.join(LOG)).unwrap();
        log.emit(begun());
        assert_eq!(Earlier::of(&directory).standing, Standing::Running);
        drop(log);
        assert_eq!(
            Earlier::of(&directory).standing,
            Standing::Detached,
            "it was left again"
        );
        Whereabouts::clear(&directory).unwrap();
        assert_eq!(Earlier::of(&directory).standing, Standing::Interrupted);
    }
}
