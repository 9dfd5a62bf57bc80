//! Carries out a test plan: each test in processes of its own, a verdict for each, and always a summary.

mod cause;
pub mod directory;
mod execution;
mod import;
pub mod links;
mod notebook;
pub mod policy;
pub mod schedule;
pub mod script;
mod servers;
mod shown;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use self::links::Links;
use self::policy::Policy;
use self::servers::Servers;
use super::options::RunOptions;
use super::request::Expected;
use super::settings::Settings;
use super::{Subject, Test, TestPlan};
use crate::envs;
use crate::event::{Cause, CauseKind, Event, FORMAT, Sink, Summary, Verdict};
use crate::image;
use crate::kernel::spec::SearchPath;
use crate::process::memory::OomCounter;
use crate::process::{Ended, Exit};
use crate::quantity::Limit;
use crate::reference::{EnvironmentName, TestId};

/// How tests are run. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many tests run at a time; at least one.
    pub jobs: usize,
    /// The limit of each cell that sets none of its own.
    pub cell_timeout: Duration,
    /// The limit of each notebook that sets none of its own, from its kernel's start.
    pub notebook_timeout: Duration,
    /// The limit of each import.
    pub import_timeout: Duration,
    /// The limit of each script.
    pub script_timeout: Duration,
    /// How long a kernel may take to answer its first request.
    pub ready_timeout: Duration,
    /// How long a process may take to stop when it is asked to, before it is killed.
    pub grace: Duration,
    /// How long a kernel may be silent between its reply to a cell and the report that it is idle.
    pub settle: Duration,
    /// How many bytes of output an executed notebook keeps.
    pub notebook_output: usize,
    /// `$CONDA_DIR`: the environment `base`, with all others under `envs/`.
    pub conda_dir: PathBuf,
    /// Where executed notebooks are written, under `notebooks/<environment>/`.
    pub artifacts: PathBuf,
    /// An existing directory for temporary files.
    pub scratch: PathBuf,
    /// Where kernels are looked for.
    pub kernels: SearchPath,
    /// The environment variables that tests inherit.
    pub variables: BTreeMap<OsString, OsString>,
    /// Whether each notebook gets a kernel that is started for it.
    pub cold: bool,
    /// Whether each notebook runs on the kernel that it names, where it names one.
    pub own_kernels: bool,
    /// What bounds the run as a whole.
    pub policy: Policy,
}

/// Where tests run. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// `$CONDA_DIR`: the base environment, with all others under `envs/`.
    pub conda_dir: PathBuf,
    /// Where executed notebooks are written, under `notebooks/<environment>/`.
    pub artifacts: PathBuf,
    /// An existing directory for temporary files.
    pub scratch: PathBuf,
    /// Where kernels are looked for.
    pub kernels: SearchPath,
    /// The environment variables that tests inherit.
    pub variables: BTreeMap<OsString, OsString>,
    /// How many bytes of memory there are for tests, where that is known.
    pub memory: Option<u64>,
}

/// What became of one test.
struct Outcome {
    verdict: Verdict,
    peak_memory: Option<u64>,
    output: String,
    notebook: Option<String>,
    /// What is said of the run, beside the test: once, however many tests say it.
    notes: Vec<String>,
}

impl Options {
    /// What `run` says, and what holds where it says nothing.
    #[must_use]
    pub fn new(run: &RunOptions, known: BTreeMap<TestId, Expected>, place: Surroundings) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let limit = |said: Option<Limit>, default: Duration| said.map_or(default, |limit| limit.0);
        let notebook_timeout = limit(run.notebook_timeout, Duration::from_mins(30));
        Self {
            jobs: run.jobs.map_or(processors, NonZeroUsize::get),
            cell_timeout: limit(run.cell_timeout, Duration::from_mins(10)),
            notebook_timeout,
            import_timeout: notebook_timeout,
            script_timeout: notebook_timeout,
            ready_timeout: Duration::from_mins(1),
            grace: Duration::from_secs(5),
            settle: Duration::from_secs(10),
            notebook_output: 10 << 20,
            cold: run.cold,
            own_kernels: false,
            policy: Policy::new(run, known, place.memory),
            kernels: place.kernels,
            variables: place.variables,
            conda_dir: place.conda_dir,
            artifacts: place.artifacts,
            scratch: place.scratch,
        }
    }

    /// The options for the tests of an environment that says this of them.
    ///
    /// What is said of few tests wins over what is said of many: the metadata of a cell over that of its notebook, that
    /// over the settings of the environment, and those over these options.
    fn of_environment(&self, settings: &Settings) -> Self {
        let limit = |own: Option<Limit>, general: Duration| own.map_or(general, |limit| limit.0);
        Self {
            cell_timeout: limit(settings.cell_timeout, self.cell_timeout),
            notebook_timeout: limit(settings.notebook_timeout, self.notebook_timeout),
            import_timeout: limit(settings.import_timeout, self.import_timeout),
            script_timeout: limit(settings.script_timeout, self.script_timeout),
            own_kernels: settings.own_kernels,
            ..self.clone()
        }
    }

    /// The interpreter of an environment. A system's own may be there by its full name alone.
    #[must_use]
    pub fn python(&self, environment: &EnvironmentName) -> PathBuf {
        let bin = self.prefix(environment).join("bin");
        let python3 = bin.join("python3");
        if !bin.join("python").exists() && python3.exists() {
            return python3;
        }
        bin.join("python")
    }

    /// The prefix of an environment.
    #[must_use]
    pub fn prefix(&self, environment: &EnvironmentName) -> PathBuf {
        image::prefix(&self.conda_dir, environment)
    }

    /// A command that runs `program` with an environment active, for a test.
    fn activated(&self, environment: &EnvironmentName, program: &Path) -> Command {
        envs::activated(environment, &self.prefix(environment), program, &self.variables)
    }
}

