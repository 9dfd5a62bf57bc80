//! The applets that run tests: from a shell, or for a script of the mission by the agent that watches it.

use std::time::Duration;

use clap::Subcommand;

use super::machine::{Machine, children_and_signals, verdict};
use crate::cli::args::run::{RunArgs, SelectionArgs};
use crate::cli::failure::Failure;
use crate::event::{Sink, Summary};
use crate::image::applet;
use crate::reference::{EnvironmentName, TestId};
use crate::server;
use crate::suite::request::Request;
use crate::suite::{self, TestPlan, discover};
use crate::workflow::Interrupts;

/// The command lines of the applets that run tests.
#[derive(Debug, Subcommand)]
pub enum TestApplet {
    /// Import modules, each in a process of its own
    #[command(name = applet::TEST_IMPORTS)]
    Imports {
        #[command(flatten)]
        run: RunArgs,
        /// The modules, after the environment to import them in if it is not `base`
        #[arg(required = true, value_name = "[KERNEL] MODULE")]
        words: Vec<String>,
    },
    /// Execute notebooks on a kernel; `!` before one runs it alone, `#` skips it
    #[command(name = applet::TEST_NOTEBOOKS)]
    Notebooks {
        #[command(flatten)]
        run: RunArgs,
        /// The kernel, which has the name of its environment
        kernel: EnvironmentName,
        /// The notebooks, by paths or patterns
        #[arg(required = true)]
        notebooks: Vec<String>,
    },
    /// Run the tests of one environment
    #[command(name = applet::TEST_ENVIRONMENT, visible_alias = applet::ENV_TEST)]
    Environment {
        #[command(flatten)]
        run: RunArgs,
        /// The environment
        environment: EnvironmentName,
    },
    /// Start the image's server as a hub does, and see whether it answers, loads JupyterLab and starts kernels
    #[command(name = applet::TEST_SERVER)]
    Server {
        /// Its tests, e.g. `roman-cal::server::kernel`; for all environments, if none is named
        tests: Vec<TestId>,
        /// How many seconds the server may take until it answers
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        timeout: u64,
        /// The command that starts the server
        #[arg(last = true, default_value = server::COMMAND)]
        command: Vec<String>,
    },
    /// Run the tests of all environments
    #[command(name = applet::TEST_ENVIRONMENTS)]
    Environments {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        selection: SelectionArgs,
        /// Parts of test IDs, to run only those tests
        filters: Vec<String>,
    },
}

/// What tests are run for: the host's wishes, and what the mission's files define.
pub struct Call<'a> {
    /// What the host asks for, if there is one.
    pub of_host: Option<Request>,
    /// The tests as they were before anything of the image ran; read from its files where nobody has.
    pub defined: Option<&'a TestPlan>,
    /// Who asks for an end.
    pub interrupts: &'a Interrupts,
    /// Where events go.
    pub events: &'a dyn Sink,
}

impl TestApplet {
    /// Runs the tests for whoever called the applet.
    pub async fn run_here(self, machine: &Machine) -> Result<(), Failure> {
        let display = machine.display();
        let call = Call {
            of_host: machine.request_of_host()?,
            defined: None,
            interrupts: &children_and_signals()?,
            events: display.as_ref(),
        };
        let by_host = call.of_host.is_some();
        let summary = self.run(machine, call).await?;
        verdict(summary, by_host)
    }

    /// Runs the tests.
    pub async fn run(self, machine: &Machine, call: Call<'_>) -> Result<Summary, Failure> {
        let Call {
            of_host,
            defined,
            interrupts,
            events,
        } = call;
        let defined = || match defined {
            Some(plan) => Ok(plan.clone()),
            None => discover::load(&machine.layout.environments),
        };
        match self {
            Self::Imports { run, words } => {
                let (kernel, modules) = suite::split_kernel(&words, |name| machine.has_environment(name));
                let environment = kernel.unwrap_or_else(EnvironmentName::base);
                let plan = TestPlan::imports(&environment, modules);
                machine
                    .test(&plan, &machine.asked(&run, of_host)?, interrupts, events)
                    .await
            }
            Self::Notebooks { run, kernel, notebooks } => {
                let plan = TestPlan::notebooks(&kernel, &notebooks, machine.directory());
                machine
                    .test(&plan, &machine.asked(&run, of_host)?, interrupts, events)
                    .await
            }
            Self::Environment { run, environment } => {
                let plan = defined()?.of_environment(&environment);
                machine
                    .test_selected(&plan, &machine.asked(&run, of_host)?, interrupts, events)
                    .await
            }
            Self::Environments {
                run,
                selection,
                filters,
            } => {
                let plan = defined()?.select(&selection.selection(filters));
                machine
                    .test_selected(&plan, &machine.asked(&run, of_host)?, interrupts, events)
                    .await
            }
            Self::Server {
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
                    .test_server(&subject, Duration::from_secs(timeout), interrupts, events)
                    .await
            }
        }
    }
}
