//! Events as JSON: the log of a run, one record a line, and the agent's frames on a pipe.
//!
//! A log is only ever added to, and each record is on its way to the disk before the next event happens, so a run that
//! was killed leaves everything up to its last moment.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::event::{Event, FORMAT, Record, Sink};
use crate::fault::{Explained, Kind};

/// A log that cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be created, opened or read.
    #[error("{path}: {source}")]
    Io {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The log was written by a floe of another event format.
    #[error("{path}, line {line}: the log has event format {found}, but this floe reads format {FORMAT}")]
    Format {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The format that it names.
        found: u32,
    },
    /// A line other than the last is no record.
    #[error("{path}, line {line}: {source}")]
    Line {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

impl Explained for LogError {
    fn kind(&self) -> Kind {
        Kind::Internal
    }

    fn hint(&self) -> Option<String> {
        Some("the run's results are not complete; is the disk full?".to_owned())
    }
}

/// Writes each event as a line of a file, with the time at which it was emitted, its number and that of the log, so that a line
/// that is lost later is missed, and one of another log is not taken for it.
///
/// A failing write (a full disk) stops the log, not the work: what is written stays whole lines, and since the end is
/// missing, nobody takes the run for one that passed. [`Log::failed`] tells of it.
#[derive(Debug)]
pub struct Log {
    file: Mutex<Written>,
    failed: OnceLock<io::Error>,
}

/// The file, and what stands at its end.
#[derive(Debug)]
struct Written {
    file: File,
    /// What tells its records from those of other logs.
    log: u64,
    records: u64,
    last: Timestamp,
}

impl Written {
    fn new(file: File) -> Self {
        Self {
            file,
            // JSON's numbers are exact up to 53 bits.
            log: u64::from(Uuid::new_v4().as_fields().0) + 1,
            records: 0,
            last: Timestamp::MIN,
        }
    }
}

impl Log {
    /// Begins a log at `path`, which must not exist yet.
    pub fn create(path: &Path) -> Result<Self, LogError> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)
            .map_err(|source| LogError::Io {
                path: path.to_owned(),
                source,
            })?;
        // Where a file system knows no locks, nobody can tell a run that goes on from one that was killed.
        let _ = file.try_lock();
        Ok(Self {
            file: Mutex::new(Written::new(file)),
            failed: OnceLock::new(),
        })
    }

    /// Why the log is not complete, if it is not.
    #[must_use]
    pub fn failed(&self) -> Option<&io::Error> {
        self.failed.get()
    }

    /// Writes a line, with the time that follows from that of the line before.
    fn write(&self, at: impl FnOnce(Timestamp) -> Timestamp, event: Event) {
        let mut written = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if self.failed.get().is_some() {
            return;
        }
        let record = Record {
            at: at(written.last),
            number: written.records + 1,
            log: written.log,
            event,
        };
        match append(&mut written.file, &record) {
            Ok(()) => (written.records, written.last) = (record.number, record.at.max(written.last)),
            Err(error) => {
                let _ = self.failed.set(error);
            }
        }
    }
}

impl Sink for Log {
    fn emit(&self, event: Event) {
        // The time is taken under the lock, and a clock that is set back is not followed, so that times never decrease from
        // line to line.
        self.write(|last| Timestamp::now().max(last), event);
    }

    /// What is read of afterwards stands in the order in which it is read, each with the time at which it happened.
    fn emit_at(&self, at: Timestamp, event: Event) {
        self.write(|_| at, event);
    }
}

/// Writes one line in one call; if only part of it could be written, takes that part back.
fn append(file: &mut File, record: &Record) -> io::Result<()> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    let before = file.metadata()?.len();
    file.write_all(&line).inspect_err(|_| {
        let _ = file.set_len(before);
    })
}

/// Whether a floe that still runs writes the log at `path`: it holds a lock as long as it lives.
#[must_use]
pub fn is_written(path: &Path) -> bool {
    let locked = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    File::open(path).is_ok_and(locked)
}

