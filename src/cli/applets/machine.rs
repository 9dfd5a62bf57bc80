//! The image that the applets work in, as its environment variables describe it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::args::When;
use crate::cli::args::run::RunArgs;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::signals;
use crate::envs::{self, Installer, Layout, Tools};
use crate::event::wire::Wire;
use crate::event::{Event, FORMAT, Sink, Summary};
use crate::image::{self, variable};
use crate::kernel::spec::{JupyterDirectories, SearchPath};
use crate::process;
use crate::reference::EnvironmentName;
use crate::report::terminal::Terminal;
use crate::server;
use crate::suite::TestPlan;
use crate::suite::options::RunOptions;
use crate::suite::request::Request;
use crate::suite::runner::{self, Options, Surroundings, available};
use crate::workflow::Interrupts;

/// The image that the applets work in.
pub struct Machine {
    pub layout: Layout,
    pub tools: Tools,
    conda_dir: PathBuf,
    /// Whether a floe on the host listens to the events.
    observed: bool,
}

/// What tests are asked to do, and whether a host asked.
pub struct Asked {
    request: Request,
    by_host: bool,
}

impl Machine {
    pub fn of_environment() -> Result<Self, Failure> {
        let conda_dir = setting("CONDA_DIR").map_or_else(base_environment, PathBuf::from);
        let mut layout = Layout::of_image(conda_dir.clone());
        if let Some(directory) = setting(variable::ENVIRONMENTS) {
            layout.environments = PathBuf::from(directory);
        }
        Ok(Self {
            tools: Tools {
                pip: installer(&conda_dir),
                conda: conda(&conda_dir)?,
            },
            layout,
            conda_dir,
            observed: setting(variable::EVENTS).is_some(),
        })
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

    /// Where events go: to the floe that listens on standard output, or to people.
    pub fn display(&self) -> Arc<dyn Sink> {
        if self.observed {
            return Arc::new(Wire::new(Box::new(io::stdout())));
        }
        let style = output::style(When::Auto, false);
        Arc::new(Terminal::new(Box::new(io::stderr()), style))
    }

    /// What is asked for: by the options of this call, by the host, and by the variables of `setup-env`.
    #[expect(clippy::unused_self, reason = "the variables are those of the machine")]
    pub fn request(&self, options: &RunArgs) -> Result<Asked, Failure> {
        let of_host = Request::of_variables(setting)?;
        let by_host = of_host.is_some();
        let mut request = match of_host {
            Some(request) => request,
            None => Request {
                options: RunOptions::of_variables(setting)?,
                ..Request::default()
            },
        };
        request.options = options.options().over(&request.options);
        Ok(Asked { request, by_host })
    }

    /// Runs those tests of the plan that the host asked for. That it asked for none of them is in order: other calls,
    /// or other parts, have them.
    pub async fn test_selected(&self, plan: &TestPlan, asked: &Asked, events: &dyn Sink) -> Result<(), Failure> {
        let selected = plan.select(&asked.request.selection);
        if asked.by_host && selected.tests().is_empty() {
            let jobs = asked.request.options.jobs.map_or(1, NonZeroUsize::get);
            events.emit(Event::SuiteStarted {
                format: FORMAT,
                tests: Vec::new(),
                jobs,
            });
            events.emit(Event::SuiteFinished {
                summary: Summary::default(),
            });
            return Ok(());
        }
        self.test(&selected, asked, events).await
    }

    /// Runs the tests of the plan.
    pub async fn test(&self, plan: &TestPlan, asked: &Asked, events: &dyn Sink) -> Result<(), Failure> {
        for test in plan.tests() {
            self.layout.refuse_incomplete(&test.environment)?;
        }
        let interrupts = children_and_signals()?;
        let options = self.options(&asked.request);
        let (stop, heard) = (options.policy.stop.clone(), interrupts.clone());
        tokio::spawn(async move {
            heard.first().await;
            stop.ask();
        });
        let summary = runner::run(plan, &options, events).await;
        match interrupts.so_far() {
            Some(how) => Err(Failure::new(how.into(), "interrupted")),
            None => verdict(summary),
        }
    }

    /// Tests the server of the image.
    pub async fn test_server(
        &self,
        subject: &server::Subject,
        start_timeout: Duration,
        events: &dyn Sink,
    ) -> Result<(), Failure> {
        let interrupts = children_and_signals()?;
        let options = server::Options {
            start_timeout,
            answer_timeout: Duration::from_mins(1),
            grace: Duration::from_secs(5),
            variables: variables(),
        };
        tokio::select! {
            summary = server::run(subject, &options, events) => verdict(summary),
            how = interrupts.first() => Err(Failure::new(how.into(), "interrupted")),
        }
    }

    fn options(&self, request: &Request) -> Options {
        let scratch = std::env::temp_dir();
        let surroundings = Surroundings {
            conda_dir: self.conda_dir.clone(),
            artifacts: setting(variable::ARTIFACTS).map_or_else(|| scratch.join("floe-artifacts"), PathBuf::from),
            scratch,
            kernels: SearchPath::new(&JupyterDirectories {
                jupyter_path: std::env::var_os("JUPYTER_PATH"),
                data_directory: setting("JUPYTER_DATA_DIR").map(PathBuf::from),
                xdg_data_home: setting("XDG_DATA_HOME").map(PathBuf::from),
                home: setting("HOME").map(PathBuf::from),
                prefix: self.conda_dir.clone(),
            }),
            variables: variables(),
            memory: available::memory(),
        };
        Options::new(&request.options, request.known.clone(), surroundings)
    }
}

/// What a test's processes need of the agent: all that they start is theirs, and who asks the agent to end is heard.
fn children_and_signals() -> Result<Interrupts, Failure> {
    process::adopt_orphans()
        .map_err(|error| Failure::new(ExitCode::Internal, format!("orphans cannot be adopted: {error}")))?;
    signals::listen()
}

fn verdict(summary: Summary) -> Result<(), Failure> {
    if summary.failed > 0 {
        Err(Failure::shown(ExitCode::TestsFailed))
    } else if summary.ran() == 0 {
        Err(Failure::new(ExitCode::NothingRan, "no test ran"))
    } else {
        Ok(())
    }
}

/// The variables that tests inherit. What host and agent say to each other concerns no test: one that calls an applet
/// itself reads its result.
fn variables() -> BTreeMap<OsString, OsString> {
    std::env::vars_os()
        .filter(|(name, _)| {
            name.to_str()
                .is_none_or(|name| !variable::is_between_host_and_agent(name))
        })
        .collect()
}

/// Where the base environment is, if no variable says it: where images of Jupyter have it, else that of the python on the
/// PATH.
fn base_environment() -> PathBuf {
    let usual = PathBuf::from(image::CONDA_DIR);
    if usual.join("bin").is_dir() {
        return usual;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories = std::env::split_paths(&path);
    let python = |bin: &PathBuf| ["python", "python3"].iter().any(|name| bin.join(name).is_file());
    let found = directories.find(python);
    found.and_then(|bin| Some(bin.parent()?.to_owned())).unwrap_or(usual)
}

/// The program that installs pip lists, with the cache that the build mounts.
fn installer(conda_dir: &Path) -> Installer {
    match Installer::of(conda_dir) {
        Installer::Uv { program, .. } => Installer::Uv {
            program,
            cache: setting("UV_CACHE_DIR").map(PathBuf::from),
        },
        Installer::Pip => Installer::Pip,
    }
}

/// What the site says about conda: the base environment's own `.condarc`, then the file that CONDARC names.
fn conda(conda_dir: &Path) -> Result<envs::conda::Config, Failure> {
    let mut config = envs::conda::Config {
        certificates: setting("SSL_CERT_FILE").map(PathBuf::from),
        // It may list several, of which conda, too, writes to the first.
        cache: setting("CONDA_PKGS_DIRS").and_then(|list| list.split(',').next().map(|dir| PathBuf::from(dir.trim()))),
        cuda: setting("CONDA_OVERRIDE_CUDA"),
        ..envs::conda::Config::default()
    };
    let site = setting("CONDARC").map(PathBuf::from);
    for file in [Some(conda_dir.join(".condarc")), site].into_iter().flatten() {
        config.read(&file).map_err(envs::EnvsError::from)?;
    }
    Ok(config)
}

/// The value of an environment variable that is set to something.
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
