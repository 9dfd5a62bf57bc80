//! Imports of what was added to the specs of a mission, by what its image holds: no file says them.
//!
//! What the modules are called, nobody but the image knows. So the host's agent is asked first, alone in a container in which
//! nothing else runs; what it says is data, and is checked. Then the host expects exactly these imports, as it does any tests.

use std::collections::{BTreeMap, BTreeSet};

use super::added::{Added, SpecsAt, added, before_last_change};
use super::observe::observe;
use super::test::current;
use super::workplace::image_of;
use super::{Asked, BuiltPlan, End, Interrupts, Nothing, Observed, WorkflowError, Workplace};
use crate::context::{Context, Overlay};
use crate::engine::EngineError;
use crate::envs::{Importable, MOST_MODULES, is_module};
use crate::event::Event;
use crate::fault::Trouble;
use crate::image::{self, applet};
use crate::process::Owner;
use crate::reference::{Digest, EnvironmentName, MissionName, TestId};
use crate::run::history;
use crate::state::FileError;
use crate::suite::request::Request;
use crate::suite::selection::Selection;
use crate::trial::{Mark, Question, Stage, Trial};

/// What the agent says is no longer than this, in bytes.
const LONGEST: usize = 1 << 20;

/// What can be imported of the packages of each environment.
type Told = BTreeMap<EnvironmentName, BTreeMap<String, Importable>>;

/// Tests that what was added to the specs of missions since `since` can be imported in their images, as they were built.
///
/// Without `since`, it is what was added since `HEAD` where specs are edited, else by the last commit that touched them. A
/// mission to which nothing was added is passed over; that nothing was added to any is an error, and so is a package that the
/// image does not hold.
pub async fn test_added(
    workplace: &Workplace,
    missions: &[MissionName],
    since: Option<&str>,
    asked: &Asked,
    interrupts: &Interrupts,
    mut observed: impl FnMut(&Observed),
) -> Result<Vec<Observed>, WorkflowError> {
    let mut found = Vec::new();
    let mut compared = None;
    for mission in missions {
        let before = match since {
            Some(name) => SpecsAt::Commit(name.to_owned()),
            None => before_last_change(workplace, mission)?,
        };
        let added = added(&workplace.repository, mission, &before, &SpecsAt::Now)?;
        if !added.is_empty() {
            found.push((mission, added));
        }
        compared.get_or_insert(before);
    }
    if found.is_empty() {
        let since = match compared {
            Some(SpecsAt::Commit(commit)) => commit,
            _ => "the beginning".to_owned(),
        };
        return Err(Nothing::NotAdded { since }.into());
    }
    let missions = found.iter().map(|(mission, _)| (*mission).clone()).collect::<Vec<_>>();
    let BuiltPlan { plan, built } = current(workplace, &missions, asked.no_build, interrupts).await?;
    let mut runs = Vec::new();
    for (mission, added) in found {
        let image = image_of(&plan, &built, mission);
        let subject = Subject {
            mission,
            id: &image.id,
            name: &image.reference.to_string(),
        };
        let run = of_image(workplace, subject, &added, asked, interrupts).await?;
        observed(&run);
        let goes_on = run.lets_others_go_on();
        runs.push(run);
        if !goes_on {
            break;
        }
    }
    Ok(runs)
}

/// An image whose modules are imported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// The mission that it is of.
    pub mission: &'a MissionName,
    /// Its ID.
    pub id: &'a Digest,
    /// What people call it.
    pub name: &'a str,
}

/// Imports what was added in an image that the engine has. That there is nothing to import is an error.
pub(super) async fn of_image(
    workplace: &Workplace,
    image: Subject<'_>,
    added: &[Added],
    asked: &Asked,
    interrupts: &Interrupts,
) -> Result<Observed, WorkflowError> {
    let mission = image.mission;
    let told = ask(workplace, image, added).await?;
    let modules = modules(workplace, mission, added, &told)?;
    if modules.is_empty() {
        let mission = mission.clone();
        return Err(Nothing::NotImportable { mission }.into());
    }
    let tests = modules.iter().flat_map(|(environment, modules)| {
        let ids = modules
            .iter()
            .map(|module| TestId::import(environment.as_str(), module));
        ids.collect::<Vec<_>>()
    });
    let tests = tests.filter(|id| asked.selection.names(id)).collect::<Vec<_>>();
    if tests.is_empty() {
        let (mission, filters) = (mission.clone(), asked.selection.filters.clone());
        return Err(Nothing::NoneSelected {
            mission,
            filters,
            some: Vec::new(),
        }
        .into());
    }
    let scratch = tempfile::tempdir().map_err(FileError::of(&std::env::temp_dir()))?;
    let engine = workplace.engine().await?;
    let inspected = engine.image(image.id.as_str()).await?;
    let inspected = inspected.ok_or_else(|| vanished(image.name))?;
    let mut stage = Stage::suite(&inspected.entrypoint);
    for (environment, modules) in &modules {
        let directory = scratch.path().join(environment.as_str());
        std::fs::create_dir(&directory).map_err(FileError::of(&directory))?;
        let source = scratch.path().join(format!("{environment}.imports"));
        let lines = modules.iter().map(String::as_str).collect::<Vec<_>>();
        std::fs::write(&source, lines.join("\n")).map_err(FileError::of(&source))?;
        let files = Context::new(directory).with("imports", Overlay::File { source, mode: 0o644 });
        stage = stage.with_tests(environment, files);
    }
    let request = Request {
        selection: Selection {
            tests: Some(tests.clone()),
            ..Selection::default()
        },
        options: asked.options.over(&workplace.settings.run),
        ..Request::default()
    };
    let run = history::new_run(mission);
    let trial = Trial {
        mission: mission.to_string(),
        image: image.id.clone(),
        reference: image.name.to_owned(),
        part: None,
        selected: Some(TestId::digest(&tests)),
        stages: vec![stage],
        spread: None,
        expected: tests,
        carried: Vec::new(),
        grounds: BTreeMap::new(),
        size: None,
        skips: BTreeSet::new(),
        definitions: None,
        limit: request.options.run_timeout.map(|limit| limit.0),
        memory: workplace.settings.container_memory.map(|size| size.0),
        agent: workplace.agent.clone(),
        environments: Some(Stage::given_environments()),
        fixed: image::tested_with(&inspected.variables),
        request,
        directory: workplace.state.run(&run),
        run,
    };
    let observed = observe(workplace, &trial, workplace.engine().await?, interrupts).await?;
    // What cannot be imported is not to be pushed on the strength of an earlier run.
    if matches!(observed.end, End::Complete) && !observed.outcome.passed {
        workplace.state.withdraw_evidence(image.id)?;
    }
    Ok(observed)
}

