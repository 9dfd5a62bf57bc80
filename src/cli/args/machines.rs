//! Where tests run, as options name it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::cluster::{Context, context};
use crate::cli::failure::{ExitCode, Failure};
use crate::engine::EngineName;
use crate::workflow::{OnCluster, OnEngines, WorkflowError};

/// What else than this machine's engine runs the tests.
#[derive(Debug, Clone, Args)]
pub struct MachineArgs {
    /// Where the tests run: `kubernetes[:CONTEXT]`, or engines (`docker,ssh://me@far`)
    ///
    /// Engines are named as `DOCKER_HOST` names one (`unix://PATH`, `tcp://HOST:PORT`, `ssh://USER@HOST`), as `context:NAME`, or
    /// as `docker`, which is the one that floe uses anyway. The image is brought to REGISTRY first, for those to pull that lack
    /// it: engines, and a cluster's nodes.
    #[arg(long, value_name = "WHERE", value_parser = place, conflicts_with_all = ["watch", "added", "image", "list"], help_heading = "On other machines")]
    on: Option<On>,
    /// How many parts the tests are divided into [default: one an engine; one pod]
    ///
    /// Parts take about as long as each other, by earlier runs. Each has a container or pod of its own.
    #[arg(long, value_name = "N", requires = "on", help_heading = "On other machines")]
    shards: Option<NonZeroUsize>,
    /// How many of them run at a time: on each engine [default: 1], on a cluster [default: all]
    #[arg(
        long,
        value_name = "N",
        requires = "on",
        hide_short_help = true,
        help_heading = "On other machines"
    )]
    at_once: Option<NonZeroUsize>,
    /// Leave a cluster's tests once they have begun, for `floe attach RUN`
    #[arg(
        long,
        requires = "on",
        conflicts_with = "at_once",
        help_heading = "On other machines"
    )]
    pub detach: bool,
    /// What the pods are like: namespace, resources, volumes … [default: kubernetes.yml, where there is one]
    #[arg(
        long,
        value_name = "FILE",
        requires = "on",
        hide_short_help = true,
        help_heading = "On other machines"
    )]
    kubernetes: Option<PathBuf>,
}

/// What runs the tests.
#[derive(Debug, Clone, PartialEq, Eq)]
enum On {
    /// The cluster of this context, or of the current one.
    Cluster(Option<String>),
    Engines(Vec<EngineName>),
}

fn place(text: &str) -> Result<On, String> {
    if !text.contains(',')
        && let Ok(Context(context)) = context(text)
    {
        return Ok(On::Cluster(context));
    }
    let mut engines = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name.starts_with("kubernetes") {
            return Err("a cluster stands alone: kubernetes or kubernetes:CONTEXT".to_owned());
        }
        let engine = EngineName::parse(name)?;
        if engines.contains(&engine) {
            return Err(format!(
                "{engine} is named twice; --at-once says how much runs there at a time"
            ));
        }
        engines.push(engine);
    }
    Ok(On::Engines(engines))
}

impl MachineArgs {
    /// The cluster, where one is named.
    #[must_use]
    pub fn cluster(&self) -> Option<OnCluster> {
        match &self.on {
            Some(On::Cluster(context)) => Some(OnCluster {
                context: context.clone(),
                shards: self.shards.unwrap_or(NonZeroUsize::MIN),
                at_once: self.at_once,
                settings: self.kubernetes.clone(),
            }),
            _ => None,
        }
    }

    /// The engines, where some are named.
    #[must_use]
    pub fn engines(&self) -> Option<OnEngines> {
        match &self.on {
            Some(On::Engines(engines)) => Some(OnEngines {
                engines: engines.clone(),
                shards: self.shards,
                at_once: self.at_once,
            }),
            _ => None,
        }
    }

    /// An error where an option is for a cluster alone, and engines are named.
    pub fn check(&self) -> Result<(), Failure> {
        if !matches!(self.on, Some(On::Engines(_))) {
            return Ok(());
        }
        if self.detach {
            return Err(WorkflowError::NoCluster.into());
        }
        if self.kubernetes.is_some() {
            let message = "--kubernetes says what pods are like, and --on names engines";
            return Err(Failure::new(ExitCode::Usage, message));
        }
        Ok(())
    }
}