/// Reads the log at `path`.
///
/// A last line that was cut short, as by a killed host, is left out: it is the outcome's duty to miss what it said.
pub fn read(path: &Path) -> Result<Vec<Record>, LogError> {
    let failed = |source| LogError::Io {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut records = Vec::new();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            break;
        }
        match serde_json::from_slice::<Line>(&bytes) {
            Ok(Line {
                event: Some(event),
                format: Some(found),
            }) if event == "run-started" && found != FORMAT => {
                return Err(LogError::Format {
                    path: path.to_owned(),
                    line,
                    found,
                });
            }
            _ => {}
        }
        match serde_json::from_slice(&bytes) {
            Ok(record) => records.push(record),
            Err(_) if !bytes.ends_with(b"\n") => break,
            Err(source) => {
                return Err(LogError::Line {
                    path: path.to_owned(),
                    line,
                    source,
                });
            }
        }
    }
    Ok(records)
}

/// What every format of a log has in common, for reading which format it is.
#[derive(Deserialize)]
struct Line {
    event: Option<String>,
    format: Option<u32>,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn warning(text: &str) -> Event {
        Event::Warning { text: text.to_owned() }
    }

    fn logged(events: &[Event]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let log = Log::create(&path).unwrap();
        for event in events {
            log.emit(event.clone());
        }
        assert!(log.failed().is_none());
        (directory, path)
    }

    #[test]
    fn a_log_reads_back_as_it_was_emitted() {
        let events = [warning("one\ntwo\u{1b}[31m\0"), warning("é\u{202e}")];
        let (_directory, path) = logged(&events);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        let records = read(&path).unwrap();
        assert_eq!(records.iter().map(|r| r.event.clone()).collect::<Vec<_>>(), events);
        assert!(records[0].at <= records[1].at);
        assert_eq!(records.iter().map(|r| r.number).collect::<Vec<_>>(), [1, 2]);
        assert!(records[0].log > 0 && records[0].log == records[1].log);
    }

    #[test]
    fn a_log_cut_anywhere_gives_its_whole_lines() {
        let (_directory, path) = logged(&[warning("one"), warning("two")]);
        let whole = fs::read(&path).unwrap();
        let first = whole.iter().position(|&b| b == b'\n').unwrap() + 1;
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            // A line that lacks nothing but its line feed is whole.
            let expected = usize::from(length + 1 >= first) + usize::from(length + 1 >= whole.len());
            assert_eq!(read(&path).unwrap().len(), expected, "cut after {length} bytes");
        }
    }

    #[test]
    fn a_broken_line_before_the_last_is_an_error_that_names_it() {
        let (_directory, path) = logged(&[warning("one"), warning("two")]);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{}\n{{\"event\":\n{text}", text.lines().next().unwrap())).unwrap();
        assert!(matches!(read(&path), Err(LogError::Line { line: 2, .. })));
    }

    #[test]
    fn a_log_of_another_format_is_refused_by_its_number() {
        let (_directory, path) = logged(&[]);
        let line = r#"{"at":"2030-01-01T00:00:00Z","event":"run-started","format":99,"surprise":true}"#;
        fs::write(&path, format!("{line}\n")).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, LogError::Format { line: 1, found: 99, .. }), "{error}");
        assert!(error.to_string().contains("event format 99"), "{error}");
    }

    #[test]
    fn a_log_never_overwrites_another() {
        let (_directory, path) = logged(&[warning("one")]);
        assert!(Log::create(&path).is_err());
        assert_eq!(read(&path).unwrap().len(), 1);
    }

    #[test]
    fn a_full_disk_is_remembered_and_stops_nothing() {
        let log = Log {
            file: Mutex::new(Written::new(OpenOptions::new().append(true).open("/dev/full").unwrap())),
            failed: OnceLock::new(),
        };
        log.emit(warning("one"));
        log.emit(warning("two"));
        assert_eq!(log.failed().unwrap().kind(), io::ErrorKind::StorageFull);
    }
}
