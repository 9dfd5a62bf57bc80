//! `floe test`: the tests of an image run in a container, and the run's directory tells what happened.

mod chosen;
mod foreign;
mod observed;

pub use self::chosen::Asked;
pub use self::chosen::choose;
use self::chosen::{Chosen, choose_all};
use crate::builder::{self, Built};
use crate::cli::args::{Missions, TestArgs};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::session::{Session, image_of};
use crate::cli::signals::Signals;
use crate::engine::Engine;
use crate::evidence::Statement;
use crate::history;
use crate::reference::MissionName;
use crate::report::outcome::Outcome;
use crate::server;
use crate::suite::request::Request;
use crate::trial::{Stage, Trial};

/// Tests the images of the missions that `args` names, as they were built.
pub async fn command(session: &Session, args: &TestArgs, signals: &Signals) -> Result<(), Failure> {
    if let Some(image) = &args.foreign.image {
        return foreign::run(session, image, args, signals).await;
    }
    let (missions, filters) = selection(session, args)?;
    let asked = Asked::of(args, filters);
    if args.list {
        return chosen::list(session, &missions, &asked, args.format);
    }
    let chosen = choose_all(session, &missions, &asked)?;
    let plan = session.plan(&missions)?;
    let engine = session.engine().await?;
    let built = builder::find(&plan, &engine, &session.state).await?;
    let mut first = None;
    for chosen in &chosen {
        let image = image_of(&built, &chosen.mission)?;
        let tested = run(session, chosen, image, &asked, &engine, signals).await;
        match tested {
            Err(failure) if failure.code == ExitCode::TestsFailed => first = first.or(Some(failure)),
            other => other?,
        }
    }
    first.map_or(Ok(()), Err)
}

/// Splits the words of the command line: leading names of missions, then filters.
fn selection(session: &Session, args: &TestArgs) -> Result<(Vec<MissionName>, Vec<String>), Failure> {
    let known = session.repository.missions();
    let is_mission = |word: &&String| known.iter().any(|mission| mission.as_str() == **word);
    let named = if args.all_missions {
        0
    } else {
        args.words.iter().take_while(is_mission).count()
    };
    let (missions, filters) = args.words.split_at(named);
    let selection = Missions {
        missions: missions.to_vec(),
        all_missions: args.all_missions,
    };
    Ok((session.missions(&selection)?, filters.to_vec()))
}

/// Runs the tests that were chosen for one mission, on its image.
pub async fn run(
    session: &Session,
    chosen: &Chosen,
    image: &Built,
    asked: &Asked,
    engine: &dyn Engine,
    signals: &Signals,
) -> Result<(), Failure> {
    let mut trial = prepare(session, chosen, image, asked);
    trial.stages = stages(session, image, chosen, engine).await?;
    let observed = observed::run(session, &trial, engine, signals).await?;
    testify(session, image, asked, chosen, &trial.run, &observed.outcome)?;
    observed.verdict()
}

/// What to run, and how.
fn prepare(session: &Session, chosen: &Chosen, image: &Built, asked: &Asked) -> Trial {
    let mission = &chosen.mission;
    let settings = &session.settings;
    let request = Request {
        selection: chosen.selection.clone(),
        options: asked.options.over(&settings.run),
        known: history::known(&session.state, mission),
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
        limit: request.options.run_timeout.map(|limit| limit.0),
        memory: settings.container_memory.map(|size| size.0),
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
