//! One run as a person sees it: its directory and log, the display, the reports at its end.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::cli::failure::{ExitCode, Failure};
use crate::cli::session::Session;
use crate::cli::signals::Signals;
use crate::cli::{delivery, output};
use crate::engine::Engine;
use crate::event::{Event, Fanout, Sink};
use crate::host::Owner;
use crate::report::account::Account;
use crate::report::json::{self, Log};
use crate::report::outcome::{Outcome, Tally};
use crate::report::place::Places;
use crate::report::runs::LOG;
use crate::repository::Repository;
use crate::trial::{self, Trial};

/// A run that ended.
pub struct Observed {
    /// What it amounts to.
    pub outcome: Outcome,
    /// Whether any test ran, to its end or not.
    ran: bool,
}

/// Runs a trial and writes everything that is known of it into its directory. That tests failed is an outcome; an
/// interrupt is an error.
pub async fn run(
    session: &Session,
    trial: &Trial,
    engine: &dyn Engine,
    signals: &Signals,
) -> Result<Observed, Failure> {
    let swept = trial::sweep(engine).await?;
    if swept > 0 {
        output::say(&format!("removed {swept} containers of runs that were killed"));
    }
    let directory = &trial.directory;
    std::fs::create_dir_all(directory).map_err(|error| (directory.clone(), error))?;
    let log = Arc::new(Log::create(&directory.join(LOG))?);
    let watched = Watched {
        sinks: Fanout(vec![session.guarded(log.clone()), session.display()]),
        tally: Mutex::default(),
    };
    let started = Instant::now();
    let ended = if trial.expected.is_empty() {
        Ok(trial::run_nothing(trial, &watched))
    } else {
        let stop = async {
            signals.heard().await;
            watched.emit(Event::Warning {
                text: "interrupted: running tests are ended; a second interrupt kills the container".to_owned(),
            });
        };
        let ended = trial::run(trial, engine, &Owner::current(), &watched, stop, signals.heard_twice()).await;
        signals.second_ends();
        ended
    };
    // Whatever happened, the log gets its last line and the reports are made from it.
    let problem = match &ended {
        Ok(ended) => ended.problem.clone(),
        Err(error) => Some(error.to_string()),
    };
    let outcome = watched.finish(problem, started);
    match report(&session.repository, directory, &log) {
        Ok(()) => {
            let shown = session.repository.relative(directory);
            output::say(&format!("Report: {}/report.html", shown.display()));
        }
        // A pass that cannot be shown is no evidence; a failure stands in any case.
        Err(failure) if outcome.passed => return Err(failure),
        Err(failure) => output::failure(&failure),
    }
    if ended?.stopped {
        let code = signals.heard().await;
        return Err(Failure::new(code, "interrupted; the container is removed"));
    }
    Ok(Observed {
        ran: watched.tally().any_ran(),
        outcome,
    })
}

impl Observed {
    /// What a call ends with after such a run.
    pub fn verdict(&self) -> Result<(), Failure> {
        if self.outcome.passed {
            Ok(())
        } else if self.ran {
            Err(Failure::shown(ExitCode::TestsFailed))
        } else {
            Err(Failure::shown(ExitCode::NothingRan))
        }
    }
}

/// Passes events on and keeps count.
struct Watched {
    sinks: Fanout,
    tally: Mutex<Tally>,
}

impl Sink for Watched {
    fn emit(&self, event: Event) {
        self.tally().take(&event);
        self.sinks.emit(event);
    }
}

impl Watched {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, problem: Option<String>, started: Instant) -> Outcome {
        let finished = self.tally().finish(problem, started.elapsed().as_secs_f64());
        self.emit(finished);
        self.tally().outcome()
    }
}

/// Derives the reports from the log, and says so if the log itself could not be written.
fn report(repository: &Repository, directory: &Path, log: &Log) -> Result<(), Failure> {
    if let Some(error) = log.failed() {
        let message = format!("{}: {error}", directory.join(LOG).display());
        return Err(
            Failure::new(ExitCode::Internal, message).hint("the run's results are not complete; is the disk full?")
        );
    }
    let records = json::read(&directory.join(LOG))?;
    delivery::deliver(&Account::of(&records), directory, &Places::of(repository.root()))
}
