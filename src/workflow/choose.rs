//! Which tests of a mission a call is for.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Nothing, OnCluster, OnEngines, WorkflowError, Workplace};
use crate::reference::{Digest, EnvironmentName, MissionName, TestId, TestKind};
use crate::repository::{self, Repository};
use crate::run::evidence::Demand;
use crate::run::history;
use crate::server;
use crate::state::FileError;
use crate::suite::options::RunOptions;
use crate::suite::runner::schedule;
use crate::suite::selection::Selection;
use crate::suite::{Mode, Test, TestPlan, definitions, discover};

/// What a call asks for, whatever the mission.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Which tests.
    pub selection: Selection,
    /// Only those that failed or did not run in the mission's last run.
    pub rerun_failed: bool,
    /// How to run them, as far as the call says.
    pub options: RunOptions,
    /// Whether all run that are asked for, also those that passed before and need not run again.
    pub all_tests: bool,
    /// Whether an image that is not up to date is refused, and not built.
    pub no_build: bool,
    /// The cluster that they run on, if it is not this machine's engine that runs them.
    pub cluster: Option<OnCluster>,
    /// The engines that they run on, likewise.
    pub engines: Option<OnEngines>,
}

impl Asked {
    /// Whether it asks for all tests, so that the result stands for the image.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.selection.is_everything() && !self.rerun_failed
    }
}

/// The tests of a mission that a call is for.
#[derive(Debug)]
pub struct Choice {
    /// The mission.
    pub mission: MissionName,
    /// The tests that the environments' files define.
    pub defined: TestPlan,
    /// What to ask the agent for.
    pub selection: Selection,
    /// The tests that are asked for, in all parts.
    pub selected: Vec<TestId>,
    /// Those of this part.
    pub expected: Vec<TestId>,
    /// All tests that there are, whatever the call is for.
    pub all: Vec<TestId>,
    /// Whether the mission's own script is among those.
    pub script: bool,
    /// Those of the server.
    pub server: Vec<TestId>,
    /// The digest of the files that define the tests.
    pub definitions: Digest,
}

impl Choice {
    /// The tests that the mission's files skip.
    #[must_use]
    pub fn skips(&self) -> BTreeSet<TestId> {
        let skipped = self.defined.tests().iter();
        let skipped = skipped.filter(|test| matches!(test.mode, Mode::Skipped { .. }));
        skipped.map(Test::id).collect()
    }

    /// Whether a test gets a container of its own.
    #[must_use]
    pub fn is_isolated(&self, id: &TestId) -> bool {
        let tests = self.defined.tests();
        let test = tests.iter().find(|test| test.id() == *id);
        let settings = test.and_then(|test| self.defined.settings(&test.environment));
        settings.is_some_and(|settings| settings.isolated)
    }

    /// Those of `environments` for which no test is defined. The mission's own script may test what it likes.
    #[must_use]
    pub fn untested(&self, environments: &[EnvironmentName]) -> Vec<EnvironmentName> {
        let tests = self.defined.tests();
        let is_tested = |name: &&EnvironmentName| tests.iter().any(|test| test.environment == **name);
        let has_script = self.all.iter().any(|id| id.mission().is_some());
        let others = environments.iter().filter(|name| !has_script && !name.is_base());
        others.filter(|name| !is_tested(name)).cloned().collect()
    }

    /// The digest of the tests of all parts.
    #[must_use]
    pub fn digest(&self) -> Digest {
        TestId::digest(&self.selected)
    }
}

/// Chooses the tests of each mission. Of several missions, those that have none are left out; that there are none at
/// all is an error.
pub fn choose_all(
    workplace: &Workplace,
    missions: &[MissionName],
    asked: &Asked,
) -> Result<Vec<Choice>, WorkflowError> {
    let mut nothing = None;
    let mut choices = Vec::new();
    for mission in missions {
        match choose(workplace, mission, asked) {
            Err(WorkflowError::Nothing(none)) => nothing = nothing.or(Some(none)),
            other => choices.push(other?),
        }
    }
    match nothing {
        Some(none) if choices.is_empty() => Err(none.into()),
        _ => refuse_idle(workplace, &choices, &asked.selection).map(|()| choices),
    }
}

/// Refuses a condition that none of the missions' tests meets: it is misspelt, and the run would say less than it seems to.
fn refuse_idle(workplace: &Workplace, choices: &[Choice], selection: &Selection) -> Result<(), WorkflowError> {
    let ids = choices.iter().flat_map(|choice| &choice.all).collect::<Vec<_>>();
    let environments = |name: &EnvironmentName| {
        let missions = choices.iter().map(|choice| &choice.mission);
        let mut known = missions.flat_map(|mission| workplace.repository.environment_names(mission));
        known.any(|known| known == *name) || ids.iter().any(|id| id.owner == name.as_str())
    };
    let filters = selection
        .filters
        .iter()
        .filter(|filter| !ids.iter().any(|id| id.to_string().contains(*filter)));
    let unknown = selection.environments.iter().filter(|name| !environments(name));
    let kinds = selection
        .kinds
        .iter()
        .filter(|kind| !ids.iter().any(|id| id.kind == **kind));
    let expression = selection.expression.as_ref();
    let predicates = expression.map(|expression| expression.idle(&ids)).unwrap_or_default();
    let idle = filters
        .map(|filter| format!("`{filter}`"))
        .chain(unknown.map(|name| format!("--env {name}")))
        .chain(kinds.map(|kind| format!("--kind {}", kind.word())))
        .chain(predicates.into_iter().map(str::to_owned))
        .collect::<Vec<_>>();
    if idle.is_empty() {
        return Ok(());
    }
    let some = ids.into_iter().filter(|id| id.mission().is_none());
    let some = some.take(3).cloned().collect();
    Err(Nothing::Idle { idle, some }.into())
}

