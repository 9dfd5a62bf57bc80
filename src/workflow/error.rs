//! Why a command could not do what it means.

use std::path::{Path, PathBuf};

use super::{AttachError, ConsoleError, Interrupt, Nothing, OverBudget, PackagesError, SpecifyError, StageError};
use crate::attest::ProofError;
use crate::builder::BuildError;
use crate::deploy::{DeployError, Refusal};
use crate::deployment::DeploymentError;
use crate::driver::DriverError;
use crate::dsse::KeyError;
use crate::engine::{EngineError, JobSettingsError};
use crate::envs::EnvsError;
use crate::fault::{Explained, Kind, Place};
use crate::freeze::FreezeError;
use crate::gate::GateError;
use crate::hub::HubError;
use crate::inventory::InventoryError;
use crate::plan::PlanError;
use crate::publish::PublishError;
use crate::reference::{EnvironmentName, MissionName, ReferenceError};
use crate::registry::RegistryError;
use crate::report::error::ReportError;
use crate::repository::{self, DefinitionError};
use crate::run::log::LogError;
use crate::spec::SpecError;
use crate::state::FileError;
use crate::suite::discover::DiscoverError;

/// Why a command could not do what it means. That tests failed is an outcome, not one of these.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// A name is not well formed.
    #[error(transparent)]
    Name(#[from] ReferenceError),
    /// Something below a directory of definitions is not what it should be.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// The definition of an image cannot be used.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The definition of the tests cannot be used.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// The spec files of an environment cannot be used.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// What changed since a commit is not known.
    #[error("what changed is not known: {reason}")]
    Since {
        /// Why.
        reason: String,
    },
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An image could not be built or found.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Frozen specs could not be taken out of an image.
    #[error(transparent)]
    Freeze(#[from] FreezeError),
    /// Specs cannot be changed as they were asked to be.
    #[error(transparent)]
    Specify(#[from] SpecifyError),
    /// An environment could not be solved.
    #[error(transparent)]
    Solve(#[from] EnvsError),
    /// An image may not be pushed, or its push went wrong.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The registry refused or failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A deployment is not declared well.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// What a stage runs is not known, or may not be changed.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// There is no proof that an image passed its tests.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// What an image holds could not be found out.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A gate of the site's own did not let an image pass.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The log of a run cannot be written or read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The reports of a run cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// No mission is named, by the call or by the settings.
    #[error("no mission is named")]
    MissionUnnamed {
        /// The missions there are.
        known: Vec<MissionName>,
    },
    /// All missions are asked for, and there is none.
    #[error("missions/ holds no mission")]
    NoMissions,
    /// No test is asked for.
    #[error(transparent)]
    Nothing(#[from] Nothing),
    /// The mission's own test script could not be started in any container.
    #[error("{} is not executable", .path.display())]
    NotExecutable {
        /// The script.
        path: PathBuf,
    },
    /// A frozen spec was made from other specs than there are now.
    #[error("{} is stale: the floating specs beside it have changed since it was made from them", .path.display())]
    Stale {
        /// The frozen spec, relative to the repository.
        path: PathBuf,
    },
    /// An image is larger than it may be.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// Images are to be pushed, and the settings name no registry.
    #[error("REGISTRY is not set, so there is nowhere to push to")]
    NoRegistry,
    /// Tests are to run where the image is not, and the settings name no registry.
    #[error("REGISTRY is not set, so there is nowhere that the image could be pulled from")]
    NothingToPull,
    /// Runs are left to a cluster, which keeps them.
    #[error("only a cluster keeps a run that nobody follows")]
    NoCluster,
    /// What the Jobs of a cluster are like cannot be read.
    #[error(transparent)]
    Jobs(#[from] JobSettingsError),
    /// The agent cannot run in the image.
    #[error("{reference} is an image for {there}, and floe here is a program for {here}")]
    OtherPlatform {
        /// The image.
        reference: String,
        /// What the image is for, e.g. `linux/arm64`.
        there: String,
        /// What floe is for.
        here: String,
    },
    /// A directory of notebooks holds none.
    #[error("{} holds no notebook", .0.display())]
    NoNotebooks(PathBuf),
    /// A copy of a base environment of conda packages cannot be solved without building it.
    #[error(
        "{name} is a copy of a base environment of conda packages, which only a build can solve with what is added"
    )]
    CopyOfConda {
        /// The environment.
        name: EnvironmentName,
        /// Its frozen spec, relative to the repository.
        path: PathBuf,
    },
    /// uv is not installed, which solves pip lists.
    #[error("uv is not installed, which solves pip lists")]
    NoUv,
    /// The address of the mirror of conda's channels makes no sense.
    #[error("CONDA_MIRROR: {0}")]
    Mirror(#[from] url::ParseError),
    /// What was added to the specs is not in the image.
    #[error("the image of {mission} does not hold what was added: {}", .absent.join(", "))]
    NotInstalled {
        /// The mission.
        mission: MissionName,
        /// The packages, each with its environment.
        absent: Vec<String>,
    },
    /// The log of a run is not whole.
    #[error("{}: {reason}", .path.display())]
    LogIncomplete {
        /// The log.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What deploys a stage failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// A hub does not answer as one.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A stage did not become what was waited for, or was not checked.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A run that was left is not taken up.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// Nobody is let into a container.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// Packages cannot be looked at, or are not there.
    #[error(transparent)]
    Packages(#[from] PackagesError),
    /// A build was interrupted, and what it had begun is undone.
    #[error("interrupted; nothing was left half-done")]
    Interrupted(Interrupt),
}

impl From<Refusal> for WorkflowError {
    fn from(refusal: Refusal) -> Self {
        Self::Deploy(refusal.into())
    }
}

impl Explained for WorkflowError {
    fn kind(&self) -> Kind {
        match self {
            Self::Interrupted(Interrupt::Interrupted) => Kind::Interrupted,
            Self::Interrupted(Interrupt::Terminated) => Kind::Terminated,
            Self::MissionUnnamed { .. } | Self::NoCluster => Kind::Usage,
            Self::NoMissions | Self::Nothing(_) | Self::NoNotebooks(_) => Kind::Nothing,
            Self::NotExecutable { .. }
            | Self::Stale { .. }
            | Self::NoRegistry
            | Self::NothingToPull
            | Self::OtherPlatform { .. }
            | Self::CopyOfConda { .. }
            | Self::NoUv
            | Self::Since { .. }
            | Self::Mirror(_) => Kind::Invalid,
            Self::NotInstalled { .. } | Self::OverBudget(_) => Kind::Refused,
            Self::LogIncomplete { .. } => Kind::Internal,
            _ => self.cause().map_or(Kind::Internal, Explained::kind),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::MissionUnnamed { known } => {
                let known = known.iter().map(MissionName::as_str).collect::<Vec<_>>().join(", ");
                format!("name one of {known}, set MISSION in setup-env, or take --all-missions")
            }
            Self::Nothing(nothing) => nothing.hint(),
            Self::NotExecutable { .. } => "`chmod +x` it, and commit that".to_owned(),
            Self::Stale { path } => format!(
                "`floe build{} --use-frozen 0` builds from the floating specs and writes it again",
                mission(path)
            ),
            Self::OverBudget(over) => format!(
                "`floe packages --image {} --by-size` lists all; SIZE_BUDGET and GROWTH_BUDGET allow more",
                over.id().short()
            ),
            Self::NoRegistry | Self::NothingToPull => {
                "set REGISTRY in setup-env, or give --registry HOST/PATH".to_owned()
            }
            Self::NoCluster => "`--detach` goes with `--on kubernetes`".to_owned(),
            Self::Since { .. } => "name a branch, a tag or a commit that this clone has".to_owned(),
            Self::OtherPlatform { .. } => "test it on a machine of its own kind".to_owned(),
            Self::CopyOfConda { path, .. } => format!(
                "`floe build{} --use-frozen 0`, or give it a yml of its own",
                mission(path)
            ),
            Self::NoUv => {
                "install it, e.g. by `pip install uv`, or build, which needs none here: `floe build --use-frozen 0`"
                    .to_owned()
            }
            Self::NotInstalled { mission, .. } => {
                format!(
                    "`floe build {mission} --use-frozen 0` solves the specs as they are, and freezes what comes of it"
                )
            }
            Self::LogIncomplete { .. } => "the run's results are not complete; is the disk full?".to_owned(),
            _ => return self.cause()?.hint(),
        })
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::NotExecutable { path } | Self::Stale { path } => Some(Place::of(path, None)),
            _ => self.cause()?.place(),
        }
    }
}

/// The mission of a file as an argument behind a command's name; nothing for a file that all missions share.
fn mission(path: &Path) -> String {
    repository::mission_of(path).map_or_else(String::new, |mission| format!(" {mission}"))
}

impl WorkflowError {
    /// The error of another module that this one stands for.
    fn cause(&self) -> Option<&dyn Explained> {
        Some(match self {
            Self::Name(error) => error,
            Self::Definition(error) => error,
            Self::Plan(error) => error,
            Self::Discover(error) => error,
            Self::Spec(error) => error,
            Self::Engine(error) => error,
            Self::Build(error) => error,
            Self::Freeze(error) => error,
            Self::Specify(error) => error,
            Self::Solve(error) => error,
            Self::Publish(error) => error,
            Self::Registry(error) => error,
            Self::Deployment(error) => error,
            Self::Deploy(error) => error,
            Self::Key(error) => error,
            Self::Proof(error) => error,
            Self::Inventory(error) => error,
            Self::Gate(error) => error,
            Self::Log(error) => error,
            Self::Report(error) => error,
            Self::File(error) => error,
            Self::Driver(error) => error,
            Self::Hub(error) => error,
            Self::Stage(error) => error,
            Self::Console(error) => error,
            Self::Packages(error) => error,
            Self::Jobs(error) => error,
            Self::Attach(error) => error,
            _ => return None,
        })
    }
}
