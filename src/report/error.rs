//! Why a report cannot be made.

use std::io;
use std::path::PathBuf;

use crate::fault::{Explained, Kind};

/// A report that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file cannot be written or read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The run's log cannot be put into this form.
    #[error("the run's log cannot be put into {form}: {reason}")]
    Form {
        /// `XML` or `HTML`.
        form: &'static str,
        /// Why.
        reason: String,
    },
}

impl Explained for ReportError {
    fn kind(&self) -> Kind {
        Kind::Internal
    }

    fn hint(&self) -> Option<String> {
        Some("`events.jsonl` beside it holds the results".to_owned())
    }
}
