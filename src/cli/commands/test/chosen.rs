//! Which tests of a mission a call is for.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cli::args::{Format, TestArgs};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::history;
use crate::reference::{Digest, MissionName, TestId, TestKind};
use crate::server;
use crate::suite::options::RunOptions;
use crate::suite::runner::schedule;
use crate::suite::selection::Selection;
use crate::suite::{Mode, TestPlan, definitions, discover};

/// What a call asks for, whatever the mission.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Which tests.
    pub selection: Selection,
    /// Only those that failed or did not run in the mission's last run.
    pub rerun_failed: bool,
    /// How to run them, as far as the command line says.
    pub options: RunOptions,
}

impl Asked {
    /// What `args` ask for, with the parts of IDs among their words.
    pub fn of(args: &TestArgs, filters: Vec<String>) -> Self {
        Self {
            selection: args.selection.selection(filters),
            rerun_failed: args.rerun_failed,
            options: args.run.options(),
        }
    }

    /// Whether it asks for all tests, so that the result stands for the image.
    pub fn is_complete(&self) -> bool {
        self.selection.is_everything() && !self.rerun_failed
    }
}

/// The tests of a mission that a call is for.
#[derive(Debug)]
pub struct Chosen {
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
    /// Whether the mission's own script is among those.
    pub script: bool,
    /// Those of the server.
    pub server: Vec<TestId>,
    /// The digest of the files that define the tests.
    pub definitions: Digest,
}

/// Chooses the tests of each mission. Of several missions, those that have none are left out; that there are none at
/// all is an error.
pub fn choose_all(session: &Session, missions: &[MissionName], asked: &Asked) -> Result<Vec<Chosen>, Failure> {
    let mut nothing = None;
    let mut chosen = Vec::new();
    for mission in missions {
        match choose(session, mission, asked) {
            Err(failure) if failure.code == ExitCode::NothingRan => nothing = nothing.or(Some(failure)),
            other => chosen.push(other?),
        }
    }
    match nothing {
        Some(failure) if chosen.is_empty() => Err(failure),
        _ => Ok(chosen),
    }
}

/// Chooses the tests of a mission. That there are none is an error.
pub fn choose(session: &Session, mission: &MissionName, asked: &Asked) -> Result<Chosen, Failure> {
    let environments = session.repository.environments(mission);
    let defined = discover::load(&environments)?;
    let mut selection = asked.selection.clone();
    if asked.rerun_failed {
        selection.tests = Some(failed_last(session, mission)?);
    }
    let own = script(&environments)?.then(|| TestId::script(mission.as_str()));
    // An environment may have the mission's name; its tests are meant by it, not the mission's.
    let own = own.filter(|id| selection.environments.is_empty() && selection.names(id));
    let part = selection.part;
    let in_part = |id: &TestId| part.is_none_or(|part| part.holds(id));
    let mut all = defined.ids();
    // A server alone is no tested image: what a mission's own files define must be there.
    if session.settings.test_server && !(all.is_empty() && own.is_none()) {
        all.extend(server::tests(
            mission.as_str(),
            &session.repository.environment_names(mission),
        ));
    }
    let selected = all.iter().filter(|id| selection.names(id)).cloned();
    let selected = own.iter().cloned().chain(selected).collect::<Vec<_>>();
    if selected.is_empty() {
        return Err(nothing(mission, asked, &all));
    }
    let expected = selected.iter().filter(|id| in_part(id)).cloned().collect::<Vec<_>>();
    let servers = expected.iter().filter(|id| id.kind == TestKind::Server);
    Ok(Chosen {
        mission: mission.clone(),
        script: own.as_ref().is_some_and(in_part),
        server: servers.cloned().collect(),
        expected,
        definitions: definitions::digest(&environments)?,
        selected,
        selection,
        defined,
    })
}

impl Chosen {
    /// The digest of the tests of all parts.
    pub fn digest(&self) -> Digest {
        TestId::digest(&self.selected)
    }
}

