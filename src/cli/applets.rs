//! The commands inside an image, under `/opt/common-scripts/`: environments are installed, tests are run.
//!
//! Their arguments are those of the original framework.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use super::args::When;
use super::failure::{ExitCode, Failure};
use super::output;
use crate::envs::{self, Installer, Layout, Tools};
use crate::event::{Event, Sink};
use crate::kernel::spec::{JupyterDirectories, SearchPath};
use crate::process;
use crate::reference::EnvironmentName;
use crate::report::json::Wire;
use crate::report::terminal::Terminal;
use crate::spec::frozen::Frozen;
use crate::suite::runner::{self, Options};
use crate::suite::{self, TestPlan, discover};
use crate::trial;

/// Runs the applet `name`.
pub async fn run(name: &str, arguments: Vec<OsString>) -> Result<(), Failure> {
    let words = std::iter::once(OsString::from(name)).chain(arguments);
    let command = match Applet::try_parse_from([OsString::from("floe")].into_iter().chain(words)) {
        Ok(command) => command,
        Err(error) => return output::usage(&error),
    };
    let machine = Machine::of_environment()?;
    let (layout, tools) = (&machine.layout, &machine.tools);
    let display = machine.display();
    let events = display.as_ref();
    match command {
        Applet::EnvCreate { environment, file } => {
            Ok(envs::env_create(layout, tools, &environment, file.as_deref(), events)?)
        }
        Applet::EnvExport {
            environment,
            to,
            offline,
        } => {
            if offline {
                events.emit(Event::Warning {
                    text: "pip packages are frozen without the digests that an index would tell".to_owned(),
                });
            }
            let digests = to.as_ref().filter(|_| !offline).map(|_| &tools.pip);
            let frozen = envs::env_export(layout, &environment, digests, events)?;
            let Some(directory) = to else {
                return output::result(&frozen.to_yml());
            };
            Ok(frozen.save(&Frozen::yml_path(&directory, environment.as_str()))?)
        }
        Applet::EnvClone { source, environment } => Ok(envs::env_clone(layout, &source, &environment, events)?),
        Applet::EnvUpdate { environment, files } => Ok(envs::env_update(layout, tools, &environment, &files, events)?),
        Applet::InstallCommon { environment } => Ok(envs::install_common(layout, tools, &environment, events)?),
        Applet::EnvStage { environment, directory } => Ok(envs::env_stage(layout, &environment, &directory, events)?),
        Applet::KernelSetup { environments } => {
            envs::kernel_setup(layout, &environments, events)?;
            Ok(())
        }
        Applet::TestImports { words } => {
            let (kernel, modules) = suite::split_kernel(&words, |name| machine.has_environment(name));
            let environment = kernel.map_or_else(|| "base".parse(), Ok)?;
            machine.test(&TestPlan::imports(&environment, modules), events).await
        }
        Applet::TestNotebooks { kernel, notebooks } => {
            let here = std::env::current_dir().map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
            machine
                .test(&TestPlan::notebooks(&kernel, &notebooks, &here), events)
                .await
        }
        Applet::TestEnvironment { environment } => {
            let plan = discover::load(&machine.layout.environments)?;
            machine.test(&plan.of_environment(&environment), events).await
        }
        Applet::TestEnvironments { filters } => {
            let plan = discover::load(&machine.layout.environments)?;
            let given = variable(trial::FILTERS).unwrap_or_default();
            let filters = filters
                .into_iter()
                .chain(given.lines().map(str::to_owned))
                .collect::<Vec<_>>();
            machine.test(&plan.filtered(&filters), events).await
        }
    }
}

