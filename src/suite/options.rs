//! How tests are run, as far as anybody says: the options of a call, the settings, the request of a host.
//!
//! What nobody says is decided where tests run, by [`Options::new`](super::runner::Options::new), which alone knows
//! defaults.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use crate::fault::{Explained, Kind};
use crate::quantity::{self, Limit, MemoryLimit};

/// How tests are run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunOptions {
    /// How many tests run at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<NonZeroUsize>,
    /// How much memory the tests that run at a time are expected to take together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryLimit>,
    /// Whether no more tests begin once one has failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fail_fast: bool,
    /// How often a test that failed is tried again, in place of what its environment says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// After how long, and then how often, a test is reported as slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow: Option<Limit>,
    /// The limit of a cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_timeout: Option<Limit>,
    /// The limit of a notebook, an import or a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notebook_timeout: Option<Limit>,
    /// The limit of the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_timeout: Option<Limit>,
    /// Whether each notebook gets a kernel that is started for it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cold: bool,
}

/// A variable whose value is none of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name}={value}: {reason}")]
pub struct VariableError {
    /// The variable.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong with its value.
    pub reason: String,
}

impl Explained for VariableError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

impl RunOptions {
    /// These options, and those of `other` where these say nothing.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        Self {
            jobs: self.jobs.or(other.jobs),
            memory: self.memory.or(other.memory),
            fail_fast: self.fail_fast || other.fail_fast,
            retries: self.retries.or(other.retries),
            slow: self.slow.or(other.slow),
            cell_timeout: self.cell_timeout.or(other.cell_timeout),
            notebook_timeout: self.notebook_timeout.or(other.notebook_timeout),
            run_timeout: self.run_timeout.or(other.run_timeout),
            cold: self.cold || other.cold,
        }
    }

    /// What variables say, by their names in `setup-env`. `read` returns `None` for one that is not set.
    pub fn of_variables(read: impl Fn(&'static str) -> Option<String>) -> Result<Self, VariableError> {
        Ok(Self {
            jobs: parsed("TEST_JOBS", &read, number)?,
            memory: parsed("TEST_MEMORY", &read, quantity::parsed)?,
            cell_timeout: parsed("CELL_TIMEOUT", &read, quantity::parsed)?,
            notebook_timeout: parsed("NOTEBOOK_TIMEOUT", &read, quantity::parsed)?,
            run_timeout: parsed("RUN_TIMEOUT", &read, quantity::parsed)?,
            ..Self::default()
        })
    }
}

fn parsed<T>(
    name: &'static str,
    read: impl Fn(&'static str) -> Option<String>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, VariableError> {
    let Some(value) = read(name) else {
        return Ok(None);
    };
    match parse(value.trim()) {
        Ok(parsed) => Ok(Some(parsed)),
        Err(reason) => Err(VariableError { name, value, reason }),
    }
}

/// A number of things at a time, as people write it.
pub fn number(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a whole number above 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_wins_and_what_is_not_said_is_taken_from_the_other() {
        let flags = RunOptions {
            retries: Some(0),
            cell_timeout: Some("5s".parse().unwrap()),
            ..RunOptions::default()
        };
        let settings = RunOptions {
            retries: Some(3),
            jobs: NonZeroUsize::new(4),
            cold: true,
            ..RunOptions::default()
        };
        let both = flags.over(&settings);
        assert_eq!(
            (both.retries, both.jobs, both.cold),
            (Some(0), NonZeroUsize::new(4), true)
        );
        assert_eq!(both.cell_timeout, Some("5s".parse().unwrap()));
        assert_eq!(both.run_timeout, None);
    }

    #[test]
    fn a_variable_that_makes_no_sense_is_named() {
        let read = |text: &str| {
            let text = text.to_owned();
            RunOptions::of_variables(move |name| (name == "TEST_JOBS").then(|| text.clone()))
        };
        assert_eq!(read(" 4 ").unwrap().jobs, NonZeroUsize::new(4));
        assert_eq!(read("0").unwrap_err().name, "TEST_JOBS");
        assert!(
            read("many")
                .unwrap_err()
                .to_string()
                .starts_with("environment variable TEST_JOBS=many: ")
        );
    }
}
