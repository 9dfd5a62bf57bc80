//! A repository with one or two missions, an engine in memory, and what the agent in a container says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::compose::Unbounded;
use crate::config;
use crate::engine::fake::{Fake, Run};
use crate::engine::{Absence, ContainerExit, Containers as _, Engine, EngineError, EngineName, JobSettings, LeftRuns};
use crate::event::redact::Hidden;
use crate::event::{Cause, CauseKind, Event, FORMAT, Memory, Sink, Summary, TestFinished, Verdict};
use crate::fault::Trouble;
use crate::image::label;
use crate::process::Owner;
use crate::reference::{Digest, MissionName, TestId};
use crate::repository::Repository;
use crate::state::State;
use crate::workflow::interrupts::Interrupter;
use crate::workflow::{
    self, Asked, BuildOptions, BuiltPlan, Connect, Interrupts, Milestone, Observed, WorkflowError, Workplace,
};

/// A call of floe on a repository with the mission `m`, whose environment `e` has the import test `numpy`.
pub struct Case {
    pub workplace: Workplace,
    pub engine: Arc<Fake>,
    pub others: Others,
    pub shown: Arc<Memory>,
    pub interrupts: Interrupts,
    pub interrupter: Interrupter,
    directory: tempfile::TempDir,
}

/// Engines beside its own, by what people name them.
pub type Others = Arc<Mutex<BTreeMap<String, Arc<Fake>>>>;

struct Ready(Arc<Fake>, Others);

#[async_trait]
impl Connect for Ready {
    async fn connect(&self) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(self.0.clone())
    }

    async fn engine(&self, name: &EngineName) -> Result<Arc<dyn Engine>, EngineError> {
        let name = name.to_string();
        match self.1.lock().unwrap().get(&name) {
            Some(engine) => Ok(engine.clone()),
            None => Err(EngineError::Unreachable {
                address: name,
                reason: "Connection refused".to_owned(),
                cause: Absence::Network(Trouble::Unheard),
            }),
        }
    }

    async fn cluster(&self, _: Option<&str>, _: JobSettings) -> Result<Arc<dyn LeftRuns>, EngineError> {
        Ok(self.0.clone())
    }
}

impl Case {
    /// The case, with floating specs.
    pub fn new() -> Self {
        Self::with(&[("USE_FROZEN", "0")])
    }

