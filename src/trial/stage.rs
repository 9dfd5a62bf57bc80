//! One container of a trial: what it runs, and what it is given.

use std::time::Duration;

use crate::context::Context;
use crate::image;
use crate::image::applet::{TEST_ENVIRONMENTS, TEST_SERVER};
use crate::reference::{EnvironmentName, TestId};

/// What a container does.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    pub(super) entrypoint: Option<Vec<String>>,
    pub(super) command: Vec<String>,
    pub(super) files: Vec<(String, Context)>,
    /// Whether the command is the mission's own script, which is a test itself.
    pub(super) script: bool,
}

impl Stage {
    /// The tests of environments, with the mission's own script before them or without.
    #[must_use]
    pub fn suite(script: bool) -> Self {
        let mut command = vec![image::program(TEST_ENVIRONMENTS)];
        if script {
            // The agent starts the script, since a shell that is the first process of a container hears no signals.
            command.extend(["--script".to_owned(), image::MISSION_SCRIPT.to_owned()]);
        }
        Self {
            command,
            script,
            ..Self::default()
        }
    }

    /// Tests of the server that `command` starts, behind the image's own entrypoint as a hub's spawner has it.
    #[must_use]
    pub fn server(tests: &[TestId], timeout: Duration, command: &[String]) -> Self {
        let mut words = vec![image::program(TEST_SERVER)];
        words.extend(["--timeout".to_owned(), timeout.as_secs().max(1).to_string()]);
        words.extend(tests.iter().map(ToString::to_string));
        if !command.is_empty() {
            words.push("--".to_owned());
            words.extend(command.iter().cloned());
        }
        Self {
            command: words,
            ..Self::default()
        }
    }

    /// The same for an image without floe's programs: it is given `agent`, which holds the program `floe`, and `tests` of
    /// `environment`.
    ///
    /// A suite is started by the agent alone, whatever the image's entrypoint would make of an argument.
    #[must_use]
    pub fn with_agent(mut self, agent: Context, environment: &EnvironmentName, tests: Context) -> Self {
        let tests_directory = format!("{}/{environment}/tests", Self::given_environments());
        self.files = vec![(image::GUEST.to_owned(), agent), (tests_directory, tests)];
        let mut words = std::mem::take(&mut self.command).into_iter();
        let applet = words.next().unwrap_or_default();
        let applet = applet.rsplit('/').next().unwrap_or_default().to_owned();
        let agent = [format!("{}/floe", image::GUEST), "applet".to_owned(), applet.clone()];
        if applet == TEST_SERVER {
            self.command = agent.into_iter().chain(words).collect();
        } else {
            self.entrypoint = Some(agent.to_vec());
            self.command = words.collect();
        }
        self
    }

    /// Where the tests lie that [`Stage::with_agent`] brings along.
    #[must_use]
    pub fn given_environments() -> String {
        format!("{}/environments", image::GUEST)
    }

    /// What the container runs, in one word.
    pub(super) fn name(&self) -> &str {
        let given = self.entrypoint.as_ref().and_then(|words| words.last());
        let word = given.or(self.command.first()).map_or("", String::as_str);
        word.rsplit('/').next().unwrap_or_default()
    }
}