/// Runs every test of the plan and emits what happens.
///
/// Nothing that a test does ends the run: what goes wrong is that test's verdict.
pub async fn run(plan: &TestPlan, options: &Options, sink: &dyn Sink) -> Summary {
    sink.emit(Event::SuiteStarted {
        format: FORMAT,
        tests: plan.ids(),
        jobs: options.jobs.max(1),
    });
    let own = plan.tests().iter().map(|test| &test.environment);
    let own = own
        .filter_map(|name| Some((name, options.of_environment(plan.settings(name)?))))
        .collect::<BTreeMap<_, _>>();
    let servers = Servers::new(plan, options, sink);
    let links = Arc::new(Links::new(&options.scratch));
    let shared = (&servers, &links);
    let carry_out = |test| carry_out(test, own.get(&test.environment).unwrap_or(options), shared);
    let summary = execution::run(plan, options.jobs, &options.policy, sink, carry_out).await;
    servers.end().await;
    sink.emit(Event::SuiteFinished { summary });
    summary
}

async fn carry_out(test: &Test, options: &Options, shared: (&Servers<'_>, &Arc<Links>)) -> Outcome {
    let environment = &test.environment;
    match &test.subject {
        Subject::Import { module } => import::run(environment, module, options).await,
        Subject::Notebook { name, path, root } => {
            let file = notebook::File {
                environment,
                name,
                path,
                root,
            };
            notebook::run(file, options, shared).await
        }
        Subject::Script { path } => script::run(environment, path, options).await,
    }
}

impl Outcome {
    fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            peak_memory: None,
            output: String::new(),
            notebook: None,
            notes: Vec::new(),
        }
    }

    fn failed(kind: CauseKind, message: impl Into<String>) -> Self {
        Self::of(Verdict::Failed(Cause::new(kind, message)))
    }

    /// The verdict on a process that has ended, with what it printed and notes of what it did not tell.
    fn of_ended(verdict: Verdict, ended: Ended, watch: &OomWatch) -> Self {
        let mut output = ended.output;
        let mut note = |text: String| {
            if !output.is_empty() && !output.ends_with('\n') {
                output.push('\n');
            }
            output.push_str("[floe: ");
            output.push_str(&text);
            output.push_str("]\n");
        };
        // Most end by themselves a moment later, as the helpers of joblib and multiprocessing do.
        if !ended.left_behind.is_empty() {
            let names: Vec<&str> = ended.left_behind.iter().map(|left| left.name.as_str()).collect();
            note(format!("left behind and killed: {}", names.join(", ")));
        }
        let kills = watch.kills();
        if kills > 0 {
            note(format!(
                "killed at the memory limit while this test ran: {kills} of all processes in the container"
            ));
        }
        Self {
            output,
            ..Self::of(verdict)
        }
    }
}

/// The verdict on a test that passed, unless it left a process that had made itself independent: that would go on
/// running beside whatever comes next. Others end with the session that a user has, and fail no test.
fn unless_leaked(verdict: Verdict, ended: &Ended) -> Verdict {
    let daemons = ended.left_behind.iter().filter(|left| left.daemon);
    let names: Vec<&str> = daemons.map(|left| left.name.as_str()).collect();
    if verdict != Verdict::Passed || names.is_empty() {
        return verdict;
    }
    let message = format!("left behind in a session of its own, and killed: {}", names.join(", "));
    Verdict::Failed(Cause::new(CauseKind::Leak, message))
}

/// Counts the processes that are killed for want of memory while a test runs.
#[derive(Debug)]
pub struct OomWatch {
    counter: OomCounter,
    before: u64,
}

impl OomWatch {
    /// Begins to count.
    #[must_use]
    pub fn start() -> Self {
        let counter = OomCounter::of_this_process();
        Self {
            before: counter.kills(),
            counter,
        }
    }

    fn kills(&self) -> u64 {
        self.counter.kills().saturating_sub(self.before)
    }

    /// Why a process ended before its work was done.
    ///
    /// The counter is that of the whole container, so it says something only of a process that was killed.
    fn cause(&self, what: &str, exit: Option<Exit>) -> Cause {
        match exit {
            Some(exit @ Exit::Signal(9)) if self.kills() > 0 => {
                Cause::new(CauseKind::Oom, format!("{what} was killed at the memory limit: {exit}"))
            }
            Some(exit @ Exit::Signal(_)) => Cause::new(CauseKind::KernelDied, format!("{what} was killed: {exit}")),
            Some(exit @ Exit::Code(_)) => Cause::new(CauseKind::EarlyExit, format!("{what} ended early, with {exit}")),
            None => Cause::new(CauseKind::Infra, format!("{what} could not be killed")),
        }
    }
}

fn timeout_cause(what: &str, limit: Duration) -> Cause {
    Cause::new(
        CauseKind::Timeout,
        format!("{what} took longer than {} s", limit.as_secs_f64()),
    )
}

/// A directory of a test's own below `scratch`.
fn scratch(scratch: &Path) -> Result<tempfile::TempDir, Cause> {
    let directory = tempfile::Builder::new().prefix("floe-test-").tempdir_in(scratch);
    directory.map_err(|error| {
        let message = format!("cannot make a directory in {}: {error}", scratch.display());
        Cause::new(CauseKind::Infra, message)
    })
}