/// Prints the tests of `missions` that a call is for, in the order in which they would begin.
pub fn list(session: &Session, missions: &[MissionName], asked: &Asked, format: Format) -> Result<(), Failure> {
    let mut lines = String::new();
    let mut values = Vec::new();
    for chosen in choose_all(session, missions, asked)? {
        let mission = &chosen.mission;
        let plan = chosen.defined.select(&chosen.selection);
        let known = history::known(&session.state, mission);
        let mut listed = Vec::new();
        if chosen.script {
            listed.push((TestId::script(mission.as_str()), "parallel", None));
        }
        let tests = plan.tests();
        let jobs = schedule::jobs(&plan, &known);
        listed.extend(jobs.iter().map(|job| {
            let how = if job.alone { "alone" } else { "parallel" };
            (tests[job.test].id(), how, None)
        }));
        listed.extend(chosen.server.iter().map(|id| (id.clone(), "parallel", None)));
        listed.extend(tests.iter().filter_map(|test| match &test.mode {
            Mode::Skipped { reason } => Some((test.id(), "skipped", Some(reason.clone()))),
            Mode::Broken(cause) => Some((test.id(), "broken", Some(cause.message.clone()))),
            Mode::Parallel | Mode::Alone => None,
        }));
        for (id, mode, reason) in listed {
            let _ = writeln!(lines, "{id}");
            values.push(serde_json::json!({
                "mission": mission,
                "id": id,
                "kind": id.kind,
                "mode": mode,
                "reason": reason,
                "seconds": known.get(&id).map(|known| known.seconds),
            }));
        }
    }
    output::result(&match format {
        Format::Text => lines,
        Format::Json => format!("{:#}\n", serde_json::Value::from(values)),
    })
}

/// The tests that failed or did not run in the last run of the mission.
fn failed_last(session: &Session, mission: &MissionName) -> Result<Vec<TestId>, Failure> {
    let none = |message: String| {
        Failure::new(ExitCode::NothingRan, message).hint(format!("run all tests: `scripts/image-test {mission}`"))
    };
    let last = history::last(&session.state, mission).map_err(|error| (session.state.runs_directory(), error))?;
    let Some((run, outcome)) = last else {
        return Err(none(format!("there is no earlier run of {mission}")));
    };
    let failed = outcome.failures().map(|(test, _)| test.id.clone()).collect::<Vec<_>>();
    if failed.is_empty() {
        return Err(none(format!("no test failed in the last run of {mission} ({run})")));
    }
    Ok(failed)
}

/// Whether the mission has a script of its own. One without its run bit, which no container could start, is refused.
fn script(environments: &Path) -> Result<bool, Failure> {
    let script = environments.join("test");
    if !script.exists() {
        return Ok(false);
    }
    let metadata = std::fs::metadata(&script).map_err(|error| (script.clone(), error))?;
    if metadata.permissions().mode() & 0o111 != 0 {
        return Ok(true);
    }
    let message = format!("{} is not executable", script.display());
    Err(Failure::new(ExitCode::Invalid, message).hint("`chmod +x` it, and commit that"))
}

fn nothing(mission: &MissionName, asked: &Asked, defined: &[TestId]) -> Failure {
    if defined.is_empty() {
        let message = format!("missions/{mission}/environments defines no tests");
        return Failure::new(ExitCode::NothingRan, message)
            .hint("list modules in <env>/tests/imports, put notebooks into <env>/tests, or add an executable `test`");
    }
    let message = if asked.rerun_failed {
        format!("no test of {mission} that failed in its last run is there and selected")
    } else if asked.selection.filters.is_empty() {
        format!("no test of {mission} is selected")
    } else {
        format!("no test of {mission} matches {}", asked.selection.filters.join(", "))
    };
    let some = defined.iter().take(3).map(ToString::to_string).collect::<Vec<_>>();
    let hint = format!("tests are called {}, …; `--list` shows them", some.join(", "));
    Failure::new(ExitCode::NothingRan, message).hint(hint)
}
