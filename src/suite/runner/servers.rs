//! The servers that fork kernels: one for each environment that has several notebooks, started for the first of them.
//!
//! They make a run faster and never decide a verdict: whatever goes wrong with one is noted, and the notebook's kernel is
//! started from scratch.

use std::collections::BTreeMap;

use tokio::sync::OnceCell;

use super::Options;
use crate::event::{Event, Sink};
use crate::kernel::warm::{Server, ServerError};
use crate::kernel::{Kernel, KernelError, Launch};
use crate::reference::EnvironmentName;
use crate::suite::{Mode, Subject, TestPlan};

/// How many notebooks a server is worth its start.
const WORTHWHILE: usize = 2;

/// The servers of one run.
pub struct Servers<'a> {
    of: BTreeMap<&'a EnvironmentName, OnceCell<Option<Server>>>,
    sink: &'a dyn Sink,
}

impl<'a> Servers<'a> {
    /// Servers for the notebooks of the plan, none of them started.
    pub fn new(plan: &'a TestPlan, options: &Options, sink: &'a dyn Sink) -> Self {
        let mut notebooks: BTreeMap<&EnvironmentName, usize> = BTreeMap::new();
        for test in plan.tests().iter().filter(|_| !options.cold) {
            let runs = matches!(test.mode, Mode::Parallel | Mode::Alone);
            if runs && matches!(test.subject, Subject::Notebook { .. }) {
                *notebooks.entry(&test.environment).or_default() += 1;
            }
        }
        let worthwhile = notebooks.into_iter().filter(|&(_, count)| count >= WORTHWHILE);
        Self {
            of: worthwhile
                .map(|(environment, _)| (environment, OnceCell::new()))
                .collect(),
            sink,
        }
    }

    /// A kernel of the environment: forked where that is possible, otherwise started.
    pub async fn kernel(&self, environment: &EnvironmentName, launch: Launch<'_>) -> Result<Kernel, KernelError> {
        let Some(cell) = self.of.get(environment) else {
            return Kernel::start(launch).await;
        };
        let Some(server) = cell.get_or_init(|| self.start(environment, launch)).await else {
            return Kernel::start(launch).await;
        };
        match Kernel::fork(launch, server).await {
            Ok(kernel) => Ok(kernel),
            Err(error) => {
                self.note(format!(
                    "{environment}: a kernel is started from scratch, since {error}"
                ));
                Kernel::start(launch).await
            }
        }
    }

    /// Ends all servers.
    pub async fn end(self) {
        for server in self.of.into_values().filter_map(|cell| cell.into_inner().flatten()) {
            server.end().await;
        }
    }

    async fn start(&self, environment: &EnvironmentName, launch: Launch<'_>) -> Option<Server> {
        let server = match launch.spec.launcher(launch.python, launch.directory) {
            Some((launcher, _)) => Server::start(&launcher, &launch.variables(), launch.scratch, launch.ready).await,
            None => Err(ServerError::Refused(
                "they do not start ipykernel as Python's do".to_owned(),
            )),
        };
        let noted = |error| {
            self.note(format!(
                "{environment}: each kernel is started from scratch, since {error}"
            ));
        };
        server.map_err(noted).ok()
    }

    fn note(&self, text: String) {
        self.sink.emit(Event::Note { text });
    }
}