/// The command lines of the applets. Each is the name of a program.
#[derive(Debug, Parser)]
#[command(name = "floe applet", bin_name = "", version, disable_help_subcommand = true)]
enum Applet {
    /// Create an environment, from an environment.yml if one is given
    #[command(name = "env-create")]
    EnvCreate {
        /// The new environment
        environment: EnvironmentName,
        /// The spec file
        file: Option<PathBuf>,
    },
    /// Create an environment as a copy of another one; works offline
    #[command(name = "env-clone")]
    EnvClone {
        /// The environment to copy, e.g. `base`
        source: EnvironmentName,
        /// The new environment
        environment: EnvironmentName,
    },
    /// Install what spec files (.yml, .conda, .pip) list into an environment
    #[command(name = "env-update")]
    EnvUpdate {
        /// The environment
        environment: EnvironmentName,
        /// The spec files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the frozen spec of an environment, from what is installed in it
    #[command(name = "env-export")]
    EnvExport {
        /// The environment
        environment: EnvironmentName,
        /// Write `<env>-frozen.yml`, and its lock with the digests of all packages, into this directory instead
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Ask no index: pip packages are locked without their digests
        #[arg(long, requires = "to")]
        offline: bool,
    },
    /// Install what all environments share into an environment
    #[command(name = "install-common")]
    InstallCommon {
        /// The environment
        environment: EnvironmentName,
    },
    /// Move a finished environment below a directory, normalized, as one layer's content
    #[command(name = "env-stage")]
    EnvStage {
        /// The environment
        environment: EnvironmentName,
        /// The directory
        directory: PathBuf,
    },
    /// Register environments as Jupyter kernels; all of them, if none is named
    #[command(name = "kernel-setup")]
    KernelSetup {
        /// The environments
        environments: Vec<EnvironmentName>,
    },
    /// Import modules, each in a process of its own
    #[command(name = "test-imports")]
    TestImports {
        /// The modules, after the environment to import them in if it is not `base`
        #[arg(required = true, value_name = "[KERNEL] MODULE")]
        words: Vec<String>,
    },
    /// Execute notebooks on a kernel; `!` before one runs it alone, `#` skips it
    #[command(name = "test-notebooks")]
    TestNotebooks {
        /// The kernel, which has the name of its environment
        kernel: EnvironmentName,
        /// The notebooks
        #[arg(required = true)]
        notebooks: Vec<String>,
    },
    /// Run the tests of one environment
    #[command(name = "test-environment")]
    TestEnvironment {
        /// The environment
        environment: EnvironmentName,
    },
    /// Run the tests of all environments
    #[command(name = "test-environments")]
    TestEnvironments {
        /// Parts of test IDs, to run only those tests
        filters: Vec<String>,
    },
}

/// The program that installs pip lists, with the cache that the build mounts.
fn installer(conda_dir: &Path) -> Installer {
    match Installer::of(conda_dir) {
        Installer::Uv { program, .. } => Installer::Uv {
            program,
            cache: variable("UV_CACHE_DIR").map(PathBuf::from),
        },
        Installer::Pip => Installer::Pip,
    }
}

/// What the site says about conda: the base environment's own `.condarc`, then the file that CONDARC names.
fn conda(conda_dir: &Path) -> Result<envs::conda::Config, Failure> {
    let mut config = envs::conda::Config {
        certificates: variable("SSL_CERT_FILE")
            .map(PathBuf::from)
            .filter(|file| file.is_file()),
        // It may list several, of which conda, too, writes to the first.
        cache: variable("CONDA_PKGS_DIRS").and_then(|list| list.split(',').next().map(|dir| PathBuf::from(dir.trim()))),
        cuda: variable("CONDA_OVERRIDE_CUDA"),
        ..envs::conda::Config::default()
    };
    let site = variable("CONDARC").map(PathBuf::from);
    for file in [Some(conda_dir.join(".condarc")), site].into_iter().flatten() {
        config.read(&file).map_err(envs::EnvsError::from)?;
    }
    Ok(config)
}

/// The value of an environment variable that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The image that the applets work in.
struct Machine {
    layout: Layout,
    tools: Tools,
    options: Options,
    /// Whether a floe on the host listens to the events.
    observed: bool,
}

impl Machine {
    fn of_environment() -> Result<Self, Failure> {
        let number = |name: &str| variable(name).and_then(|text| text.parse::<u64>().ok());
        let seconds = |name: &str, default| Duration::from_secs(number(name).unwrap_or(default));
        let conda_dir = PathBuf::from(variable("CONDA_DIR").unwrap_or_else(|| "/opt/conda".to_owned()));
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let limit = seconds("NOTEBOOK_TIMEOUT", 1800);
        let scratch = std::env::temp_dir();
        Ok(Self {
            options: Options {
                jobs: number("TEST_JOBS")
                    .and_then(|n| usize::try_from(n).ok())
                    .unwrap_or(processors),
                cold: false,
                cell_timeout: seconds("CELL_TIMEOUT", 600),
                notebook_timeout: limit,
                import_timeout: limit,
                script_timeout: limit,
                ready_timeout: Duration::from_mins(1),
                grace: Duration::from_secs(5),
                settle: Duration::from_secs(10),
                notebook_output: 10 << 20,
                artifacts: variable(trial::ARTIFACTS).map_or_else(|| scratch.join("floe-artifacts"), PathBuf::from),
                scratch,
                kernels: SearchPath::new(&JupyterDirectories {
                    jupyter_path: std::env::var_os("JUPYTER_PATH"),
                    data_directory: variable("JUPYTER_DATA_DIR").map(PathBuf::from),
                    xdg_data_home: variable("XDG_DATA_HOME").map(PathBuf::from),
                    home: variable("HOME").map(PathBuf::from),
                    prefix: conda_dir.clone(),
                }),
                variables: std::env::vars_os().collect(),
                conda_dir: conda_dir.clone(),
            },
            tools: Tools {
                pip: installer(&conda_dir),
                conda: conda(&conda_dir)?,
            },
            layout: Layout::of_image(conda_dir),
            observed: variable(trial::EVENTS).is_some(),
        })
    }

    fn has_environment(&self, name: &EnvironmentName) -> bool {
        self.options.prefix(name).is_dir()
    }

    /// Where events go: to the floe that listens on standard output, or to people.
    fn display(&self) -> Arc<dyn Sink> {
        if self.observed {
            return Arc::new(Wire::new(Box::new(io::stdout())));
        }
        let style = output::style(When::Auto, false);
        Arc::new(Terminal::new(Box::new(io::stderr()), style))
    }

    async fn test(&self, plan: &TestPlan, events: &dyn Sink) -> Result<(), Failure> {
        for test in plan.tests() {
            self.layout.refuse_incomplete(&test.environment)?;
        }
        process::adopt_orphans()
            .map_err(|error| Failure::new(ExitCode::Internal, format!("orphans cannot be adopted: {error}")))?;
        let summary = runner::run(plan, &self.options, events).await;
        if summary.failed > 0 {
            Err(Failure::shown(ExitCode::TestsFailed))
        } else if summary.ran() == 0 {
            Err(Failure::new(ExitCode::NothingRan, "no test ran"))
        } else {
            Ok(())
        }
    }
}
