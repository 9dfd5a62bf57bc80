//! Testing: what a run of a mission's tests is asked for, and what its outcome means for the image.

use super::observe::observe;
use super::workplace::image_of;
use super::{Asked, Choice, End, Interrupts, Observed, WorkflowError, Workplace};
use crate::builder::Built;
use crate::run::evidence::Statement;
use crate::run::history;
use crate::server;
use crate::suite::request::Request;
use crate::trial::{Stage, Trial};

/// Tests the images of the missions that were chosen for, as they were built.
///
/// That tests of a mission fail keeps no other mission from being tested. A run that came to another end, or in which
/// no test ran, is the last one. `observed` is given each run when it has ended.
pub async fn test(
    workplace: &Workplace,
    choices: &[Choice],
    asked: &Asked,
    interrupts: &Interrupts,
    mut observed: impl FnMut(&Observed),
) -> Result<Vec<Observed>, WorkflowError> {
    let missions = choices.iter().map(|choice| choice.mission.clone()).collect::<Vec<_>>();
    let plan = workplace.plan(&missions)?;
    let built = workplace.built(&plan).await?;
    let mut runs = Vec::new();
    for choice in choices {
        let image = image_of(&plan, &built, &choice.mission);
        let run = one(workplace, choice, image, asked, interrupts).await?;
        observed(&run);
        let goes_on = matches!(run.end, End::Complete) && (run.outcome.passed || run.ran);
        runs.push(run);
        if !goes_on {
            break;
        }
    }
    Ok(runs)
}

/// Runs the tests that were chosen for one mission, on its image.
pub(super) async fn one(
    workplace: &Workplace,
    choice: &Choice,
    image: &Built,
    asked: &Asked,
    interrupts: &Interrupts,
) -> Result<Observed, WorkflowError> {
    let mut trial = prepare(workplace, choice, image, asked);
    trial.stages = stages(workplace, choice, image).await?;
    let observed = observe(workplace, &trial, interrupts).await?;
    testify(workplace, choice, image, asked, &trial.run, &observed)?;
    Ok(observed)
}

/// What to run, and how.
fn prepare(workplace: &Workplace, choice: &Choice, image: &Built, asked: &Asked) -> Trial {
    let mission = &choice.mission;
    let settings = &workplace.settings;
    let request = Request {
        selection: choice.selection.clone(),
        options: asked.options.over(&settings.run),
        known: history::known(&workplace.state, mission),
    };
    let run = history::new_run(mission);
    Trial {
        mission: mission.to_string(),
        image: image.id.clone(),
        reference: image.reference.to_string(),
        expected: choice.expected.clone(),
        part: choice.selection.part,
        selected: Some(choice.digest()),
        definitions: Some(choice.definitions.clone()),
        limit: request.options.run_timeout.map(|limit| limit.0),
        memory: settings.container_memory.map(|size| size.0),
        stages: Vec::new(),
        environment: request.variables(),
        directory: workplace.state.run(&run),
        run,
    }
}

/// The containers that the chosen tests need.
async fn stages(workplace: &Workplace, choice: &Choice, image: &Built) -> Result<Vec<Stage>, WorkflowError> {
    let mut stages = Vec::new();
    if choice.expected.len() > choice.server.len() {
        stages.push(Stage::suite(choice.script));
    }
    if !choice.server.is_empty() {
        let found = workplace.engine().await?.image(image.id.as_str()).await?;
        let command = found.map(|image| image.command).unwrap_or_default();
        let limit = workplace.settings.server_timeout.map_or(server::START, |limit| limit.0);
        stages.push(Stage::server(&choice.server, limit, &command));
    }
    Ok(stages)
}

/// Writes evidence for a complete run that passed and can be shown. One that failed takes earlier evidence back, whatever
/// it was asked for: what passed once and fails now is not to be pushed on the strength of the earlier run. A run that
/// did not come to its end says nothing.
fn testify(
    workplace: &Workplace,
    choice: &Choice,
    image: &Built,
    asked: &Asked,
    run: &str,
    observed: &Observed,
) -> Result<(), WorkflowError> {
    if !matches!(observed.end, End::Complete) {
        return Ok(());
    }
    if !observed.outcome.passed {
        return Ok(workplace.state.withdraw_evidence(&image.id)?);
    }
    if !asked.is_complete() || observed.account.is_err() {
        return Ok(());
    }
    let (repository, tests) = (&image.reference.repository, &observed.outcome.tests);
    let statement = Statement::of(repository, &image.id, run, &choice.definitions, tests);
    Ok(statement.write(&workplace.state.evidence(&image.id))?)
}
