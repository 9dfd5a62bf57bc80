//! Why no test is asked for.

use crate::reference::{MissionName, TestId};

/// Why no test is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    /// The mission's files define none.
    #[error("missions/{mission}/environments defines no tests")]
    NoTests {
        /// The mission.
        mission: MissionName,
        /// What may be meant to define some, a sentence each.
        misnamed: Vec<String>,
    },
    /// There is no earlier run whose failures could be run again.
    #[error("there is no earlier run of {mission}")]
    NeverRun {
        /// The mission.
        mission: MissionName,
    },
    /// No test failed when it was last run.
    #[error("no test of {mission} failed when it was last run (the last run is {run})")]
    NoneFailed {
        /// The mission.
        mission: MissionName,
        /// The run.
        run: String,
    },
    /// What failed in the last run is gone or not selected.
    #[error("no test of {mission} that failed when it was last run is there and selected")]
    NoneOfTheFailed {
        /// The mission.
        mission: MissionName,
        /// Some of the tests that there are.
        some: Vec<TestId>,
    },
    /// No test is selected.
    #[error("no test of {mission} {}", if .filters.is_empty() { "is selected".to_owned() } else { format!("matches {}", .filters.join(", ")) })]
    NoneSelected {
        /// The mission.
        mission: MissionName,
        /// The parts of IDs that were asked for.
        filters: Vec<String>,
        /// Some of the tests that there are.
        some: Vec<TestId>,
    },
    /// A condition selects nothing.
    #[error("no test meets {}", .idle.join(", "))]
    Idle {
        /// The conditions, as they are written.
        idle: Vec<String>,
        /// Some of the tests that there are.
        some: Vec<TestId>,
    },
    /// No package was added.
    #[error("nothing was added since {since}")]
    NotAdded {
        /// The commit.
        since: String,
    },
    /// What was added holds no module.
    #[error("nothing that was added to {mission} can be imported")]
    NotImportable {
        /// The mission.
        mission: MissionName,
    },
    /// No test of an image is named.
    #[error("no test is named or selected")]
    Unnamed,
}

impl Nothing {
    /// What to do about it.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::NoTests { misnamed, .. } if !misnamed.is_empty() => misnamed.join("; "),
            Self::NoTests { .. } => {
                "list modules in <env>/tests/imports, put notebooks into <env>/tests, or add an executable `test`"
                    .to_owned()
            }
            Self::NeverRun { mission } | Self::NoneFailed { mission, .. } => {
                format!("run all tests: `scripts/image-test {mission}`")
            }
            Self::NoneOfTheFailed { some, .. } | Self::NoneSelected { some, .. } | Self::Idle { some, .. } => {
                let some = some.iter().map(ToString::to_string).collect::<Vec<_>>();
                format!("tests are called {}, …; `--list` shows them", some.join(", "))
            }
            Self::NotAdded { .. } => "name an earlier commit: `--since COMMIT`".to_owned(),
            Self::NotImportable { mission } => format!("test all of it: `scripts/image-test {mission}`"),
            Self::Unnamed => "name some: `--imports numpy,scipy`, `--notebooks DIRECTORY`, `--server`".to_owned(),
        }
    }
}
