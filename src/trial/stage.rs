//! One container of a trial: what it is for, and what it is given.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::image;
use crate::reference::{EnvironmentName, TestId};
use crate::suite::request::{Duty, Request};

/// What a container does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stage {
    pub(super) duty: Duty,
    pub(super) entrypoint: Vec<String>,
    /// What the image lacks, which no run has that outlives its floe.
    #[serde(skip)]
    pub(super) files: Vec<(String, Context)>,
    /// The tests that it runs, where they are not all that the trial asks for.
    tests: Option<Vec<TestId>>,
    shared: bool,
}

impl Stage {
    /// The tests of environments, behind the image's `entrypoint`.
    #[must_use]
    pub fn suite(entrypoint: &[String]) -> Self {
        Self::of(Duty::Suite, entrypoint)
    }

    /// The mission's own script, which is the test `id` and asks for the others.
    #[must_use]
    pub fn script(id: TestId, entrypoint: &[String]) -> Self {
        Self::of(Duty::Script(id), entrypoint)
    }

    /// Tests of the server that `command` starts, behind the image's own entrypoint as a hub's spawner has it.
    #[must_use]
    pub fn server(tests: &[TestId], timeout: Duration, command: &[String], entrypoint: &[String]) -> Self {
        let duty = Duty::Server {
            tests: tests.to_vec(),
            start_timeout: timeout.as_secs().max(1),
            command: command.to_vec(),
        };
        Self::of(duty, entrypoint)
    }

    fn of(duty: Duty, entrypoint: &[String]) -> Self {
        Self {
            shared: !matches!(duty, Duty::Server { .. }),
            duty,
            entrypoint: entrypoint.to_vec(),
            files: Vec::new(),
            tests: None,
        }
    }

    /// The same for an image that is given `tests` of `environment`, beside those of others.
    #[must_use]
    pub fn with_tests(mut self, environment: &EnvironmentName, tests: Context) -> Self {
        let directory = format!("{}/{environment}/tests", Self::given_environments());
        self.files.push((directory, tests));
        self
    }

    /// The same for this test alone, in a container that no other test sees.
    #[must_use]
    pub fn isolated(mut self, test: TestId) -> Self {
        self.tests = Some(vec![test]);
        self.shared = false;
        self
    }

    /// The same for these tests alone.
    #[must_use]
    pub fn of_tests(mut self, tests: Vec<TestId>) -> Self {
        self.tests = Some(tests);
        self
    }

    /// What the agent is asked for, out of what the whole trial asks.
    pub(super) fn request(&self, trial: &Request) -> Request {
        let mut request = Request {
            duty: self.duty.clone(),
            entrypoint: self.entrypoint.clone(),
            ..trial.clone()
        };
        if self.tests.is_some() {
            request.selection.tests.clone_from(&self.tests);
        }
        request
    }

    /// The tests that it runs, of those that the trial expects.
    pub(super) fn expected(&self, trial: &[TestId]) -> Vec<TestId> {
        let listed = self.tests.as_ref().map(|tests| tests.iter().collect::<BTreeSet<_>>());
        let is_own = |id: &TestId| match &self.duty {
            Duty::Script(script) if script == id => true,
            Duty::Server { tests, .. } => tests.contains(id),
            Duty::Suite | Duty::Script(_) => listed.as_ref().is_none_or(|tests| tests.contains(id)),
        };
        trial.iter().filter(|id| is_own(id)).cloned().collect()
    }

    /// The same for those of its tests that are still to run.
    pub(super) fn left(&self, left: &[TestId]) -> Self {
        let mut stage = self.clone();
        match &mut stage.duty {
            Duty::Server { tests, .. } => tests.retain(|id| left.contains(id)),
            // The script asks for the tests, so that it runs again with those that are left.
            Duty::Suite | Duty::Script(_) => {
                if matches!(&stage.duty, Duty::Script(id) if !left.contains(id)) {
                    stage.duty = Duty::Suite;
                }
                let others = left.iter().filter(|id| id.mission().is_none());
                stage.tests = Some(others.cloned().collect());
            }
        }
        stage
    }

    /// Whether tests run in it whose changes others would see.
    pub(super) fn shares(&self) -> bool {
        self.shared
    }

    /// Where the tests lie that [`Stage::with_tests`] brings along.
    #[must_use]
    pub fn given_environments() -> String {
        format!("{}/environments", image::GUEST)
    }
}