    /// The case with these settings.
    pub fn with(settings: &[(&'static str, &str)]) -> Self {
        // What connects to registries needs one provider of cryptography in the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let engine = Arc::new(Fake::new());
        engine.add_image("upstream:1", BTreeMap::new());
        let others = Others::default();
        let shown = Arc::new(Memory::default());
        let (interrupter, interrupts) = Interrupts::new();
        let case = Self {
            workplace: workplace(directory.path(), (&engine, &others), &shown, settings),
            engine,
            others,
            shown,
            interrupts,
            interrupter,
            directory,
        };
        case.write("common/Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n");
        case.write("common/Dockerfile.trailer", "USER jovyan\n");
        case.write("agent", "the program");
        case.mission("m");
        case
    }

    /// Where another call works, in the same repository with other settings.
    pub fn with_settings(&self, settings: &[(&'static str, &str)]) -> Workplace {
        workplace(
            self.directory.path(),
            (&self.engine, &self.others),
            &self.shown,
            settings,
        )
    }

    /// Writes a mission with one environment, `e`, that has one test.
    pub fn mission(&self, name: &str) {
        self.write(&format!("missions/{name}/environments/e/e.pip"), "numpy\n");
        self.write(&format!("missions/{name}/environments/e/tests/imports"), "numpy\n");
    }

    pub fn write(&self, path: &str, text: &str) {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// The next container runs a suite in which each of `tests` has this verdict.
    pub fn next_run(&self, tests: &[(&TestId, Verdict)]) {
        self.engine.script_run(run(tests));
    }

    /// The next container is asked what it holds, and says nothing.
    pub fn next_image_is_weighed(&self) {
        self.engine.script_run(Run::default());
    }

    /// The next container runs `numpy`, which passes.
    pub fn next_run_passes(&self) {
        self.next_run(&[(&numpy(), Verdict::Passed)]);
    }

    /// The next container runs `numpy`, which fails.
    pub fn next_run_fails(&self) {
        self.next_run(&[(&numpy(), failed())]);
    }

    /// The next container holds the frozen spec of `e`.
    pub fn next_export_holds(&self, version: &str) {
        let text = format!("name: e\ndependencies:\n  - python=3.11.2\n  - pip:\n      - numpy=={version}\n");
        self.engine.script_run(Run {
            files: BTreeMap::from([("/floe-frozen/e-frozen.yml".to_owned(), text.into_bytes())]),
            ..Run::default()
        });
    }

    /// Builds the images of `m`.
    pub async fn build(&self) -> BuiltPlan {
        let options = BuildOptions::default();
        workflow::images(&self.workplace, &[m()], options, &self.interrupts)
            .await
            .unwrap()
    }

    /// Tests the image of `m`, as far as is asked.
    pub async fn test(&self, asked: &Asked) -> Result<Observed, WorkflowError> {
        let choices = workflow::choose_all(&self.workplace, &[m()], asked)?;
        let runs = workflow::test(&self.workplace, &choices, asked, &self.interrupts, |_| ()).await?;
        Ok(runs.into_iter().next().unwrap())
    }

    /// Builds, tests and pushes; returns the milestones, each in one word, and what ended the call early.
    pub async fn all(&self) -> (Vec<&'static str>, Result<Option<Observed>, WorkflowError>) {
        self.all_of(&Asked::default()).await
    }

    /// The same, where some tests alone may be asked for.
    pub async fn all_of(&self, asked: &Asked) -> (Vec<&'static str>, Result<Option<Observed>, WorkflowError>) {
        let mut reached = Vec::new();
        let options = BuildOptions::default();
        let missions = [m()];
        let ended = workflow::all(
            &self.workplace,
            &missions,
            options,
            asked,
            &self.interrupts,
            |milestone| {
                reached.push(match milestone {
                    Milestone::PassedBefore(..) => "passed before",
                    Milestone::Tested(_) => "tested",
                    Milestone::Frozen([]) => "frozen already",
                    Milestone::Frozen(_) => "frozen",
                    Milestone::Pushed(..) => "pushed",
                });
            },
        );
        let ended = ended.await;
        (reached, ended)
    }

    /// Whether the image of `m`, as it was built, has evidence.
    pub async fn has_evidence(&self) -> bool {
        let plan = self.workplace.plan(&[m()]).unwrap();
        let built = self.workplace.built(&plan).await.unwrap();
        self.workplace.state.evidence(&built.last().unwrap().id).exists()
    }

    /// How many containers of tests were started.
    pub fn containers(&self) -> usize {
        let calls = self.engine.calls();
        calls.iter().filter(|call| call.ends_with("supervise")).count()
    }

    /// The warnings that were shown.
    pub fn warnings(&self) -> Vec<String> {
        let events = self.shown.events().into_iter();
        let texts = events.filter_map(|event| match event {
            Event::Warning { text } => Some(text),
            _ => None,
        });
        texts.collect()
    }

    /// A container that a floe which is gone has left behind.
    pub async fn leave_container(&self) {
        self.container(&[(label::RUN, "old"), (label::OWNER, &ended_owner())])
            .await;
    }

    /// A container with these labels.
    pub async fn container(&self, labels: &[(&str, &str)]) {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let request = crate::engine::ContainerRequest {
            image: "upstream:1".to_owned(),
            labels: labels.collect(),
            ..crate::engine::ContainerRequest::default()
        };
        self.engine.start(&request).await.unwrap();
    }
}

fn workplace(
    root: &Path,
    (engine, others): (&Arc<Fake>, &Others),
    shown: &Arc<Memory>,
    settings: &[(&'static str, &str)],
) -> Workplace {
    let mut flags = BTreeMap::from([
        ("BASE_IMAGE", "upstream:1".to_owned()),
        ("MISSION", "m".to_owned()),
        ("TEST_SERVER", "0".to_owned()),
    ]);
    flags.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let display: Arc<dyn Sink> = shown.clone();
    Workplace {
        repository: Repository::at(root),
        state: State::of(root),
        settings: config::resolve(&flags, |_| None, &BTreeMap::new()).unwrap(),
        agent: root.join("agent"),
        hidden: Hidden::default(),
        display: Box::new(move || display.clone()),
        login: |_| None,
        renderer: Box::new(Unbounded),
        connect: Box::new(Ready(engine.clone(), others.clone())),
        connected: OnceCell::new(),
    }
}

/// The owner that a process of this one's number was before.
pub fn ended_owner() -> String {
    let current = Owner::current().to_string();
    format!("{}/1", current.rsplit_once('/').unwrap().0)
}

/// A container that runs a suite in which each of `tests` has this verdict.
pub fn run(tests: &[(&TestId, Verdict)]) -> Run {
    let mut events = vec![Event::SuiteStarted {
        format: FORMAT,
        tests: tests.iter().map(|(id, _)| (*id).clone()).collect(),
        jobs: 1,
    }];
    let mut summary = Summary::default();
    for (id, verdict) in tests {
        summary.count(verdict);
        events.push(Event::TestFinished(TestFinished::new((*id).clone(), verdict.clone())));
    }
    let code = if summary.failed > 0 { 100 } else { 0 };
    events.push(Event::SuiteFinished { summary });
    Run {
        said: events,
        exit: Some(ContainerExit {
            code,
            out_of_memory: false,
        }),
        ..Run::default()
    }
}

pub fn failed() -> Verdict {
    Verdict::Failed(Cause::new(CauseKind::Error, "no"))
}

pub fn numpy() -> TestId {
    TestId::import("e", "numpy")
}

pub fn m() -> MissionName {
    "m".parse().unwrap()
}

/// A test by a part of its ID, and nothing else.
pub fn filtered(filter: &str) -> Asked {
    Asked {
        selection: crate::suite::selection::Selection::of_filters(vec![filter.to_owned()]),
        ..Asked::default()
    }
}

/// What stands for an image that floe did not build.
pub fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}
