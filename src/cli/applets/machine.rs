//! The image that the applets work in, as its environment variables describe it.

use std::ffi::OsStr;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::place::Place;
use crate::cli::args::run::RunArgs;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::signals;
use crate::envs::{self, Installer, Layout, Tools, Work};
use crate::event::wire::{Encoder, Wire};
use crate::event::{Event, FORMAT, Sink, Summary};
use crate::image::{self, variable};
use crate::kernel::spec::{JupyterDirectories, SearchPath};
use crate::process;
use crate::process::memory;
use crate::reference::EnvironmentName;
use crate::report::terminal::Terminal;
use crate::server;
use crate::suite::TestPlan;
use crate::suite::options::RunOptions;
use crate::suite::request::Request;
use crate::suite::runner::{self, Options, Surroundings};
use crate::workflow::Interrupts;

/// The image that the applets work in.
pub struct Machine {
    pub layout: Layout,
    pub tools: Tools,
    /// Whether environments are made of frozen specs alone.
    pub use_frozen: bool,
    conda_dir: PathBuf,
    place: Place,
}

/// What tests are asked to do, and whether a host asked.
pub struct Asked {
    request: Request,
    by_host: bool,
}

impl Machine {
    /// Work on an environment of the image.
    pub fn work<'a>(&'a self, name: &'a EnvironmentName, sink: &'a dyn Sink) -> Work<'a> {
        Work {
            layout: &self.layout,
            tools: &self.tools,
            name,
            sink,
        }
    }

    /// The image as a process with these surroundings sees it.
    pub fn of(place: Place) -> Result<Self, Failure> {
        let conda_dir = place
            .setting("CONDA_DIR")
            .map_or_else(|| base_environment(&place), PathBuf::from);
        let mut layout = Layout::of_image(conda_dir.clone());
        if let Some(directory) = place.setting(variable::ENVIRONMENTS) {
            layout.environments = PathBuf::from(directory);
        }
        Ok(Self {
            tools: Tools {
                pip: installer(&conda_dir, &place),
                conda: conda(&conda_dir, &place)?,
                cache: place.setting(variable::CACHE).map(PathBuf::from),
            },
            use_frozen: use_frozen(&place)?,
            layout,
            conda_dir,
            place,
        })
    }

    /// What the call was told by a variable.
    pub fn setting(&self, name: &str) -> Option<String> {
        self.place.setting(name)
    }

    pub fn has_environment(&self, name: &EnvironmentName) -> bool {
        self.layout.prefix(name).is_dir()
    }

    /// The base environment and all others that are there.
    pub fn environments(&self) -> Vec<EnvironmentName> {
        let entries = std::fs::read_dir(image::environments_below(&self.conda_dir))
            .into_iter()
            .flatten();
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut names = names.chain([EnvironmentName::base()]).collect::<Vec<EnvironmentName>>();
        names.sort();
        names
    }

    /// Where events go.
    pub fn display(&self) -> Arc<dyn Sink> {
        display(&self.place)
    }

    /// What the host asks of the agent, if there is one.
    pub fn request_of_host(&self) -> Result<Option<Request>, Failure> {
        request_of_host(&self.place)
    }

    /// Where the call was made.
    pub fn directory(&self) -> &Path {
        &self.place.directory
    }

    /// What is asked for: by the options of this call, by the host, and by the variables of `setup-env`.
    pub fn asked(&self, options: &RunArgs, of_host: Option<Request>) -> Result<Asked, Failure> {
        let by_host = of_host.is_some();
        let mut request = match of_host {
            Some(request) => request,
            None => Request {
                options: RunOptions::of_variables(|name| self.place.setting(name))?,
                ..Request::default()
            },
        };
        request.options = options.options().over(&request.options);
        Ok(Asked { request, by_host })
    }

    /// Runs those tests of the plan that the host asked for.
    pub async fn test_selected(
        &self,
        plan: &TestPlan,
        asked: &Asked,
        interrupts: &Interrupts,
        events: &dyn Sink,
    ) -> Result<Summary, Failure> {
        let selected = plan.select(&asked.request.selection);
        if asked.by_host && selected.tests().is_empty() {
            let jobs = asked.request.options.jobs.map_or(1, NonZeroUsize::get);
            events.emit(Event::SuiteStarted {
                format: FORMAT,
                tests: Vec::new(),
                jobs,
            });
            let summary = Summary::default();
            events.emit(Event::SuiteFinished { summary });
            return Ok(summary);
        }
        self.test(&selected, asked, interrupts, events).await
    }

    /// Runs the tests of the plan.
    pub async fn test(
        &self,
        plan: &TestPlan,
        asked: &Asked,
        interrupts: &Interrupts,
        events: &dyn Sink,
    ) -> Result<Summary, Failure> {
        for test in plan.tests() {
            self.layout.refuse_incomplete(&test.environment)?;
        }
        let options = self.options(&asked.request);
        let (stop, heard) = (options.policy.stop.clone(), interrupts.clone());
        let listening = tokio::spawn(async move {
            heard.first().await;
            stop.ask();
        });
        let summary = runner::run(plan, &options, events).await;
        listening.abort();
        unless_interrupted(interrupts).map(|()| summary)
    }

    /// Tests the server of the image.
    pub async fn test_server(
        &self,
        subject: &server::Subject,
        start_timeout: Duration,
        interrupts: &Interrupts,
        events: &dyn Sink,
    ) -> Result<Summary, Failure> {
        let options = server::Options {
            start_timeout,
            answer_timeout: Duration::from_mins(1),
            grace: Duration::from_secs(5),
            variables: self.place.of_tests(),
        };
        tokio::select! {
            summary = server::run(subject, &options, events) => Ok(summary),
            how = interrupts.first() => Err(Failure::new(how.into(), "interrupted")),
        }
    }

    fn options(&self, request: &Request) -> Options {
        let place = &self.place;
        let scratch = std::env::temp_dir();
        let surroundings = Surroundings {
            conda_dir: self.conda_dir.clone(),
            artifacts: place
                .setting(variable::ARTIFACTS)
                .map_or_else(|| scratch.join("floe-artifacts"), PathBuf::from),
            scratch,
            kernels: SearchPath::new(&JupyterDirectories {
                jupyter_path: place.value("JUPYTER_PATH").map(OsStr::to_owned),
                data_directory: place.setting("JUPYTER_DATA_DIR").map(PathBuf::from),
                xdg_data_home: place.setting("XDG_DATA_HOME").map(PathBuf::from),
                home: place.setting("HOME").map(PathBuf::from),
                prefix: self.conda_dir.clone(),
            }),
            variables: place.of_tests(),
            memory: memory::available(),
        };
        Options::new(&request.options, request.known.clone(), surroundings)
    }
}