/// Chooses the tests of a mission. That there are none is an error.
pub fn choose(workplace: &Workplace, mission: &MissionName, asked: &Asked) -> Result<Choice, WorkflowError> {
    workplace.repository.inspect(repository::mission(mission))?;
    let environments = workplace.repository.environments(mission);
    let defined = discover::load(&environments)?;
    let mut selection = asked.selection.clone();
    if asked.rerun_failed {
        selection.tests = Some(failed_last(workplace, mission)?);
    }
    let own = script(&environments)?.then(|| TestId::of_mission(mission.as_str()));
    // An environment may have the mission's name; its tests are meant by it, not the mission's.
    let meant = own
        .clone()
        .filter(|id| selection.environments.is_empty() && selection.names(id));
    let part = selection.part;
    let in_part = |id: &TestId| part.is_none_or(|part| part.holds(id));
    let mut all = own.iter().cloned().chain(defined.ids()).collect::<Vec<_>>();
    // A server alone is no tested image: what a mission's own files define must be there.
    if workplace.settings.test_server && !all.is_empty() {
        let environments = workplace.repository.environment_names(mission);
        all.extend(server::tests(mission.as_str(), &environments));
    }
    let selected = all
        .iter()
        .filter(|id| id.mission().is_none() && selection.names(id))
        .cloned();
    let selected = meant.iter().cloned().chain(selected).collect::<Vec<_>>();
    if selected.is_empty() {
        return Err(nothing(&workplace.repository, mission, asked, &all).into());
    }
    let expected = selected.iter().filter(|id| in_part(id)).cloned().collect::<Vec<_>>();
    let servers = expected.iter().filter(|id| id.kind == TestKind::Server);
    Ok(Choice {
        mission: mission.clone(),
        script: meant.as_ref().is_some_and(in_part),
        all,
        server: servers.cloned().collect(),
        expected,
        definitions: definitions::digest(&environments)?,
        selected,
        selection,
        defined,
    })
}

/// What the mission's image must have passed to be pushed. A mission without tests is an error.
pub(super) fn demand(workplace: &Workplace, mission: &MissionName) -> Result<Demand, WorkflowError> {
    choose(workplace, mission, &Asked::default()).map(demand_of)
}

/// What an image must have passed whose tests are all chosen.
pub(super) fn demand_of(choice: Choice) -> Demand {
    let skips = choice.skips();
    Demand {
        tests: choice.expected.into_iter().filter(|id| !skips.contains(id)).collect(),
        definitions: choice.definitions,
    }
}

/// A test that a call is for, as it would run.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The test.
    pub id: TestId,
    /// `parallel`, `alone`, `skipped` or `broken`.
    pub mode: &'static str,
    /// Why it is skipped or broken.
    pub reason: Option<String>,
    /// How long it took in the last run that it ended in.
    pub seconds: Option<f64>,
}

/// The tests of a choice, in the order in which they would begin.
#[must_use]
pub fn list(workplace: &Workplace, choice: &Choice) -> Vec<Listed> {
    let mission = &choice.mission;
    let plan = choice.defined.select(&choice.selection);
    let known = history::known(&workplace.state, mission);
    let mut listed = Vec::new();
    let mut add = |id: TestId, mode, reason| {
        let seconds = known.get(&id).map(|known| known.seconds);
        listed.push(Listed {
            id,
            mode,
            reason,
            seconds,
        });
    };
    if choice.script {
        add(TestId::of_mission(mission.as_str()), "parallel", None);
    }
    let tests = plan.tests();
    for job in schedule::jobs(&plan, &known) {
        add(tests[job.test].id(), if job.alone { "alone" } else { "parallel" }, None);
    }
    for id in &choice.server {
        add(id.clone(), "parallel", None);
    }
    for test in tests {
        match &test.mode {
            Mode::Skipped { reason } => add(test.id(), "skipped", Some(reason.clone())),
            Mode::Broken(cause) => add(test.id(), "broken", Some(cause.message.clone())),
            Mode::Parallel | Mode::Alone => {}
        }
    }
    listed
}

/// The tests that failed or did not run when they were last to.
fn failed_last(workplace: &Workplace, mission: &MissionName) -> Result<Vec<TestId>, WorkflowError> {
    let mission = mission.clone();
    let Some((run, failed)) = history::failed(&workplace.state, &mission)? else {
        return Err(Nothing::NeverRun { mission }.into());
    };
    if failed.is_empty() {
        return Err(Nothing::NoneFailed { mission, run }.into());
    }
    Ok(failed)
}

/// Whether the mission has a script of its own. One without its run bit, which no container could start, is refused.
fn script(environments: &Path) -> Result<bool, WorkflowError> {
    let path = environments.join("test");
    if !path.exists() {
        return Ok(false);
    }
    let metadata = std::fs::metadata(&path).map_err(FileError::of(&path))?;
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(WorkflowError::NotExecutable { path });
    }
    Ok(true)
}

fn nothing(repository: &Repository, mission: &MissionName, asked: &Asked, defined: &[TestId]) -> Nothing {
    let mission = mission.clone();
    if defined.is_empty() {
        let environments = repository::environments(&mission).display().to_string();
        let mut misnamed = repository.misnamed(&mission);
        misnamed.retain(|text| text.starts_with(&environments));
        return Nothing::NoTests { mission, misnamed };
    }
    let some = defined.iter().filter(|id| id.mission().is_none());
    let some = some.take(3).cloned().collect();
    if asked.rerun_failed {
        Nothing::NoneOfTheFailed { mission, some }
    } else {
        let filters = asked.selection.filters.clone();
        Nothing::NoneSelected { mission, filters, some }
    }
}
