//! How a call ends: exit codes, and errors turned into messages with hints. This is the only place that does either.

use std::io::ErrorKind;
use std::process;

use crate::builder::BuildError;
use crate::builder::rootfs::RootfsError;
use crate::compose::ComposeError;
use crate::config::ConfigError;
use crate::context::ContextError;
use crate::engine::{EngineError, fault};
use crate::envs::EnvsError;
use crate::freeze::FreezeError;
use crate::git::GitError;
use crate::plan::PlanError;
use crate::publish::PublishError;
use crate::reference::ReferenceError;
use crate::registry::RegistryError;
use crate::report::folder::ReportError;
use crate::run::log::LogError;
use crate::spec::SpecError;
use crate::state::FileError;
use crate::suite::discover::DiscoverError;
use crate::suite::options::VariableError;
use crate::suite::request::RequestError;
use crate::suite::settings::SettingsError;
use crate::workflow::{Interrupt, WorkflowError};

/// Every exit code of floe. Never a count of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything went as it should.
    Success = 0,
    /// A defect of floe, or of the machine under it.
    Internal = 1,
    /// The command line is not understood.
    Usage = 2,
    /// A definition or a setting is invalid.
    Invalid = 3,
    /// Nothing was selected, or no test ran.
    NothingRan = 4,
    /// The engine, a registry or the network is unavailable; safe to try again.
    Unavailable = 75,
    /// Tests failed.
    TestsFailed = 100,
    /// A build or the installation of an environment failed.
    BuildFailed = 101,
    /// A gate refused.
    Refused = 102,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
    /// Interrupted by a request to terminate.
    Terminated = 143,
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// A call that did not succeed: what is said, and the code that it ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Failure {
    /// The exit code.
    pub code: ExitCode,
    /// What went wrong; empty where the display has said it already.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with a message.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// The same failure with what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failure that the display has explained already.
    pub fn shown(code: ExitCode) -> Self {
        Self::new(code, "")
    }
}

impl From<Interrupt> for ExitCode {
    fn from(how: Interrupt) -> Self {
        match how {
            Interrupt::Interrupted => Self::Interrupted,
            Interrupt::Terminated => Self::Terminated,
        }
    }
}

impl From<WorkflowError> for Failure {
    fn from(error: WorkflowError) -> Self {
        let hint = error.hint();
        let code = match error {
            WorkflowError::Name(error) => return error.into(),
            WorkflowError::Plan(error) => return error.into(),
            WorkflowError::Discover(error) => return error.into(),
            WorkflowError::Spec(error) => return error.into(),
            WorkflowError::Engine(error) => return error.into(),
            WorkflowError::Build(error) => return error.into(),
            WorkflowError::Freeze(error) => return error.into(),
            WorkflowError::Solve(error) => return error.into(),
            WorkflowError::Publish(error) => return error.into(),
            WorkflowError::Registry(error) => return error.into(),
            WorkflowError::Log(error) => return error.into(),
            WorkflowError::Report(error) => return error.into(),
            WorkflowError::File(path, error) => return (path, error).into(),
            WorkflowError::MissionUnnamed { .. } => ExitCode::Usage,
            WorkflowError::NoMissions | WorkflowError::Nothing(_) | WorkflowError::NoNotebooks(_) => {
                ExitCode::NothingRan
            }
            WorkflowError::NotExecutable { .. }
            | WorkflowError::Stale { .. }
            | WorkflowError::NoRegistry
            | WorkflowError::OtherPlatform { .. }
            | WorkflowError::CopyOfConda(_)
            | WorkflowError::NoUv
            | WorkflowError::Mirror(_) => ExitCode::Invalid,
            WorkflowError::LogIncomplete { .. } => ExitCode::Internal,
            WorkflowError::Interrupted(how, _) => how.into(),
        };
        Self {
            hint,
            ..Self::new(code, error.to_string())
        }
    }
}

