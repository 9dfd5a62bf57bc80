//! One run as a person sees it: its directory and log, the display, the reports at its end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

use super::{Interrupt, Interrupts, WorkflowError, Workplace};
use crate::engine::{Containers, EngineError};
use crate::event::{Event, Fanout, Sink};
use crate::process::Owner;
use crate::report::files;
use crate::report::location::Locations;
use crate::run::account::Account;
use crate::run::log::{self, Log};
use crate::run::outcome::{Outcome, Tally};
use crate::run::store::LOG;
use crate::state::FileError;
use crate::trial::{self, Ended, Trial};

/// A run that ended.
#[derive(Debug)]
pub struct Observed {
    /// What it amounts to.
    pub outcome: Outcome,
    /// Whether any test ran, to its end or not.
    pub ran: bool,
    /// Its directory, with the log and the reports.
    pub directory: PathBuf,
    /// How it came to its end.
    pub end: End,
    /// What its reports are made from; an error where its log is not whole or a report could not be written.
    pub account: Result<Account, WorkflowError>,
}

impl Observed {
    /// Whether the run came to its end, passed, and can be shown.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.outcome.passed && matches!(self.end, End::Complete) && self.account.is_ok()
    }

    /// Whether other missions are tested after it: it came to its end, and tests ran.
    pub(super) fn lets_others_go_on(&self) -> bool {
        matches!(self.end, End::Complete) && (self.outcome.passed || self.ran)
    }
}

/// How a run came to its end.
#[derive(Debug)]
pub enum End {
    /// By itself.
    Complete,
    /// By an interrupt.
    Interrupted(Interrupt),
    /// By a fault of the engine.
    Broken(EngineError),
}

/// Runs a trial and writes everything that is known of it into its directory.
///
/// Whatever happens to the run, the log gets its last line and the reports are made from it.
pub(super) async fn observe(
    workplace: &Workplace,
    trial: &Trial,
    containers: &dyn Containers,
    interrupts: &Interrupts,
) -> Result<Observed, WorkflowError> {
    observe_on(workplace, trial, &[containers], interrupts).await
}

/// The same on the machines that the trial is spread over.
pub(super) async fn observe_on(
    workplace: &Workplace,
    trial: &Trial,
    machines: &[&dyn Containers],
    interrupts: &Interrupts,
) -> Result<Observed, WorkflowError> {
    let owner = Owner::current();
    for containers in machines {
        match sweep(workplace, *containers, &owner).await {
            // Whether it is there is for the run to see.
            Err(WorkflowError::Engine(EngineError::Away { .. })) => {}
            swept => swept?,
        }
    }
    let recording = Recording::begin(workplace, &trial.directory)?;
    let watched = &recording.watched;
    let ended = if trial.expected.is_empty() {
        Ok(trial::run_nothing(trial, watched))
    } else {
        let stop = async {
            interrupts.first().await;
            say(
                watched,
                "interrupted: running tests are ended; a second interrupt kills the container",
            );
        };
        let ended = trial::run(trial, machines, &owner, watched, (stop, interrupts.second())).await;
        interrupts.second_ends();
        ended
    };
    Ok(recording.end(ended, interrupts))
}

/// What is written and shown of a run while it goes on.
pub(super) struct Recording<'a> {
    workplace: &'a Workplace,
    directory: PathBuf,
    log: Arc<Log>,
    /// What takes the run's events.
    pub(super) watched: Watched,
    started: Instant,
}

impl<'a> Recording<'a> {
    /// Begins the log of a run in its directory.
    pub(super) fn begin(workplace: &'a Workplace, directory: &Path) -> Result<Self, WorkflowError> {
        std::fs::create_dir_all(directory).map_err(FileError::of(directory))?;
        let log = Arc::new(Log::create(&directory.join(LOG))?);
        Ok(Self {
            workplace,
            directory: directory.to_owned(),
            watched: Watched {
                sinks: Fanout(vec![workplace.guarded(log.clone()), workplace.display()]),
                tally: Mutex::default(),
                times: Mutex::default(),
            },
            log,
            started: Instant::now(),
        })
    }

    /// Writes the last line of the log, and the reports.
    pub(super) fn end(self, ended: Result<Ended, EngineError>, interrupts: &Interrupts) -> Observed {
        let problem = match &ended {
            Ok(ended) => ended.problem.clone(),
            Err(error) => Some(error.to_string()),
        };
        let outcome = self.watched.finish(problem, self.started);
        let ran = self.watched.tally().any_ran();
        Observed {
            ran,
            outcome,
            end: match ended {
                Err(error) => End::Broken(error),
                Ok(ended) if ended.stopped => End::Interrupted(interrupts.so_far().unwrap_or(Interrupt::Interrupted)),
                Ok(_) => End::Complete,
            },
            account: report(self.workplace, &self.directory, &self.log),
            directory: self.directory,
        }
    }
}

/// Removes what calls that were killed have left behind.
pub(super) async fn sweep(
    workplace: &Workplace,
    containers: &dyn Containers,
    owner: &Owner,
) -> Result<(), WorkflowError> {
    let swept = trial::sweep(containers, owner).await?;
    let display = workplace.display();
    match swept {
        0 => {}
        1 => say(display.as_ref(), "removed 1 container of a run that was killed"),
        swept => say(
            display.as_ref(),
            &format!("removed {swept} containers of runs that were killed"),
        ),
    }
    Ok(())
}

/// Derives the reports from the log.
fn report(workplace: &Workplace, directory: &Path, log: &Log) -> Result<Account, WorkflowError> {
    let path = directory.join(LOG);
    if let Some(error) = log.failed() {
        let reason = error.to_string();
        return Err(WorkflowError::LogIncomplete { path, reason });
    }
    let account = Account::of(&log::read(&path)?);
    files::write(&account, directory, &Locations::of(workplace.repository.root()))?;
    Ok(account)
}

fn say(sink: &dyn Sink, text: &str) {
    sink.emit(Event::Warning { text: text.to_owned() });
}

/// Passes events on and keeps count.
pub(super) struct Watched {
    sinks: Fanout,
    tally: Mutex<Tally>,
    /// When the first and the last of the events happened that were read of afterwards.
    times: Mutex<Option<(Timestamp, Timestamp)>>,
}

impl Sink for Watched {
    fn emit(&self, event: Event) {
        self.tally().take(&event);
        self.sinks.emit(event);
    }

    fn emit_at(&self, at: Timestamp, event: Event) {
        self.tally().take(&event);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = times.unwrap_or((at, at));
        *times = Some((first.min(at), last.max(at)));
        drop(times);
        self.sinks.emit_at(at, event);
    }
}

impl Watched {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, problem: Option<String>, started: Instant) -> Outcome {
        let times = *self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = match times {
            Some((first, last)) => last.duration_since(first).as_secs_f64(),
            None => started.elapsed().as_secs_f64(),
        };
        let finished = self.tally().finish(problem, seconds);
        self.emit(finished);
        self.tally().outcome()
    }
}
