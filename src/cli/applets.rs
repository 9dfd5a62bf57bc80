//! The commands inside an image, under `/opt/common-scripts/`: environments are installed, tests are run.
//!
//! Their arguments are those of the original framework.

mod machine;
mod script;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use self::machine::Machine;
use super::args::run::{RunArgs, SelectionArgs};
use super::failure::{ExitCode, Failure};
use super::output;
use crate::envs;
use crate::event::Event;
use crate::image::applet;
use crate::reference::{EnvironmentName, TestId};
use crate::server;
use crate::spec::frozen::Frozen;
use crate::suite::{self, TestPlan, discover};

/// Runs the applet that `words` begin with.
pub async fn run(words: Vec<OsString>) -> Result<(), Failure> {
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
        Applet::TestImports { run, words } => {
            let (kernel, modules) = suite::split_kernel(&words, |name| machine.has_environment(name));
            let environment = kernel.unwrap_or_else(EnvironmentName::base);
            let plan = TestPlan::imports(&environment, modules);
            machine.test(&plan, &machine.request(&run)?, events).await
        }
        Applet::TestNotebooks { run, kernel, notebooks } => {
            let here = std::env::current_dir().map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
            let plan = TestPlan::notebooks(&kernel, &notebooks, &here);
            machine.test(&plan, &machine.request(&run)?, events).await
        }
        Applet::TestEnvironment { run, environment } => {
            let plan = discover::load(&machine.layout.environments)?;
            let request = machine.request(&run)?;
            machine
                .test_selected(&plan.of_environment(&environment), &request, events)
                .await
        }
        Applet::TestEnvironments {
            script: Some(script), ..
        } => script::run(&script, events).await,
        Applet::TestEnvironments {
            run,
            selection,
            filters,
            script: None,
        } => {
            let plan = discover::load(&machine.layout.environments)?;
            let request = machine.request(&run)?;
            let plan = plan.select(&selection.selection(filters));
            machine.test_selected(&plan, &request, events).await
        }
        Applet::TestServer {
            tests,
            timeout,
            command,
        } => {
            let tests = if tests.is_empty() {
                server::tests("image", &machine.environments())
            } else {
                tests
            };
            let subject = server::Subject { tests, command };
            machine
                .test_server(&subject, Duration::from_secs(timeout), events)
                .await
        }
    }
}

#[cfg(test)]
pub(super) fn names() -> Vec<String> {
    use clap::CommandFactory as _;
    let command = Applet::command();
    command
        .get_subcommands()
        .map(|applet| applet.get_name().to_owned())
        .collect()
}

/// The command lines of the applets. Each is the name of a program.
#[derive(Debug, Parser)]
#[command(name = "floe applet", bin_name = "", version, disable_help_subcommand = true)]
enum Applet {
    /// Create an environment, from an environment.yml if one is given
    #[command(name = applet::ENV_CREATE)]
    EnvCreate {
        /// The new environment
        environment: EnvironmentName,
        /// The spec file
        file: Option<PathBuf>,
    },
    /// Create an environment as a copy of another one; works offline
    #[command(name = applet::ENV_CLONE)]
    EnvClone {
        /// The environment to copy, e.g. `base`
        source: EnvironmentName,
        /// The new environment
        environment: EnvironmentName,
    },
    /// Install what spec files (.yml, .conda, .pip) list into an environment
    #[command(name = applet::ENV_UPDATE)]
    EnvUpdate {
        /// The environment
        environment: EnvironmentName,
        /// The spec files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the frozen spec of an environment, from what is installed in it
    #[command(name = applet::ENV_EXPORT)]
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
    #[command(name = applet::INSTALL_COMMON)]
    InstallCommon {
        /// The environment
        environment: EnvironmentName,
    },
    /// Move a finished environment below a directory, normalized, as one layer's content
    #[command(name = applet::ENV_STAGE)]
    EnvStage {
        /// The environment
        environment: EnvironmentName,
        /// The directory
        directory: PathBuf,
    },
    /// Register environments as Jupyter kernels; all of them, if none is named
    #[command(name = applet::KERNEL_SETUP)]
    KernelSetup {
        /// The environments
        environments: Vec<EnvironmentName>,
    },
    /// Import modules, each in a process of its own
    #[command(name = applet::TEST_IMPORTS)]
    TestImports {
        #[command(flatten)]
        run: RunArgs,
        /// The modules, after the environment to import them in if it is not `base`
        #[arg(required = true, value_name = "[KERNEL] MODULE")]
        words: Vec<String>,
    },
    /// Execute notebooks on a kernel; `!` before one runs it alone, `#` skips it
    #[command(name = applet::TEST_NOTEBOOKS)]
    TestNotebooks {
        #[command(flatten)]
        run: RunArgs,
        /// The kernel, which has the name of its environment
        kernel: EnvironmentName,
        /// The notebooks, by paths or patterns
        #[arg(required = true)]
        notebooks: Vec<String>,
    },
    /// Run the tests of one environment
    #[command(name = applet::TEST_ENVIRONMENT)]
    TestEnvironment {
        #[command(flatten)]
        run: RunArgs,
        /// The environment
        environment: EnvironmentName,
    },
    /// Start the image's server as a hub does, and see whether it answers, loads JupyterLab and starts kernels
    #[command(name = applet::TEST_SERVER)]
    TestServer {
        /// Its tests, e.g. `roman-cal::server::kernel`; for all environments, if none is named
        tests: Vec<TestId>,
        /// How many seconds the server may take until it answers
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        timeout: u64,
        /// The command that starts the server
        #[arg(last = true, default_value = "start-notebook.py")]
        command: Vec<String>,
    },
    /// Run the tests of all environments
    #[command(name = applet::TEST_ENVIRONMENTS)]
    TestEnvironments {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        selection: SelectionArgs,
        /// Parts of test IDs, to run only those tests
        filters: Vec<String>,
        /// Run this program, and pass on to it and to the tests that it starts when they are to end
        #[arg(long, hide = true, exclusive = true)]
        script: Option<PathBuf>,
    },
}
