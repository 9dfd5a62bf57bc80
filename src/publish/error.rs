//! Pushes that did not happen, and what to do about them.

use crate::engine::EngineError;
use crate::fault::{Explained, Kind};
use crate::reference::{Digest, ImageTag, Role, TestId};
use crate::registry::RegistryError;
use crate::state::FileError;

/// A push that did not happen or went wrong.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no evidence that this image passed its tests.
    #[error("{role} ({id}) has no passing test results")]
    Untested {
        /// What the image is.
        role: Role,
        /// Its ID.
        id: Digest,
    },
    /// The image passed other tests than those that there are now.
    #[error("the tests of {role} have changed since {id} passed them")]
    Redefined {
        /// What the image is.
        role: Role,
        /// Its ID.
        id: Digest,
    },
    /// The image did not pass all tests that there are now.
    #[error("{role} ({id}) was tested without {}", named(tests))]
    Lacking {
        /// What the image is.
        role: Role,
        /// Its ID.
        id: Digest,
        /// The tests that it did not pass.
        tests: Vec<TestId>,
    },
    /// The evidence, or floe's own program, cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tag in the registry names another image, and pushed tags never move.
    #[error("{target} names another image already ({found}); a pushed tag never moves")]
    Taken {
        /// The tag.
        target: ImageTag,
        /// The image that it names.
        found: Digest,
    },
    /// What the registry holds after the push is not what was tested.
    #[error("{target} holds {found} after the push, but {id} was tested")]
    Mismatch {
        /// The tag.
        target: ImageTag,
        /// The image that the registry holds.
        found: String,
        /// The image that was tested.
        id: Digest,
    },
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The registry refused or failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Explained for PublishError {
    fn kind(&self) -> Kind {
        match self {
            Self::Untested { .. }
            | Self::Redefined { .. }
            | Self::Lacking { .. }
            | Self::Taken { .. }
            | Self::Mismatch { .. } => Kind::Refused,
            Self::File(error) => error.kind(),
            Self::Engine(error) => error.kind(),
            Self::Registry(error) => error.kind(),
        }
    }

    fn is_temporary(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_temporary(),
            Self::Registry(error) => error.is_temporary(),
            other => other.kind() == Kind::Temporary,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Untested { role, .. } => {
                return Some(format!(
                    "run `scripts/image-test{}` without filters; only a complete passing run counts",
                    argument(role)
                ));
            }
            Self::Redefined { role, .. } | Self::Lacking { role, .. } => {
                return Some(format!(
                    "run `scripts/image-test{}` again: results count for the tests that were run",
                    argument(role)
                ));
            }
            Self::Taken { .. } => "someone pushed that tag from elsewhere; rebuild with --no-cache",
            Self::Mismatch { .. } => "someone else pushes to the same tag; do not deploy it",
            Self::File(error) => return error.hint(),
            Self::Engine(error) => return error.hint(),
            Self::Registry(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }
}

/// The mission of an image as an argument behind a command's name.
fn argument(role: &Role) -> String {
    role.mission().map_or_else(String::new, |mission| format!(" {mission}"))
}

/// Some names of tests, in one line.
fn named(tests: &[TestId]) -> String {
    match tests {
        [] => String::new(),
        [only] => only.to_string(),
        [first, others @ ..] => format!("{first} and {} more", others.len()),
    }
}
