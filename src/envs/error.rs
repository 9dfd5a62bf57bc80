//! What can go wrong with an environment.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::fault::{Explained, Kind, Place, TRY_AGAIN, Trouble};
use crate::reference::EnvironmentName;
use crate::spec::env::{CondaSpec, SpecError};

use super::conda::error::CondaError;

/// An environment that cannot be made, changed or used.
#[derive(Debug, thiserror::Error)]
pub enum EnvsError {
    /// A file or directory cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is kept of a package is not what was kept.
    #[error("{path} is damaged: the package is installed again the next time")]
    Damaged {
        /// What was kept.
        path: PathBuf,
    },
    /// A spec file is not what it should be.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Conda packages cannot be found, chosen or installed.
    #[error(transparent)]
    Conda(#[from] CondaError),
    /// A frozen spec that is to be installed together with other files.
    #[error("{path} is a frozen spec, which says all there is to install: no other file can be added to it")]
    FrozenAmongOthers {
        /// The frozen spec.
        path: PathBuf,
    },
    /// A frozen spec of conda packages for a venv, or the reverse.
    #[error("{path} is of {}, the environment {name} is {}", kind(!is_conda), kind(*is_conda))]
    OtherKind {
        /// The environment.
        name: EnvironmentName,
        /// The frozen spec.
        path: PathBuf,
        /// Whether the environment is one of conda packages.
        is_conda: bool,
    },
    /// A pip list for an environment that has no python.
    #[error("{file} lists pip packages, but the environment {name} has no python")]
    NoPython {
        /// The environment.
        name: EnvironmentName,
        /// The list.
        file: PathBuf,
    },
    /// A file is no kind of list.
    #[error("{path} is no list of packages: its name must end in .yml, .conda or .pip")]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// There is no environment of that name.
    #[error("there is no environment {name} in {path}")]
    Missing {
        /// The environment.
        name: EnvironmentName,
        /// Where it should be.
        path: PathBuf,
        /// The environments that there are.
        known: Vec<EnvironmentName>,
    },
    /// The making of the environment was interrupted.
    #[error("the environment {name} in {path} is incomplete: the run that made it was interrupted")]
    Incomplete {
        /// The environment.
        name: EnvironmentName,
        /// Where it is.
        path: PathBuf,
    },
    /// A change of the environment was interrupted, or failed halfway.
    #[error("the environment {name} in {path} is incomplete: its last change failed or was interrupted")]
    Changing {
        /// The environment.
        name: EnvironmentName,
        /// Where it is.
        path: PathBuf,
    },
    /// An environment of that name is there already.
    #[error("there is an environment {name} already, in {path}")]
    Exists {
        /// The environment.
        name: EnvironmentName,
        /// Where it is.
        path: PathBuf,
    },
    /// A dependency that only conda can install.
    #[error("{}: `{}` needs conda packages, which a venv base cannot install", spec.place(), spec.text)]
    NeedsConda {
        /// The dependency.
        spec: CondaSpec,
    },
    /// The python of a venv is the one that the base environment has.
    #[error("{}: `{}` asks for another python than the base environment's {found}", spec.place(), spec.text)]
    Python {
        /// The dependency.
        spec: CondaSpec,
        /// The version that there is.
        found: String,
    },
    /// A program that installs something did not start.
    #[error("{program}: {source}")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program that installs something failed.
    #[error("{} failed ({status}){}", attempt(name, files), named(culprits))]
    Install {
        /// The environment.
        name: EnvironmentName,
        /// The lists that were being installed; none while the environment itself was being made.
        files: Vec<PathBuf>,
        /// How the program ended.
        status: ExitStatus,
        /// What it printed on its error output, which tells temporary failures from others.
        stderr: String,
        /// The requirements that its words name.
        culprits: Vec<Culprit>,
    },
    /// No set of packages is what the pip lists ask for, or nobody could tell one.
    #[error("the lists of {name} have no solution{}", named(culprits))]
    Unsolvable {
        /// The environment.
        name: EnvironmentName,
        /// The lists.
        files: Vec<PathBuf>,
        /// The solver's words, which tell temporary failures from others.
        stderr: String,
        /// The requirements that those name.
        culprits: Vec<Culprit>,
    },
    /// A record of a conda package, or what a program tells of pip packages, is not what it should be.
    #[error("{path}: {message}")]
    Record {
        /// The file or program.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The index did not tell the digests of the environment's pip packages.
    #[error("the digests of the pip packages in {name} cannot be had ({status}): {}", stderr.trim())]
    Index {
        /// The environment.
        name: EnvironmentName,
        /// How the program that asked ended.
        status: ExitStatus,
        /// What it printed on its error output, which tells temporary failures from others.
        stderr: String,
    },
    /// Some packages can be had on this machine alone.
    #[error("the environment {name} cannot be frozen: {}", listed(refused))]
    NotFreezable {
        /// The environment.
        name: EnvironmentName,
        /// Those packages.
        refused: Vec<Refusal>,
    },
    /// A binary file of a conda package that cannot name the prefix of a clone.
    #[error("{path} has room for a prefix of {room} bytes, and {prefix} has {}", prefix.as_os_str().len())]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// The prefix of the clone.
        prefix: PathBuf,
        /// The longest prefix that it was built for, in bytes.
        room: usize,
    },
    /// An environment that cannot be a Jupyter kernel.
    #[error("the environment {name} has no ipykernel, so it cannot be a Jupyter kernel")]
    NoKernel {
        /// The environment.
        name: EnvironmentName,
    },
    /// The base environment is part of the image, and no layer of its own.
    #[error("the base environment cannot be staged")]
    StageBase,
}

impl Explained for EnvsError {
    fn kind(&self) -> Kind {
        match self {
            Self::Spec(error) => error.kind(),
            Self::Conda(error) => error.kind(),
            Self::Install { stderr, .. } | Self::Unsolvable { stderr, .. } | Self::Index { stderr, .. }
                if Trouble::passing(stderr).is_some() =>
            {
                Kind::Temporary
            }
            Self::Damaged { .. } => Kind::Temporary,
            Self::Install { .. }
            | Self::Unsolvable { .. }
            | Self::Index { .. }
            | Self::Io { .. }
            | Self::Start { .. } => Kind::Build,
            Self::FrozenAmongOthers { .. }
            | Self::OtherKind { .. }
            | Self::NoPython { .. }
            | Self::UnknownKind { .. }
            | Self::Missing { .. }
            | Self::Incomplete { .. }
            | Self::Changing { .. }
            | Self::Exists { .. }
            | Self::NeedsConda { .. }
            | Self::Python { .. }
            | Self::Record { .. }
            | Self::NotFreezable { .. }
            | Self::NoRoom { .. }
            | Self::NoKernel { .. }
            | Self::StageBase => Kind::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Spec(error) => error.hint(),
            Self::Damaged { .. } => Some(TRY_AGAIN.to_owned()),
            Self::Missing { known, .. } if known.is_empty() => Some("no environment has been made yet".to_owned()),
            Self::Missing { known, .. } => {
                let known = known.iter().map(EnvironmentName::as_str).collect::<Vec<_>>();
                Some(format!("there are: {}", known.join(", ")))
            }
            Self::Incomplete { .. } => Some("make it again; what is left of it will be replaced".to_owned()),
            Self::Changing { name, .. } => Some(format!("run env-update {name} again; it repairs what is there")),
            Self::Conda(error) => error.hint(),
            Self::FrozenAmongOthers { .. } => {
                Some("change the floating spec, and freeze the environment again".to_owned())
            }
            Self::OtherKind { .. } => Some("freeze the environment again".to_owned()),
            Self::NoPython { .. } => Some("add `python` to the dependencies".to_owned()),
            Self::Exists { name, .. } => Some(format!("change it with env-update {name}, or remove its directory")),
            Self::NeedsConda { .. } => {
                Some("put it into a .pip list under its name on PyPI, or use a base image with conda".to_owned())
            }
            Self::Python { .. } => Some("change the bounds, or use a base image with that python".to_owned()),
            Self::NoKernel { name } => Some(format!(
                "add `ipykernel` to a .pip list of {name}, or to the lists of common/common-env"
            )),
            Self::NotFreezable { .. } => Some(
                "install them from an index, from an https: address or from a commit of a git repository".to_owned(),
            ),
            Self::NoRoom { .. } => Some("give the clone a shorter name".to_owned()),
            Self::Record { .. } => Some("make the environment again".to_owned()),
            Self::Index { .. } => Some(
                "does the index that lists and settings name hold these packages, and answer from here?".to_owned(),
            ),
            Self::Install { .. } | Self::Unsolvable { .. } if self.kind() == Kind::Temporary => {
                Some(TRY_AGAIN.to_owned())
            }
            Self::Io { .. }
            | Self::UnknownKind { .. }
            | Self::Start { .. }
            | Self::Install { .. }
            | Self::Unsolvable { .. }
            | Self::StageBase => None,
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Spec(error) => error.place(),
            Self::NeedsConda { spec } | Self::Python { spec, .. } => Some(Place::of(&spec.file, spec.line)),
            Self::NoPython { file, .. } => Some(Place::of(file, None)),
            Self::UnknownKind { path } | Self::FrozenAmongOthers { path } | Self::OtherKind { path, .. } => {
                Some(Place::of(path, None))
            }
            Self::Install { culprits, files, .. } | Self::Unsolvable { culprits, files, .. } => {
                let culprit = culprits.first().map(|culprit| Place::of(&culprit.file, culprit.line));
                culprit.or_else(|| Some(Place::of(files.first()?, None)))
            }
            _ => None,
        }
    }
}

/// A package that cannot be frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The package.
    pub package: String,
    /// Why.
    pub reason: String,
}