/// Where events go: to the floe that listens on standard output, or to people.
pub fn display(place: &Place) -> Arc<dyn Sink> {
    if let Some(key) = place.setting(variable::EVENTS) {
        let encoder = key.parse().map_or_else(|_| Encoder::default(), Encoder::sealed);
        return Arc::new(Wire::new(encoder, Box::new(io::stdout())));
    }
    Arc::new(Terminal::new(Box::new(io::stderr()), output::style()))
}

/// What the host asks of the agent, if there is one.
pub fn request_of_host(place: &Place) -> Result<Option<Request>, Failure> {
    Ok(Request::of_variables(|name| place.setting(name))?)
}

/// What a test's processes need of the agent: all that they start is theirs, and who asks the agent to end is heard.
pub fn children_and_signals() -> Result<Interrupts, Failure> {
    process::adopt_orphans()
        .map_err(|error| Failure::new(ExitCode::Internal, format!("orphans cannot be adopted: {error}")))?;
    process::claim_strangers();
    signals::listen()
}

/// An error if somebody has asked for an end.
pub fn unless_interrupted(interrupts: &Interrupts) -> Result<(), Failure> {
    match interrupts.so_far() {
        Some(how) => Err(Failure::new(how.into(), "interrupted")),
        None => Ok(()),
    }
}

/// What a set of tests means for a call. That a host asked for none of them is in order: other calls, or other parts, have
/// them.
pub fn verdict(summary: Summary, by_host: bool) -> Result<(), Failure> {
    if by_host && summary == Summary::default() {
        Ok(())
    } else if summary.failed > 0 {
        Err(Failure::shown(ExitCode::TestsFailed))
    } else if summary.ran() == 0 {
        Err(Failure::new(ExitCode::NothingRan, "no test ran"))
    } else {
        Ok(())
    }
}

/// Where the base environment is, if no variable says it: where images of Jupyter have it, else that of the python on the
/// PATH.
fn base_environment(place: &Place) -> PathBuf {
    let usual = PathBuf::from(image::CONDA_DIR);
    if usual.join("bin").is_dir() {
        return usual;
    }
    let mut directories = std::env::split_paths(place.value("PATH").unwrap_or_default());
    let python = |bin: &PathBuf| ["python", "python3"].iter().any(|name| bin.join(name).is_file());
    let found = directories.find(python);
    found.and_then(|bin| Some(bin.parent()?.to_owned())).unwrap_or(usual)
}

/// The program that installs pip lists, with the cache that the build mounts.
fn installer(conda_dir: &Path, place: &Place) -> Installer {
    match Installer::of(conda_dir) {
        Installer::Uv { program, .. } => Installer::Uv {
            program,
            cache: place.setting("UV_CACHE_DIR").map(PathBuf::from),
        },
        Installer::Pip => Installer::Pip,
    }
}

/// What the site says about conda: the base environment's own `.condarc`, then the file that CONDARC names.
fn conda(conda_dir: &Path, place: &Place) -> Result<envs::conda::Config, Failure> {
    let mut config = envs::conda::Config {
        certificates: place.setting("SSL_CERT_FILE").map(PathBuf::from),
        // It may list several, of which conda, too, writes to the first.
        cache: place
            .setting("CONDA_PKGS_DIRS")
            .and_then(|list| list.split(',').next().map(|dir| PathBuf::from(dir.trim()))),
        cuda: place.setting("CONDA_OVERRIDE_CUDA"),
        ..envs::conda::Config::default()
    };
    let site = place.setting("CONDARC").map(PathBuf::from);
    for file in [Some(conda_dir.join(".condarc")), site].into_iter().flatten() {
        config.read(&file).map_err(envs::EnvsError::from)?;
    }
    Ok(config)
}

/// What `USE_FROZEN` says: in an image whose author says nothing, specs float.
fn use_frozen(place: &Place) -> Result<bool, Failure> {
    match place.setting("USE_FROZEN").as_deref() {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(other) => Err(Failure::new(
            ExitCode::Invalid,
            format!("USE_FROZEN={other}: expected 0 or 1"),
        )),
    }
}