/// The modules to import in each environment. A package that the image does not hold is the error, unless its line has a
/// condition; that there is nothing to import of one is said.
fn modules(
    workplace: &Workplace,
    mission: &MissionName,
    added: &[Added],
    told: &Told,
) -> Result<BTreeMap<EnvironmentName, BTreeSet<String>>, WorkflowError> {
    let display = workplace.display();
    let mut found = BTreeMap::<_, BTreeSet<String>>::new();
    let mut absent = Vec::new();
    for Added { environment, packages } in added {
        for package in packages {
            let name = &package.name;
            match told.get(environment).and_then(|told| told.get(name)) {
                Some(Importable::Modules(modules)) => {
                    found
                        .entry(environment.clone())
                        .or_default()
                        .extend(modules.iter().cloned());
                }
                Some(Importable::Nothing) => display.emit(Event::Note {
                    text: format!("{environment}: {name} is installed, and holds no module to import"),
                }),
                _ if package.conditional => display.emit(Event::Note {
                    text: format!("{environment}: {name} is not installed, for its line has a condition"),
                }),
                _ => absent.push(format!("{name} in {environment}")),
            }
        }
    }
    if absent.is_empty() {
        return Ok(found);
    }
    let mission = mission.clone();
    Err(WorkflowError::NotInstalled { mission, absent })
}

/// Asks the agent, in a container of the image, what can be imported of what was added.
async fn ask(workplace: &Workplace, image: Subject<'_>, added: &[Added]) -> Result<Told, WorkflowError> {
    let wanted = added.iter().map(|Added { environment, packages }| {
        let names = packages.iter().map(|package| package.name.clone());
        (environment.clone(), names.collect::<Vec<_>>())
    });
    let wanted = wanted.collect::<BTreeMap<_, _>>();
    let engine = workplace.engine().await?;
    let owner = Owner::current();
    let question = Question {
        image: image.id,
        agent: &workplace.agent,
        mark: Mark {
            run: "modules",
            mission: image.mission.as_str(),
            owner: &owner,
        },
        memory: workplace.settings.container_memory.map(|size| size.0),
        words: vec![
            applet::MODULES.to_owned(),
            serde_json::to_string(&wanted).unwrap_or_default(),
        ],
        longest: LONGEST,
    };
    let said = question.ask(engine).await?.unwrap_or_default();
    checked(&said, &wanted).ok_or_else(|| {
        let said = String::from_utf8_lossy(&said[..said.len().min(1000)]).trim().to_owned();
        EngineError::Request {
            action: format!("ask what can be imported in {}", image.name),
            reason: format!("the agent said nothing that makes sense: {said}"),
            trouble: Trouble::Foreign,
        }
        .into()
    })
}

/// What the agent said, if it says of each package that was asked for, and of no other, what can be.
fn checked(said: &[u8], wanted: &BTreeMap<EnvironmentName, Vec<String>>) -> Option<Told> {
    let told = serde_json::from_slice::<Told>(said).ok()?;
    let complete = told.keys().eq(wanted.keys())
        && told.iter().all(|(environment, told)| {
            let names = wanted[environment].iter().collect::<BTreeSet<_>>();
            told.keys().eq(names)
        });
    let sound = told
        .values()
        .flat_map(BTreeMap::values)
        .all(|importable| match importable {
            Importable::Modules(modules) => {
                (1..=MOST_MODULES).contains(&modules.len()) && modules.iter().all(|module| is_module(module))
            }
            Importable::Nothing | Importable::Absent => true,
        });
    (complete && sound).then_some(told)
}

fn vanished(name: &str) -> EngineError {
    EngineError::Request {
        action: format!("test {name}"),
        reason: "the image has been removed".to_owned(),
        trouble: Trouble::Vanished,
    }
}
