//! `floe test`: the tests of an image run in a container, and the run's directory tells what happened.

mod chosen;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub use self::chosen::Asked;
use self::chosen::{Chosen, choose};
use crate::builder::{self, Built};
use crate::cli::args::{Missions, TestArgs};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::session::{Session, image_of};
use crate::cli::signals::Signals;
use crate::cli::{delivery, output};
use crate::engine::Engine;
use crate::event::{Event, Fanout, Sink};
use crate::evidence::Statement;
use crate::history;
use crate::host::Owner;
use crate::plan;
use crate::reference::MissionName;
use crate::report::account::Account;
use crate::report::json::{self, Log};
use crate::report::outcome::{Outcome, Tally};
use crate::report::place::Places;
use crate::report::runs::LOG;
use crate::server;
use crate::suite::request::Request;
use crate::trial::{self, Stage, Trial};

/// Tests the images of the missions that `args` names, as they were built.
pub async fn command(session: &Session, args: &TestArgs, signals: &Signals) -> Result<(), Failure> {
    let (missions, filters) = selection(session, args)?;
    let asked = Asked::of(args, filters);
    if args.list {
        return chosen::list(session, &missions, &asked, args.format);
    }
    let plan = session.plan(&missions)?;
    let engine = session.engine().await?;
    let built = builder::find(&plan, &engine, &session.state).await?;
    let mut first = None;
    for mission in &missions {
        let tested = run(session, mission, image_of(&built, mission)?, &asked, &engine, signals).await;
        match tested {
            Err(failure) if failure.code == ExitCode::TestsFailed => first = first.or(Some(failure)),
            other => other?,
        }
    }
    first.map_or(Ok(()), Err)
}

/// Splits the words of the command line: leading names of missions, then filters.
fn selection(session: &Session, args: &TestArgs) -> Result<(Vec<MissionName>, Vec<String>), Failure> {
    let known = plan::missions(&session.root);
    let named = if args.all_missions {
        0
    } else {
        args.words.iter().take_while(|word| known.contains(word)).count()
    };
    let (missions, filters) = args.words.split_at(named);
    let selection = Missions {
        missions: missions.to_vec(),
        all_missions: args.all_missions,
    };
    Ok((session.missions(&selection)?, filters.to_vec()))
}

/// Runs the tests of one mission's image that are asked for.
pub async fn run(
    session: &Session,
    mission: &MissionName,
    image: &Built,
    asked: &Asked,
    engine: &dyn Engine,
    signals: &Signals,
) -> Result<(), Failure> {
    let chosen = choose(session, mission, asked)?;
    let mut trial = prepare(session, mission, image, asked, &chosen);
    trial.stages = stages(session, image, &chosen, engine).await?;
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
        Ok(trial::run_nothing(&trial, &watched))
    } else {
        let stop = async {
            signals.heard().await;
        };
        let ended = trial::run(&trial, engine, &Owner::current(), &watched, stop, signals.heard_twice()).await;
        signals.second_ends();
        ended
    };
    // Whatever happened, the log gets its last line and the reports are made from it.
    let problem = match &ended {
        Ok(ended) => ended.problem.clone(),
        Err(error) => Some(error.to_string()),
    };
    let outcome = watched.finish(problem, started);
    match report(&session.root, directory, &log) {
        Ok(()) => {
            let shown = directory.strip_prefix(&session.root).unwrap_or(directory);
            let shown = shown.display();
            output::say(&format!(
                "Report: {shown}/report.html (beside it junit.xml, summary.md, {LOG}, executed notebooks)"
            ));
        }
        // A pass that cannot be shown is no evidence; a failure stands in any case.
        Err(failure) if outcome.passed => return Err(failure),
        Err(failure) => output::failure(&failure),
    }
    if ended?.stopped {
        let code = signals.heard().await;
        return Err(Failure::new(code, "interrupted; the container is removed"));
    }
    testify(session, image, asked, &chosen, &trial.run, &outcome)?;
    if outcome.passed {
        Ok(())
    } else if watched.tally().received().ran() == 0 {
        Err(Failure::shown(ExitCode::NothingRan))
    } else {
        Err(Failure::shown(ExitCode::TestsFailed))
    }
}

/// What to run, and how.
fn prepare(session: &Session, mission: &MissionName, image: &Built, asked: &Asked, chosen: &Chosen) -> Trial {
    let settings = &session.settings;
    // The settings hold what the flags say of them, too.
    let request = Request {
        selection: chosen.selection.clone(),
        jobs: settings.test_jobs,
        memory: settings.test_memory,
        cell_timeout: settings.cell_timeout,
        notebook_timeout: settings.notebook_timeout,
        run_timeout: settings.run_timeout,
        known: history::known(&session.state, mission),
        ..asked.request.clone()
    };
    let run = history::new_run(mission);
    Trial {
        mission: mission.to_string(),
        image: image.id.clone(),
        reference: image.reference.to_string(),
        expected: chosen.expected.clone(),
        part: chosen.selection.part,
        selected: Some(chosen.digest()),
        definitions: Some(chosen.definitions.clone()),
        limit: request.run_limit(),
        stages: Vec::new(),
        environment: request.variables(),
        directory: session.state.run(&run),
        run,
    }
}

/// The containers that the chosen tests need.
async fn stages(session: &Session, image: &Built, chosen: &Chosen, engine: &dyn Engine) -> Result<Vec<Stage>, Failure> {
    let mut stages = Vec::new();
    if chosen.expected.len() > chosen.server.len() {
        stages.push(Stage::suite(chosen.script));
    }
    if !chosen.server.is_empty() {
        let found = engine.image(image.id.as_str()).await?;
        let command = found.map(|image| image.command).unwrap_or_default();
        let limit = session.settings.server_timeout.map_or(server::START, |limit| limit.0);
        stages.push(Stage::server(&chosen.server, limit, &command));
    }
    Ok(stages)
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
fn report(root: &Path, directory: &Path, log: &Log) -> Result<(), Failure> {
    if let Some(error) = log.failed() {
        let message = format!("{}: {error}", directory.join(LOG).display());
        return Err(
            Failure::new(ExitCode::Internal, message).hint("the run's results are not complete; is the disk full?")
        );
    }
    let records = json::read(&directory.join(LOG))?;
    delivery::deliver(&Account::of(&records), directory, &Places::of(root))
}

/// Writes evidence for a complete run that passed. One that failed takes earlier evidence back, whatever it was asked
/// for: what passed once and fails now is not to be pushed on the strength of the earlier run.
fn testify(
    session: &Session,
    image: &Built,
    asked: &Asked,
    chosen: &Chosen,
    run: &str,
    outcome: &Outcome,
) -> Result<(), Failure> {
    if !outcome.passed {
        return Ok(session.state.withdraw_evidence(&image.id)?);
    }
    if !asked.is_complete() {
        return Ok(());
    }
    let repository = &image.reference.repository;
    let statement = Statement::of(repository, &image.id, run, &chosen.definitions, &outcome.tests);
    Ok(statement.write(&session.state.evidence(&image.id))?)
}