impl From<ReferenceError> for Failure {
    fn from(error: ReferenceError) -> Self {
        Self::new(ExitCode::Invalid, error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Self::new(ExitCode::Invalid, error.to_string());
        match error {
            ConfigError::SetupEnv(_) => {
                failure.hint("setup-env holds comments and `export NAME=value` lines; see setup-env.template")
            }
            ConfigError::Value { .. } => failure.hint("setup-env.template explains every setting"),
            ConfigError::Read { .. } => failure,
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let failure = Self::new(ExitCode::Invalid, error.to_string());
        match error {
            PlanError::Compose(ComposeError::Nothing { .. }) => failure.hint(
                "add environments/<env>/<env>.pip for a generated image, or a Dockerfile.custom that extends ${BASE_IMAGE}",
            ),
            PlanError::Compose(ComposeError::Read { .. }) => {
                failure.hint("every image needs common/Dockerfile, every mission common/Dockerfile.trailer")
            }
            PlanError::Compose(ComposeError::Template { .. }) => failure.hint(
                "a template sees mission, environments, frozen, common_image, and the blocks env_stages and env_layers",
            ),
            PlanError::Compose(ComposeError::Ambiguous { .. }) => failure.hint("remove one of them"),
            PlanError::Spec(error) => Self {
                hint: error.hint(),
                ..failure
            },
            PlanError::UnknownMission { .. } | PlanError::Context(_) => failure,
        }
    }
}

impl From<FreezeError> for Failure {
    fn from(error: FreezeError) -> Self {
        match error {
            FreezeError::Build(error) => error.into(),
            FreezeError::Spec(error) => {
                let failure = Self::new(ExitCode::Invalid, error.to_string());
                Self {
                    hint: error.hint(),
                    ..failure
                }
            }
            FreezeError::Directory { .. } => Self::new(ExitCode::Internal, error.to_string()),
        }
    }
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        Self::new(ExitCode::Invalid, error.to_string())
    }
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        Self::new(ExitCode::Internal, error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::from_engine(&error)
    }
}

impl Failure {
    fn from_engine(error: &EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::Unreachable { .. } => Self::new(ExitCode::Unavailable, message).hint(
                "install Docker Engine (Debian: `apt-get install docker.io`) and start it (`systemctl start docker`, \
                 or `dockerd &` without systemd); DOCKER_HOST names another socket",
            ),
            EngineError::Gone { .. } | EngineError::Request { temporary: true, .. } => {
                Self::new(ExitCode::Unavailable, message).hint("this may pass: try again")
            }
            // The display has shown what the step printed last.
            EngineError::Build { temporary: true, .. } => {
                Self::new(ExitCode::Unavailable, message).hint("the network or a server failed: try again")
            }
            EngineError::Build { .. } => Self::new(ExitCode::BuildFailed, message),
            EngineError::Request { .. } | EngineError::File { .. } => Self::new(ExitCode::Internal, message),
            EngineError::Context(_) => Self::new(ExitCode::Invalid, message),
        }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Engine { ref source, .. } => Self {
                message: error.to_string(),
                ..Self::from_engine(source)
            },
            BuildError::Rootfs(RootfsError::Engine(error)) => error.into(),
            BuildError::Rootfs(error) => {
                let failure = Self::new(ExitCode::BuildFailed, error.to_string());
                match error {
                    RootfsError::Missing => failure.hint("`apt-get install mmdebstrap`, or set BASE_IMAGE to an image"),
                    _ => failure,
                }
            }
            BuildError::NotBuilt { .. } => {
                Self::new(ExitCode::Invalid, error.to_string()).hint("build it first: `scripts/image-build`")
            }
            BuildError::Secret { .. } => Self::new(ExitCode::Invalid, error.to_string()),
            BuildError::State { .. } => Self::new(ExitCode::Internal, error.to_string()),
        }
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let message = error.to_string();
        match error {
            PublishError::Untested { .. } => Self::new(ExitCode::Refused, message)
                .hint("run `scripts/image-test` without filters; only a complete passing run counts"),
            PublishError::Redefined { .. } => Self::new(ExitCode::Refused, message)
                .hint("run `scripts/image-test` again: results count for the tests that were run"),
            PublishError::Taken { .. } => Self::new(ExitCode::Refused, message)
                .hint("someone pushed that tag from elsewhere; rebuild with --no-cache"),
            PublishError::Mismatch { .. } => {
                Self::new(ExitCode::Refused, message).hint("someone else pushes to the same tag; do not deploy it")
            }
            PublishError::Evidence(error) => error.into(),
            PublishError::Engine(error) => error.into(),
            PublishError::Registry(error) => error.into(),
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        if error.temporary {
            Self::new(ExitCode::Unavailable, error.to_string()).hint("is REGISTRY right, and does it answer? Try again")
        } else {
            Self::new(ExitCode::Refused, error.to_string())
                .hint("log in with `docker login` if it asks for credentials")
        }
    }
}

impl From<FileError> for Failure {
    fn from((path, error): FileError) -> Self {
        let failure = Self::new(ExitCode::Internal, format!("{}: {error}", path.display()));
        match error.kind() {
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                failure.hint("floe keeps runs and reports in .floe/ of the repository, and must be able to write there")
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => failure.hint("the disk is full"),
            _ => failure,
        }
    }
}

impl From<DiscoverError> for Failure {
    fn from(error: DiscoverError) -> Self {
        let failure = Self::new(ExitCode::Invalid, error.to_string());
        match error {
            DiscoverError::Settings(SettingsError::Invalid { .. }) => failure.hint(
                "settings.yml may hold cell-timeout, notebook-timeout, import-timeout, script-timeout, retries and alone",
            ),
            _ => failure,
        }
    }
}

impl From<VariableError> for Failure {
    fn from(error: VariableError) -> Self {
        Self::new(ExitCode::Invalid, error.to_string())
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::new(ExitCode::Invalid, error.to_string())
            .hint("the image's floe is another than the host's; build the image again")
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::new(ExitCode::Internal, error.to_string()).hint("the run's results are not complete; is the disk full?")
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::new(ExitCode::Internal, error.to_string()).hint("`events.jsonl` beside it holds the results")
    }
}

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        let failure = Self::new(ExitCode::Invalid, error.to_string());
        Self {
            hint: error.hint(),
            ..failure
        }
    }
}

impl From<EnvsError> for Failure {
    fn from(error: EnvsError) -> Self {
        let hint = error.hint();
        let failure = match &error {
            EnvsError::Install { stderr, .. } | EnvsError::Index { stderr, .. } if fault::is_temporary(stderr) => {
                Self::new(ExitCode::Unavailable, error.to_string()).hint("the network or a server failed: try again")
            }
            EnvsError::Conda(error) if error.is_temporary() => Self::new(ExitCode::Unavailable, error.to_string()),
            EnvsError::Conda(error) if !error.is_invalid() => Self::new(ExitCode::BuildFailed, error.to_string()),
            EnvsError::Install { .. } | EnvsError::Index { .. } | EnvsError::Io { .. } | EnvsError::Start { .. } => {
                Self::new(ExitCode::BuildFailed, error.to_string())
            }
            _ => Self::new(ExitCode::Invalid, error.to_string()),
        };
        Self {
            hint: hint.or(failure.hint.clone()),
            ..failure
        }
    }
}
