//! Earlier runs: the directories that hold their logs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::account::Account;
use super::log::{self, LogError};
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
    let failed = FileError::of(directory);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(&failed)?.path();
        if path.join(LOG).is_file() {
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
        match read(directory) {
            Ok(records) => Self::told(directory, &records),
            Err(error) => Self {
                standing: Standing::Unreadable,
                error: Some(error.to_string()),
                ..Self::told(directory, &[])
            },
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
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            id: run.map_or(name, |run| run.run.clone()),
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
}
