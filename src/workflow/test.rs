//! Testing: what a run of a mission's tests is asked for, and what its outcome means for the image.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::carry::{Carry, carry};
use super::observe::{observe, observe_on};
use super::workplace::image_of;
use super::{
    Asked, Budget, BuildOptions, BuiltPlan, Choice, End, Interrupts, Observed, WorkflowError, Workplace, images,
};
use super::{cluster, engines, weigh};
use crate::builder::{BuildError, Built};
use crate::engine::{Containers, Image, LeftRuns, Member};
use crate::event::Event;
use crate::image;
use crate::reference::{Digest, ImageTag, MissionName, TestId, TestKind};
use crate::run::evidence::Statement;
use crate::run::history;
use crate::server;
use crate::state::Task;
use crate::suite::request::Request;
use crate::suite::runner::schedule;
use crate::trial::{Stage, Trial};

/// Tests the images of the missions that were chosen for, which are built first where they are not up to date.
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
    let BuiltPlan { plan, built } = current(workplace, &missions, asked.no_build, interrupts).await?;
    let mut runs = Vec::new();
    for choice in choices {
        let image = image_of(&plan, &built, &choice.mission);
        let run = one(workplace, choice, image, asked, interrupts).await?;
        observed(&run);
        let goes_on = run.lets_others_go_on();
        runs.push(run);
        if !goes_on {
            break;
        }
    }
    Ok(runs)
}

/// The images of the missions as their files are now. Those that are not up to date are built, unless that is refused.
pub(super) async fn current(
    workplace: &Workplace,
    missions: &[MissionName],
    no_build: bool,
    interrupts: &Interrupts,
) -> Result<BuiltPlan, WorkflowError> {
    let plan = workplace.plan(missions)?;
    match workplace.built(&plan).await {
        Ok(built) => Ok(BuiltPlan { plan, built }),
        Err(WorkflowError::Build(BuildError::NotBuilt { .. })) if !no_build => {
            let options = BuildOptions {
                budget: Some(Budget::default()),
                ..BuildOptions::default()
            };
            images(workplace, missions, options, interrupts).await
        }
        Err(error) => Err(error),
    }
}

/// The run that decides what becomes of a call, unless all passed. One that kept others from going on tells more than
/// tests that failed before it.
#[must_use]
pub fn decisive(mut runs: Vec<Observed>) -> Option<Observed> {
    if runs.last().is_some_and(|run| !run.lets_others_go_on()) {
        return runs.pop();
    }
    runs.into_iter().find(|run| !run.passed())
}

/// Runs the tests that were chosen for one mission, on its image.
pub(super) async fn one(
    workplace: &Workplace,
    choice: &Choice,
    image: &Built,
    asked: &Asked,
    interrupts: &Interrupts,
) -> Result<Observed, WorkflowError> {
    if asked.is_complete() {
        for name in choice.untested(&workplace.repository.environment_names(&choice.mission)) {
            let text = format!("no test is defined for the environment {name}: nothing is known of it afterwards");
            workplace.display().emit(Event::Warning { text });
        }
    }
    let run = history::new_run(&choice.mission);
    let carry = carry(workplace, choice, &workplace.image(image).await?, asked).await?;
    let observed = observed(workplace, choice, image, (asked, run.clone(), carry), interrupts).await?;
    testify(workplace, (choice, &image.id), asked.is_complete(), &run, &observed)?;
    Ok(observed)
}

/// The same as a run of this name, whose outcome means nothing for any image.
pub(super) async fn aside(
    workplace: &Workplace,
    choice: &Choice,
    image: &Built,
    (asked, run): (&Asked, String),
    interrupts: &Interrupts,
) -> Result<Observed, WorkflowError> {
    observed(workplace, choice, image, (asked, run, Carry::default()), interrupts).await
}

async fn observed(
    workplace: &Workplace,
    choice: &Choice,
    image: &Built,
    (asked, run, carry): (&Asked, String, Carry),
    interrupts: &Interrupts,
) -> Result<Observed, WorkflowError> {
    match ready(workplace, choice, image, (asked, run, carry)).await? {
        (trial, Machines::Own) => observe(workplace, &trial, workplace.engine().await?, interrupts).await,
        (trial, Machines::Engines(members)) => {
            let machines = members.iter().map(|member| member as &dyn Containers);
            observe_on(workplace, &trial, &machines.collect::<Vec<_>>(), interrupts).await
        }
        (trial, Machines::Cluster(cluster)) => observe(workplace, &trial, cluster.as_ref(), interrupts).await,
    }
}

/// What runs the tests.
pub(super) enum Machines {
    /// The engine that floe uses anyway.
    Own,
    /// Several engines.
    Engines(Vec<Member>),
    /// A cluster.
    Cluster(Arc<dyn LeftRuns>),
}