/// A requirement that an installer's words name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Culprit {
    /// The list that holds it.
    pub file: PathBuf,
    /// The line, counted from 1; `None` where the list is part of a yml.
    pub line: Option<usize>,
    /// The requirement.
    pub requirement: String,
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, " `{}`", self.requirement)
    }
}

pub(super) fn io_error(path: &Path) -> impl Fn(io::Error) -> EnvsError + Copy + '_ {
    move |source| EnvsError::Io {
        path: path.to_owned(),
        source,
    }
}

fn kind(is_conda: bool) -> &'static str {
    if is_conda { "conda packages" } else { "a venv" }
}

fn attempt(name: &EnvironmentName, files: &[PathBuf]) -> String {
    if files.is_empty() {
        return format!("making the environment {name}");
    }
    let files = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>();
    format!("installing {} into {name}", files.join(", "))
}

fn listed(refused: &[Refusal]) -> String {
    let refused = refused
        .iter()
        .map(|Refusal { package, reason }| format!("{package}: {reason}"));
    refused.collect::<Vec<_>>().join("; ")
}

fn named(culprits: &[Culprit]) -> String {
    if culprits.is_empty() {
        return String::new();
    }
    let culprits = culprits.iter().map(Culprit::to_string).collect::<Vec<_>>();
    format!("; see {}", culprits.join(", "))
}
