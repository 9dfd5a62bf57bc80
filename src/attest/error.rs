//! Why there is no proof that an image passed its tests, and what to do about it.

use crate::fault::{Explained, Kind};
use crate::reference::{Digest, TestId};
use crate::registry::RegistryError;

/// Why there is no proof that an image passed its tests.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// There is no such image.
    #[error("there is no image {image}")]
    Absent {
        /// The image.
        image: String,
    },
    /// Nothing in the registry says anything of its tests.
    #[error("{image} has no evidence in its registry that it passed its tests")]
    Missing {
        /// The image.
        image: String,
    },
    /// What is attached to it is about another image.
    #[error("the evidence attached to {image} is of {}", .found.join(", "))]
    OtherDigest {
        /// The image.
        image: String,
        /// What it is about, by digest.
        found: Vec<String>,
    },
    /// It did not pass.
    #[error("{image} did not pass its tests{}", failed(.tests))]
    Failed {
        /// The image.
        image: String,
        /// The tests that failed, as far as it says.
        tests: Vec<TestId>,
    },
    /// Nobody signed what is said of it.
    #[error("the evidence of {image} is not signed, and VERIFY_KEY requires it")]
    Unsigned {
        /// The image.
        image: String,
        /// The fingerprint of the key that is required.
        required: Digest,
    },
    /// Somebody else signed what is said of it, or it was altered.
    #[error("the evidence of {image} has no valid signature by VERIFY_KEY ({})", .required.short())]
    OtherSigner {
        /// The image.
        image: String,
        /// The fingerprint of the key that is required.
        required: Digest,
    },
    /// The registry refused or failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl ProofError {
    /// How near to a proof that was: of several reasons the nearest is the one to tell.
    pub(super) fn progress(&self) -> u8 {
        match self {
            Self::Registry(_) | Self::Absent { .. } | Self::Missing { .. } => 0,
            Self::Unsigned { .. } => 1,
            Self::OtherSigner { .. } => 2,
            Self::OtherDigest { .. } => 3,
            Self::Failed { .. } => 4,
        }
    }
}

impl Explained for ProofError {
    fn kind(&self) -> Kind {
        match self {
            Self::Registry(error) => error.kind(),
            _ => Kind::Refused,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Absent { .. } => "look at the name, and whether the push of it succeeded",
            Self::Missing { .. } => {
                "`floe push` attaches it: push it again from where it was tested, or test and push it anew with `floe all`"
            }
            Self::OtherDigest { .. } => {
                "it was copied from another image: take the digest that was tested, or test this one"
            }
            Self::Failed { .. } => "repair what failed, and take the digest of an image that passes",
            Self::Unsigned { .. } => "push it again where SIGNING_KEY is set, which signs what is said of it",
            Self::OtherSigner { .. } => {
                "is VERIFY_KEY the public key of the SIGNING_KEY that is in use? Otherwise, do not deploy it before it is \
                 known who signed"
            }
            Self::Registry(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }

    fn is_temporary(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_temporary())
    }
}

/// The tests that failed, behind a colon.
fn failed(tests: &[TestId]) -> String {
    match tests {
        [] => String::new(),
        [only] => format!(": {only}"),
        [first, others @ ..] => format!(": {first} and {} more", others.len()),
    }
}