/// The trial that a run of this name is, less the tests that are carried, and what runs it.
pub(super) async fn ready(
    workplace: &Workplace,
    choice: &Choice,
    image: &Built,
    (asked, run, carry): (&Asked, String, Carry),
) -> Result<(Trial, Machines), WorkflowError> {
    let mut trial = prepare(workplace, choice, image, asked, run);
    let carried = carry.tests.iter().map(|test| &test.id).collect::<BTreeSet<_>>();
    trial.expected.retain(|id| !carried.contains(id));
    (trial.carried, trial.grounds) = (carry.tests, carry.grounds);
    let found = workplace.image(image).await?;
    trial.size = weigh::size(workplace, &choice.mission, &found).await?;
    if trial.expected.is_empty() {
        // Nothing is brought to where nothing runs.
        return Ok((trial, Machines::Own));
    }
    trial.fixed = image::tested_with(&found.variables);
    if let Some(on) = &asked.engines {
        let (members, spread) = engines::ready(workplace, &choice.mission, image, on).await?;
        let known = &trial.request.known;
        let shards = on.shards.map_or(members.len(), NonZeroUsize::get);
        trial.stages = stages(workplace, (choice, &trial.expected), &found, |tests| {
            schedule::divided(&tests, known, shards)
        });
        trial.spread = Some(spread);
        return Ok((trial, Machines::Engines(members)));
    }
    let Some(on) = &asked.cluster else {
        trial.stages = stages(workplace, (choice, &trial.expected), &found, |tests| vec![tests]);
        return Ok((trial, Machines::Own));
    };
    let cluster = cluster::connect(workplace, on).await?;
    let known = &trial.request.known;
    trial.stages = stages(workplace, (choice, &trial.expected), &found, |tests| {
        schedule::divided(&tests, known, on.shards.get())
    });
    trial.spread = Some(cluster::brought(workplace, &choice.mission, image, on).await?);
    Ok((trial, Machines::Cluster(cluster)))
}

/// What to run, and how.
fn prepare(workplace: &Workplace, choice: &Choice, image: &Built, asked: &Asked, run: String) -> Trial {
    let mission = &choice.mission;
    let settings = &workplace.settings;
    let request = Request {
        selection: choice.selection.clone(),
        options: asked.options.over(&settings.run),
        known: history::known(&workplace.state, mission),
        ..Request::default()
    };
    Trial {
        mission: mission.to_string(),
        image: image.id.clone(),
        reference: image.reference.to_string(),
        expected: choice.expected.clone(),
        carried: Vec::new(),
        grounds: BTreeMap::new(),
        size: None,
        skips: choice.skips(),
        part: choice.selection.part,
        selected: Some(choice.digest()),
        definitions: Some(choice.definitions.clone()),
        limit: request.options.run_timeout.map(|limit| limit.0),
        memory: settings.container_memory.map(|size| size.0),
        stages: Vec::new(),
        spread: None,
        agent: workplace.agent.clone(),
        environments: None,
        fixed: Vec::new(),
        request,
        directory: workplace.state.run(&run),
        run,
    }
}

/// The containers that the chosen tests need: one for each part that `divided` makes of all that may share one, one for each
/// that may not, one for the server. The mission's script starts the tests of the first part.
fn stages(
    workplace: &Workplace,
    (choice, expected): (&Choice, &[TestId]),
    image: &Image,
    divided: impl FnOnce(Vec<TestId>) -> Vec<Vec<TestId>>,
) -> Vec<Stage> {
    let Image {
        entrypoint, command, ..
    } = image;
    let script = choice.script.then(|| TestId::of_mission(choice.mission.as_str()));
    let in_suite = expected.iter();
    let in_suite = in_suite.filter(|id| id.kind != TestKind::Server && Some(*id) != script.as_ref());
    let (isolated, shared) = in_suite.cloned().partition::<Vec<_>, _>(|id| choice.is_isolated(id));
    let parts = if shared.is_empty() {
        script.iter().map(|_| Vec::new()).collect()
    } else {
        divided(shared)
    };
    let are_all = isolated.is_empty() && parts.len() == 1 && expected.len() == choice.expected.len();
    let mut script = script;
    let together = parts.into_iter().map(|tests| {
        let stage = match script.take() {
            Some(id) => Stage::script(id, entrypoint),
            None => Stage::suite(entrypoint),
        };
        if are_all { stage } else { stage.of_tests(tests) }
    });
    let mut stages = together.collect::<Vec<_>>();
    stages.extend(isolated.into_iter().map(|id| Stage::suite(entrypoint).isolated(id)));
    if !choice.server.is_empty() {
        let limit = workplace
            .settings
            .server_timeout
            .map_or(server::START_TIMEOUT, |limit| limit.0);
        stages.push(Stage::server(&choice.server, limit, command, entrypoint));
    }
    stages
}

/// Writes evidence for a complete run that passed and can be shown. One that failed takes earlier evidence back, whatever
/// it was asked for: what passed once and fails now is not to be pushed on the strength of the earlier run. A run that
/// did not come to its end says nothing.
pub(super) fn testify(
    workplace: &Workplace,
    (choice, image): (&Choice, &Digest),
    complete: bool,
    run: &str,
    observed: &Observed,
) -> Result<(), WorkflowError> {
    if !matches!(observed.end, End::Complete) {
        return Ok(());
    }
    if !observed.outcome.passed {
        return Ok(workplace.state.withdraw_evidence(image)?);
    }
    if !complete || observed.account.is_err() {
        return Ok(());
    }
    // How long all tests take, a run of some does not tell.
    if let Some(seconds) = observed
        .outcome
        .seconds
        .filter(|_| observed.outcome.summary.carried == 0)
    {
        workplace
            .state
            .record_duration(&Task::Tests(&choice.mission), seconds)?;
    }
    let name = ImageTag::local(choice.mission.as_str(), "").repository;
    let statement = Statement::of(&name, image, run, &choice.definitions, &observed.outcome.tests);
    Ok(statement.write(&workplace.state.evidence(image))?)
}
