//! What can go wrong with conda packages, in the words of those who asked for them.

use std::io;
use std::path::PathBuf;

use rattler::package_cache::{PackageCacheError, PackageCacheLayerError};
use rattler_package_streaming::ExtractError;
use rattler_repodata_gateway::GatewayError;
use rattler_repodata_gateway::fetch::FetchRepoDataError;

use crate::fault::{Explained, Kind, TRY_AGAIN, is_temporary_error};
use crate::spec::env::CondaSpec;

/// Conda packages that cannot be found, chosen or installed.
#[derive(Debug, thiserror::Error)]
pub enum CondaError {
    /// A channel that nobody could know.
    #[error("`{channel}` is no channel: {message}")]
    Channel {
        /// The channel as it was written, without credentials.
        channel: String,
        /// Why.
        message: String,
    },
    /// There is nowhere to take packages from.
    #[error("no conda channel is named")]
    NoChannel,
    /// A dependency that is not written as one.
    #[error("{}: `{}` is no conda package: {message}", spec.place(), spec.text)]
    Spec {
        /// The dependency.
        spec: CondaSpec,
        /// What is wrong with it.
        message: String,
    },
    /// There is no channel at that address.
    #[error("there is no channel {channel}{}", .mirror.as_ref().map(|mirror| format!(" (looked for at {mirror})")).unwrap_or_default())]
    NoSuchChannel {
        /// The public address of the channel.
        channel: String,
        /// The address that answered for it, where that is another one.
        mirror: Option<String>,
    },
    /// A channel does not let anyone in.
    #[error("{channel} refuses access ({status}){}", .mirror.as_ref().map(|mirror| format!(", at {mirror}")).unwrap_or_default())]
    Refused {
        /// The public address.
        channel: String,
        /// The HTTP status.
        status: u16,
        /// The address that answered for it, where that is another one.
        mirror: Option<String>,
    },
    /// Packages that no channel has.
    #[error("{}", unknown(specs, channels))]
    Unknown {
        /// The dependencies that name them.
        specs: Vec<CondaSpec>,
        /// The channels that were searched.
        channels: Vec<String>,
        /// Names of packages that there are and that look alike.
        near: Vec<String>,
    },
    /// No set of packages is what was asked for.
    #[error("what is asked for cannot be installed:\n{}{}", explanation.trim_end(), asked_by(specs))]
    Unsatisfiable {
        /// The solver's words.
        explanation: String,
        /// The dependencies that it speaks of.
        specs: Vec<CondaSpec>,
        /// The versions that there are of packages of which none of them fits, e.g. `numpy 2.1, 2.0`.
        available: Vec<String>,
    },
    /// A package whose content is not what the channel or the frozen spec says.
    #[error("{package}: the content is not what was expected: its sha256 or md5 is {found} instead of {expected}")]
    WrongHash {
        /// The file.
        package: String,
        /// The hash that it should have.
        expected: String,
        /// The hash that it has.
        found: String,
    },
    /// A package that cannot be unpacked.
    #[error("{package} is damaged: {message}")]
    Damaged {
        /// The file.
        package: String,
        /// What was wrong with it.
        message: String,
    },
    /// A frozen package that no channel has any more.
    #[error("{package} is in none of the channels {}", channels.join(", "))]
    Gone {
        /// The package as the frozen spec names it.
        package: String,
        /// The channels that were searched.
        channels: Vec<String>,
    },
    /// A package that a channel lists and does not have.
    #[error("{package} cannot be fetched: {channel} does not have it")]
    NotThere {
        /// The file.
        package: String,
        /// The channel.
        channel: String,
    },
    /// The file system is full.
    #[error("{doing}: no space left on device")]
    DiskFull {
        /// What was being done.
        doing: String,
    },
    /// Anything else: a network or a server that failed, a file that cannot be written.
    #[error("{doing}: {message}")]
    Failed {
        /// What was being done.
        doing: String,
        /// Why it failed.
        message: String,
        /// Whether another attempt may succeed.
        temporary: bool,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Explained for CondaError {
    fn kind(&self) -> Kind {
        match self {
            Self::Failed { temporary: true, .. } => Kind::Temporary,
            // A file or a setting is at fault, which nobody needs to try to install.
            Self::Channel { .. } | Self::NoChannel | Self::Spec { .. } => Kind::Invalid,
            _ => Kind::Build,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoChannel => "name one in the environment's .yml (`channels: [conda-forge]`) or in CONDA_CHANNELS",
            Self::NoSuchChannel { mirror: Some(_), .. } => {
                "CONDA_MIRROR must be the address below which the channels are, as in `<CONDA_MIRROR>/conda-forge`"
            }
            Self::NoSuchChannel { mirror: None, .. } => {
                "is its name right? CONDA_MIRROR names a mirror where https://conda.anaconda.org cannot be reached"
            }
            Self::Refused { .. } => {
                "credentials belong into CONDA_MIRROR or CONDA_CHANNELS, as in `https://user:password@host/…`"
            }
            Self::Unsatisfiable { available, .. } if !available.is_empty() => {
                return Some(format!("there is: {}", available.join("; ")));
            }
            Self::Unknown { near, .. } if !near.is_empty() => return Some(format!("there is: {}", near.join(", "))),
            Self::Unknown { .. } => "is it on PyPI? Then it belongs into a .pip list; else add the channel that has it",
            Self::WrongHash { .. } | Self::Damaged { .. } => {
                "the package was dropped; if this happens again, the channel or its mirror is broken"
            }
            Self::Gone { .. } => "freeze the environment again, or restore the -frozen.lock beside the spec",
            Self::NotThere { .. } => {
                "the channel dropped it, or its mirror is incomplete; a frozen spec that names it must be frozen again"
            }
            Self::DiskFull { .. } => "free some space, for instance with `docker system prune`",
            Self::Failed { temporary: true, .. } => TRY_AGAIN,
            Self::Channel { .. }
            | Self::Spec { .. }
            | Self::Unsatisfiable { .. }
            | Self::Failed { .. }
            | Self::Io { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

impl CondaError {
    /// The error that `cause` and what is behind it come to; `hide` takes out what must not be shown.
    pub(super) fn of(doing: impl Into<String>, cause: &Cause, hide: impl Fn(&str) -> String) -> Self {
        let doing = doing.into();
        let mut words = Vec::<String>::new();
        let mut temporary = false;
        for error in chain(cause) {
            if is_full(error) {
                return Self::DiskFull { doing };
            }
            temporary |= is_temporary_error(error);
            let said = hide(&error.to_string());
            // Some layers repeat what is below them.
            if inner(error).is_none() && !words.iter().any(|word| word.contains(&said)) {
                words.push(said);
            }
        }
        let message = words.join(": ");
        if message.contains("No space left on device") {
            return Self::DiskFull { doing };
        }
        Self::Failed {
            doing,
            message,
            temporary,
        }
    }
}

/// An error of any kind.
pub(super) type Cause = dyn std::error::Error + 'static;

/// The expected and the found hash, where the error or what is behind it says that they differ.
pub(super) fn hashes(cause: &Cause) -> Option<(String, String)> {
    chain(cause).find_map(|error| match error.downcast_ref() {
        Some(ExtractError::HashMismatch { expected, actual, .. }) => Some((expected.clone(), actual.clone())),
        _ => None,
    })
}

/// Whether what came is no archive, where nothing failed on its way here.
pub(super) fn is_damage(cause: &Cause) -> bool {
    let mut next = Some(cause);
    let mut found = false;
    while let Some(error) = next {
        if error.is::<reqwest::Error>() || is_full(error) || is_temporary_error(error) {
            return false;
        }
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        found |= matches!(
            kind,
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other)
        );
        next = error.source();
    }
    found
}

/// The HTTP status that a server answered with.
pub(super) fn status(cause: &Cause) -> Option<u16> {
    let status = |error: &Cause| error.downcast_ref::<reqwest::Error>()?.status();
    Some(chain(cause).find_map(status)?.as_u16())
}

/// The error and what is behind it.
fn chain(cause: &Cause) -> impl Iterator<Item = &Cause> {
    std::iter::successors(Some(cause), |&error| inner(error).or_else(|| error.source()))
}

/// The error that another one stands for: it shows itself as that one, and so does not name it as its cause.
fn inner(error: &Cause) -> Option<&Cause> {
    if let Some(PackageCacheError::LayerError(inner)) = error.downcast_ref() {
        Some(&**inner)
    } else if let Some(PackageCacheLayerError::FetchError(inner)) = error.downcast_ref() {
        Some(&**inner)
    } else if let Some(ExtractError::ReqwestError(inner)) = error.downcast_ref() {
        Some(inner)
    } else if let Some(reqwest_middleware::Error::Reqwest(inner)) = error.downcast_ref() {
        Some(inner)
    } else {
        match error.downcast_ref::<GatewayError>() {
            Some(GatewayError::ReqwestError(inner)) => return Some(inner),
            Some(GatewayError::FetchRepoDataError(inner)) => return Some(inner),
            _ => {}
        }
        match error.downcast_ref::<FetchRepoDataError>() {
            Some(FetchRepoDataError::HttpError(inner)) => Some(inner),
            Some(FetchRepoDataError::IoError(inner)) => Some(inner),
            _ => None,
        }
    }
}

fn is_full(error: &Cause) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

/// Whether an answer broke off, which is not seen before it is read.
pub(super) fn broke_off(cause: &Cause) -> bool {
    chain(cause).any(|error| match error.downcast_ref::<reqwest::Error>() {
        Some(error) => error.is_body() || error.is_decode(),
        None => error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof),
    })
}

fn unknown(specs: &[CondaSpec], channels: &[String]) -> String {
    let each = specs
        .iter()
        .map(|spec| format!("{}: no channel has a package `{}`", spec.place(), spec.name()));
    format!(
        "{} (searched: {})",
        each.collect::<Vec<_>>().join("\n"),
        channels.join(", ")
    )
}

fn asked_by(specs: &[CondaSpec]) -> String {
    let each = specs.iter().map(|spec| format!("\n  {}: {}", spec.place(), spec.text));
    let each = each.collect::<String>();
    if each.is_empty() {
        each
    } else {
        format!("\nasked for by{each}")
    }
}
