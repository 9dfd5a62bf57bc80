//! Checking a stage: what was added to its image is imported, its hub is asked and its own tests run, and what they say of
//! the image is remembered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout;

use super::imports::{self, Imported};
use super::{OpenStage, StageError, Wanted};
use crate::deploy::{Checked, CheckedTest, DeployError, Withheld};
use crate::driver::{self, Live};
use crate::event::Event;
use crate::process::{Ended, Exit, Running};
use crate::workflow::promote::pinned;
use crate::workflow::{Interrupts, WorkflowError, Workplace, checked};

/// How to check.
#[derive(Debug, Clone, Copy)]
pub struct CheckOptions {
    /// How long each test may take.
    pub limit: Duration,
    /// Whether what was added is imported in the image.
    pub imports: bool,
}

/// How many of the last lines of a failed test are shown.
const SHOWN: usize = 40;

/// Checks a stage with the image that it runs, and remembers what that said. That tests failed is an outcome.
pub async fn check(
    workplace: &Workplace,
    interrupts: &Interrupts,
    deployment: &str,
    stage: &str,
    options: CheckOptions,
) -> Result<Checked, WorkflowError> {
    let open = OpenStage::of(workplace, interrupts, deployment, stage)?;
    let (url, tests) = match &open.stage().check {
        Some(check) => (check.url.clone(), check.tests.clone()),
        None => (None, Vec::new()),
    };
    if url.is_none() && tests.is_empty() {
        return Err(StageError::NothingToCheck {
            stage: open.stage().name.to_string(),
        }
        .into());
    }
    let wanted = open.wanted()?;
    open.runs_what_is_wanted(&wanted).await?;
    let (mut results, mut untested) = (Vec::new(), Vec::new());
    let imported = if options.imports {
        open.imported(&wanted, options.limit).await?
    } else {
        Imported::Untested("they were left out".to_owned())
    };
    match imported {
        Imported::Tested(test) => results.push(test),
        Imported::Untested(reason) => {
            let text = format!("{}: not run: {reason}", imports::NAME);
            let text = workplace.hidden.mask(&text);
            workplace.display().emit(Event::Warning { text: text.clone() });
            untested.push(text);
        }
        Imported::Nothing => {}
    }
    if let Some(url) = &url {
        results.push(open.asked(url).await?);
    }
    for test in &tests {
        results.push(open.tested(test, &wanted, options.limit).await?);
    }
    let checked = Checked {
        digest: wanted.digest.clone(),
        tests: results,
        untested,
        time: seconds_since_1970(),
    };
    let (deployment, stage) = (&open.deployment.name, &open.stage().name);
    if let Some(target) = pinned(&wanted.held) {
        checked::remember(workplace, &target, deployment, stage, &checked).await?;
    }
    Ok(checked)
}

fn seconds_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl OpenStage<'_> {
    /// What is said of an image must be of that one: a stage that is known to run another is not checked.
    async fn runs_what_is_wanted(&self, wanted: &Wanted) -> Result<(), WorkflowError> {
        if !self.scene(None).tells_what_runs() {
            return Ok(());
        }
        self.identify().await?;
        let found = match self.live(wanted).await? {
            Some(Live::Runs { image, .. }) => image,
            Some(Live::Nothing) => "nothing".to_owned(),
            None => return Ok(()),
        };
        if found.ends_with(wanted.digest.as_str()) {
            return Ok(());
        }
        Err(DeployError::from(Withheld::RunsOther {
            stage: self.stage().name.clone(),
            found,
            wanted: wanted.held.reference(),
            deployment: self.deployment.name.to_string(),
        })
        .into())
    }

    /// The first test of a stage with an address: its hub answers.
    async fn asked(&self, url: &str) -> Result<CheckedTest, WorkflowError> {
        let client = self.hub_client()?;
        let answer = self.or_interrupted(client.version(url)).await?;
        let test = CheckedTest {
            name: "hub".to_owned(),
            failed: answer.err().map(|error| error.to_string()),
        };
        self.told(&test);
        Ok(test)
    }

    /// A line of the stage's own. It passes by ending with 0 within its time.
    async fn tested(&self, line: &str, wanted: &Wanted, limit: Duration) -> Result<CheckedTest, WorkflowError> {
        let command = driver::line(&self.scene(Some(&wanted.held)), line);
        let running = Running::spawn(command).map_err(driver::DriverError::from)?;
        let ended = self.or_interrupted(timeout(limit, running.exited())).await?;
        let timed_out = ended.is_err();
        if timed_out {
            running.signal(rustix::process::Signal::TERM);
            let _ = timeout(GRACE, running.exited()).await;
        }
        let ended = running.end().await;
        let test = CheckedTest {
            name: line.to_owned(),
            failed: self.failure(&ended, timed_out.then_some(limit)),
        };
        if test.failed.is_some() {
            let lines = ended.output.lines().collect::<Vec<_>>();
            let last = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
            self.workplace.display().emit(Event::Output { text: last + "\n" });
        }
        self.told(&test);
        Ok(test)
    }

    /// Why a test failed, by the end of what it printed.
    fn failure(&self, ended: &Ended, over: Option<Duration>) -> Option<String> {
        let how = match (over, ended.exit) {
            (Some(limit), _) => format!("it did not end within {} s", limit.as_secs()),
            (None, Some(Exit::Code(0))) => return None,
            (None, Some(exit)) => exit.to_string(),
            (None, None) => "it could not be ended".to_owned(),
        };
        let last = ended.output.lines().map(str::trim).rfind(|line| !line.is_empty());
        let last = last.map(|line| line.chars().take(LONGEST_REASON).collect::<String>());
        // It is remembered, and shown to others.
        Some(match last {
            Some(last) => format!("{how}: {}", self.workplace.hidden.mask(&last)),
            None => how,
        })
    }

    pub(super) fn told(&self, test: &CheckedTest) {
        let verdict = if test.failed.is_none() { "passed" } else { "failed" };
        self.workplace.display().emit(Event::Note {
            text: format!("{verdict}: {}", test.name),
        });
    }
}

/// How long a test that was asked to stop may take, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A longer last line is cut, in characters.
const LONGEST_REASON: usize = 300;
