//! What happens while floe works: the contract between carrying out and showing.
//!
//! Everything that executes emits [`Event`]s into a [`Sink`]; only `report` and `cli` show them. The same events are
//! the lines of a run's log and, framed by [`wire`], what the agent in a container says to its host.

pub mod redact;
pub mod seal;
mod sink;
mod size;
mod verdict;
pub mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::sink::{Fanout, Memory, Sink};
pub use self::size::{ImageSize, Portion};
pub use self::verdict::{Cause, CauseKind, Summary, Verdict};
use crate::reference::{Digest, TestId};

/// The version of the event format. A reader refuses a log or an agent of another one.
pub const FORMAT: u32 = 2;

/// An event and the moment it was emitted: one line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When the event was emitted.
    pub at: Timestamp,
    /// Its place in its log, counted from 1; 0 where it is in none, or in one of an earlier floe.
    #[serde(default, skip_serializing_if = "is_nowhere")]
    pub number: u64,
    /// A number that all records of its log have, and those of other logs have not; 0 where it is in none, or in one of an
    /// earlier floe.
    #[serde(default, skip_serializing_if = "is_nowhere")]
    pub log: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// The event, emitted now.
    #[must_use]
    pub fn now(event: Event) -> Self {
        Self {
            at: Timestamp::now(),
            number: 0,
            log: 0,
            event,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_nowhere(number: &u64) -> bool {
    *number == 0
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Event {
    /// An image is about to be built, and why.
    ImageStarted {
        /// What is built, in people's words: `base`, `common`, `mission roman`.
        image: String,
        /// What changed since it was last built.
        reason: String,
    },
    /// An image needs no build: its inputs are those of an existing image.
    ImageUpToDate {
        /// What would have been built.
        image: String,
        /// The existing image.
        reference: String,
    },
    /// A step of a build began.
    StepStarted {
        /// The image it belongs to.
        image: String,
        /// Identifies the step within the build.
        step: String,
        /// The builder's name of the step, e.g. `[2/5] RUN apt-get update`.
        name: String,
    },
    /// A step printed something.
    StepOutput {
        /// The image it belongs to.
        image: String,
        /// Identifies the step within the build.
        step: String,
        /// What it printed; not necessarily whole lines.
        text: String,
    },
    /// A step ended.
    StepFinished {
        /// The image it belongs to.
        image: String,
        /// Identifies the step within the build.
        step: String,
        /// The builder's name of the step.
        name: String,
        /// How long it ran.
        seconds: f64,
        /// Whether the builder took it from its cache.
        cached: bool,
        /// The builder's words, if it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// An image was built.
    ImageFinished {
        /// What was built.
        image: String,
        /// The image's ID: the digest of its configuration.
        id: Digest,
        /// How long it took.
        seconds: f64,
    },
    /// An image of several that are built at a time was not built; the others are.
    ImageFailed {
        /// What was to be built.
        image: String,
        /// Why it was not.
        error: String,
    },
    /// A layer of an image is on its way to a registry.
    PushProgress {
        /// The layer, as the engine names it, or by the beginning of the digest of its content.
        layer: String,
        /// What becomes of it, e.g. `Compressing`, `Pushing` or `Layer already exists`.
        status: String,
        /// Bytes sent, or compressed.
        sent: u64,
        /// Bytes in all; 0 where the engine does not say.
        total: u64,
    },
    /// A test run began on the host.
    RunStarted(RunStarted),
    /// The agent is about to start the mission's own script. A container that ends before has run nothing, whatever its
    /// exit code.
    ScriptStarted {
        /// The version of the event format ([`FORMAT`]).
        format: u32,
    },
    /// The agent began a set of tests. One run may hold several.
    SuiteStarted {
        /// The version of the event format ([`FORMAT`]).
        format: u32,
        /// The tests of the set.
        tests: Vec<TestId>,
        /// How many run at a time.
        jobs: usize,
    },
    /// A test began, or began again.
    TestStarted {
        /// Which test.
        id: TestId,
        /// How often it began, this time included.
        #[serde(default = "first", skip_serializing_if = "is_first")]
        attempt: u32,
        /// Which of those that run at a time it is, counted from 1.
        #[serde(default = "first", skip_serializing_if = "is_first")]
        worker: u32,
    },
    /// A test has been running for long; nothing is done about it yet.
    TestSlow {
        /// Which test.
        id: TestId,
        /// For how long it has been running.
        seconds: f64,
    },
    /// An attempt at a test failed, and there will be another.
    TestRetried {
        /// Which test.
        id: TestId,
        /// Which attempt failed, counted from 1.
        attempt: u32,
        /// Why it failed.
        cause: Cause,
        /// How long it ran.
        seconds: f64,
        /// What it printed, as in [`TestFinished::output`].
        #[serde(default, skip_serializing_if = "String::is_empty")]
        output: String,
    },
    /// A test ended.
    TestFinished(TestFinished),
    /// The agent ended a set of tests. Without this event the set is not complete.
    SuiteFinished {
        /// How many tests ended, by verdict.
        summary: Summary,
    },
    /// What tests run with lies in other places, too, behind links: what changes there is changed for others.
    Behind {
        /// The places.
        paths: Vec<PathBuf>,
    },
    /// The agent found everything that tests run with as it was before them. Without this event it may be or not.
    Untouched,
    /// Something printed in the container outside any test.
    Output {
        /// What was printed, with invalid UTF-8 replaced; not necessarily whole lines.
        text: String,
    },
    /// A test run ended on the host, in whatever way.
    RunFinished {
        /// How many tests ended, by verdict.
        summary: Summary,
        /// Whether every expected test ran and passed, and nothing else went wrong.
        passed: bool,
        /// What went wrong outside any one test.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
        /// How long the run took.
        seconds: f64,
    },
    /// What is being done, e.g. `installing common.pip into roman-cal`.
    Note {
        /// What it is.
        text: String,
    },
    /// Something a person should know that stops nothing.
    Warning {
        /// What it is.
        text: String,
    },
}

/// How a test run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunStarted {
    /// The version of the event format ([`FORMAT`]).
    pub format: u32,
    /// The run's ID, the name of its directory.
    pub run: String,
    /// The mission under test.
    pub mission: String,
    /// The ID of the image under test.
    pub image: Digest,
    /// What people call the image, e.g. `floe/roman:5472c8bb85ed`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// The tests that this run should run, out of those that the mission's files define; each must be accounted for.
    pub expected: Vec<TestId>,
    /// Which of several parts the run is, whose tests together are those that were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The digest of the IDs of all tests that were asked for, those of the other parts too: by it parts are known to
    /// belong together, and to be complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<Digest>,
    /// The digest of the files that define the tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definitions: Option<Digest>,
    /// How long expected tests took when they last ran, in seconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub earlier: BTreeMap<TestId, f64>,
    /// For each environment the digest of all that its tests rest on: two runs that agree on it test the same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grounds: BTreeMap<String, Digest>,
    /// How large the image is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ImageSize>,
}

impl RunStarted {
    /// A whole run of this format, of which no more is known.
    #[must_use]
    pub fn new(run: impl Into<String>, mission: impl Into<String>, image: Digest, expected: Vec<TestId>) -> Self {
        Self {
            format: FORMAT,
            run: run.into(),
            mission: mission.into(),
            image,
            reference: String::new(),
            expected,
            part: None,
            selected: None,
            definitions: None,
            earlier: BTreeMap::new(),
            grounds: BTreeMap::new(),
            size: None,
        }
    }
}

/// One of the parts that a run is divided into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Part {
    /// Which part it is, counted from 1.
    pub index: u32,
    /// How many parts there are.
    pub of: u32,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TestFinished {
    /// Which test.
    pub id: TestId,
    /// Passed, failed or skipped.
    pub verdict: Verdict,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The greatest resident memory of the test's process in bytes, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// What the test printed, with invalid UTF-8 replaced, shortened in the middle where it was long.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// The executed notebook, relative to the run's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notebook: Option<String>,
    /// How often it began. One that passed at a later attempt than its first is flaky.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// Which of those that run at a time it was, counted from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub worker: u32,
    /// The earlier run that it passed in, where it was not run again since nothing that it rests on has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
}

/// A run whose results stand for tests that were not run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Carried {
    /// The run's ID.
    pub run: String,
    /// When it began.
    pub at: Timestamp,
}

fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_first(number: &u32) -> bool {
    *number == 1
}

impl TestFinished {
    /// A test that ended at once: at its first attempt, with nothing to tell but its verdict.
    #[must_use]
    pub fn new(id: TestId, verdict: Verdict) -> Self {
        Self {
            id,
            verdict,
            seconds: 0.0,
            peak_memory: None,
            output: String::new(),
            notebook: None,
            attempt: 1,
            worker: 1,
            carried: None,
        }
    }

    /// Whether it passed in an earlier run and was not run again.
    #[must_use]
    pub fn is_carried(&self) -> bool {
        self.carried.is_some() && self.verdict == Verdict::Passed
    }

    /// Whether it passed only after it had failed.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        self.verdict == Verdict::Passed && self.attempt > 1
    }
}
