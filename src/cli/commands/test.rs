//! `floe test`: the tests of an image run in a container, and the run's directory tells what happened.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

use crate::builder::{self, Built};
use crate::cli::args::{Missions, TestArgs};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::session::{Session, image_of};
use crate::cli::signals::Signals;
use crate::cli::{delivery, output};
use crate::engine::Engine;
use crate::event::{Event, Fanout, Sink, Verdict};
use crate::evidence::Statement;
use crate::host::Owner;
use crate::plan;
use crate::reference::{MissionName, TestId};
use crate::report::json::{self, Log};
use crate::report::outcome::{Outcome, Tally};
use crate::report::place::Places;
use crate::suite::discover;
use crate::trial::{self, Trial};

/// Tests the images of the missions that `args` names, as they were built.
pub async fn command(session: &Session, args: &TestArgs, signals: &Signals) -> Result<(), Failure> {
    let (missions, filters) = selection(session, args)?;
    let plan = session.plan(&missions)?;
    let engine = session.engine().await?;
    let built = builder::find(&plan, &engine, &session.state).await?;
    let mut first = None;
    for mission in &missions {
        let tested = run(session, mission, image_of(&built, mission)?, &filters, &engine, signals).await;
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

/// Runs the tests of one mission's image; all of them, unless `filters` select some.
pub async fn run(
    session: &Session,
    mission: &MissionName,
    image: &Built,
    filters: &[String],
    engine: &dyn Engine,
    signals: &Signals,
) -> Result<(), Failure> {
    let trial = prepare(session, mission, image, filters)?;
    let swept = trial::sweep(engine).await?;
    if swept > 0 {
        output::say(&format!("removed {swept} containers of runs that were killed"));
    }
    let directory = &trial.directory;
    std::fs::create_dir_all(directory).map_err(|error| (directory.clone(), error))?;
    let log = Arc::new(Log::create(&directory.join("events.jsonl"))?);
    let watched = Watched {
        sinks: Fanout(vec![session.guarded(log.clone()), session.display()]),
        tally: Mutex::default(),
    };
    let started = Instant::now();
    let heard = signals.clone();
    let stop = async {
        heard.heard().await;
    };
    let ended = trial::run(&trial, engine, &Owner::current(), &watched, stop).await;
    // Whatever happened, the log gets its last line and the reports are made from it.
    let problem = match &ended {
        Ok(ended) => ended.problem.clone(),
        Err(error) => Some(error.to_string()),
    };
    let outcome = watched.finish(problem, started);
    report(&session.root, directory, &log)?;
    let shown = directory.strip_prefix(&session.root).unwrap_or(directory);
    output::say(&format!(
        "Report: {}/report.html (beside it junit.xml, summary.md, events.jsonl, executed notebooks)",
        shown.display()
    ));
    if ended?.stopped {
        let code = signals.heard().await;
        return Err(Failure::new(code, "interrupted; the container is removed"));
    }
    if filters.is_empty() {
        testify(session, image, &trial.run, &outcome)?;
    }
    if outcome.passed {
        Ok(())
    } else if watched.tally().received().ran() == 0 {
        Err(Failure::shown(ExitCode::NothingRan))
    } else {
        Err(Failure::shown(ExitCode::TestsFailed))
    }
}

/// What to run: the tests that the mission's files define, as far as `filters` select them.
fn prepare(session: &Session, mission: &MissionName, image: &Built, filters: &[String]) -> Result<Trial, Failure> {
    let environments = session
        .root
        .join("missions")
        .join(mission.as_str())
        .join("environments");
    let defined = discover::load(&environments)?;
    let mut expected = defined.filtered(filters).ids();
    // A filter selects among the environments' tests; the mission's own script stands for all of them.
    let script = environments.join("test");
    let script = if filters.is_empty() && script.exists() {
        executable(&script)?;
        expected.push(TestId::script(mission.as_str()));
        true
    } else {
        false
    };
    if expected.is_empty() {
        return Err(nothing(mission, filters, &defined.ids()));
    }
    let run = run_id(mission);
    Ok(Trial {
        mission: mission.to_string(),
        image: image.id.clone(),
        expected,
        script,
        environment: environment(session, filters),
        directory: session.state.run(&run),
        run,
    })
}

/// Refuses a script without its run bit, which no container could start.
fn executable(script: &Path) -> Result<(), Failure> {
    let metadata = std::fs::metadata(script).map_err(|error| (script.to_owned(), error))?;
    if metadata.permissions().mode() & 0o111 != 0 {
        return Ok(());
    }
    let message = format!("{} is not executable", script.display());
    Err(Failure::new(ExitCode::Invalid, message).hint("`chmod +x` it, and commit that"))
}

fn nothing(mission: &MissionName, filters: &[String], defined: &[TestId]) -> Failure {
    if defined.is_empty() {
        let message = format!("missions/{mission}/environments defines no tests");
        Failure::new(ExitCode::NothingRan, message)
            .hint("list modules in <env>/tests/imports, put notebooks into <env>/tests, or add an executable `test`")
    } else {
        let message = format!("no test of {mission} matches {}", filters.join(", "));
        let some = defined.iter().take(3).map(ToString::to_string).collect::<Vec<_>>();
        Failure::new(ExitCode::NothingRan, message).hint(format!("tests are called {}, …", some.join(", ")))
    }
}

/// The name of a run: when it began, for whom, and something that sets two runs of one second apart.
fn run_id(mission: &MissionName) -> String {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("{now}-{mission}-{}", &unique[..6])
}

/// What the agent is told.
fn environment(session: &Session, filters: &[String]) -> BTreeMap<String, String> {
    let settings = &session.settings;
    let mut environment = BTreeMap::from([
        ("CELL_TIMEOUT".to_owned(), settings.cell_timeout.as_secs().to_string()),
        (
            "NOTEBOOK_TIMEOUT".to_owned(),
            settings.notebook_timeout.as_secs().to_string(),
        ),
    ]);
    environment.extend(
        settings
            .test_jobs
            .map(|jobs| ("TEST_JOBS".to_owned(), jobs.to_string())),
    );
    if !filters.is_empty() {
        environment.insert(trial::FILTERS.to_owned(), filters.join("\n"));
    }
    environment
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
        let message = format!("{}: {error}", directory.join("events.jsonl").display());
        return Err(
            Failure::new(ExitCode::Internal, message).hint("the run's results are not complete; is the disk full?")
        );
    }
    let records = json::read(&directory.join("events.jsonl"))?;
    delivery::deliver(&records, directory, &Places::of(root))
}

/// Writes evidence for a complete run that passed. One that failed takes earlier evidence back: what passed once and
/// fails now is not to be pushed on the strength of the earlier run.
fn testify(session: &Session, image: &Built, run: &str, outcome: &Outcome) -> Result<(), Failure> {
    if !outcome.passed {
        return Ok(session.state.withdraw_evidence(&image.id)?);
    }
    let passed = outcome.tests.iter().filter(|test| test.verdict == Verdict::Passed);
    let tests = passed.map(|test| test.id.clone()).collect();
    let statement = Statement::passed(&image.reference.repository, &image.id, run, tests);
    Ok(statement.write(&session.state.evidence(&image.id))?)
}
