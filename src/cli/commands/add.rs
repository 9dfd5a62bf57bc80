//! `floe add`: packages put into an environment's specs, solved and frozen in one step.

use clap::Args;

use super::lock::Solving;
use super::remove::specified;
use crate::cli::args::Global;
use crate::cli::failure::Failure;
use crate::reference::{EnvironmentName, MissionName};
use crate::spec::edit::PackageKind;
use crate::workflow::{Change, Specify};

/// Add packages to an environment: its specs, its frozen spec and its lock, in seconds and without a build
#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    wanted: Wanted,
}

/// Packages for an environment.
#[derive(Debug, Clone, Args)]
pub(super) struct Wanted {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// What to add, as a list would say it: `numpy`, `numpy>=2`, `name @ https://…`
    #[arg(value_name = "PACKAGE", required = true)]
    pub packages: Vec<String>,
    /// The mission, if `setup-env` names none or another
    #[arg(long)]
    mission: Option<MissionName>,
    /// As conda packages, which an environment with a yml of its own gets by itself
    #[arg(long)]
    conda: bool,
    /// As pip packages
    #[arg(long, conflicts_with = "conda")]
    pip: bool,
    /// The spec file to put them into, by its name beside the others; it may be new
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    #[command(flatten)]
    pub solving: Solving,
}

impl Wanted {
    /// What is to become of the environment's specs.
    pub fn specify(&self) -> Specify {
        let kind = match (self.conda, self.pip) {
            (true, _) => Some(PackageKind::Conda),
            (_, true) => Some(PackageKind::Pip),
            _ => None,
        };
        Specify {
            mission: self.mission.clone(),
            environment: self.environment.clone(),
            change: Change::Add(self.packages.clone()),
            kind,
            file: self.file.clone(),
            upgrade: self.solving.upgrade(),
            dry_run: self.solving.dry_run,
        }
    }
}

/// Adds packages to an environment.
pub fn execute(global: &Global, args: &AddArgs) -> Result<(), Failure> {
    specified(global, &args.wanted.specify(), &args.wanted.solving)
}
