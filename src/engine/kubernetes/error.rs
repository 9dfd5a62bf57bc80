//! What a cluster's API says when it refuses or does not answer.

use kube::Error;

use crate::engine::EngineError;
use crate::fault::{Trouble, words_of};

/// The error of a request to a cluster.
pub(super) fn failed(action: String, error: &Error) -> EngineError {
    let (reason, trouble) = match error {
        Error::Api(status) => {
            let trouble = Trouble::of_status(status.code).unwrap_or(Trouble::Request);
            (status.message.clone(), trouble)
        }
        other => {
            let words = words_of(other);
            let trouble = Trouble::of(&words).unwrap_or(Trouble::Lost);
            (words, trouble)
        }
    };
    EngineError::Cluster {
        action,
        reason,
        trouble,
    }
}

/// Whether there is nothing of that name.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 404)
}

/// Whether the cluster, asked properly, says no: no later request will fare better.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Api(status) if matches!(status.code, 400..=403 | 405 | 422))
}
