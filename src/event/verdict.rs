//! How a test ended, in one word and at length, and how many ended how.

use serde::{Deserialize, Serialize};

use super::TestFinished;

/// The outcome of a test. A failing test is an outcome, not an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It ran to its end and did what it should.
    Passed,
    /// It did not, and why.
    Failed(Cause),
    /// It was not run, on request.
    Skipped {
        /// Who asked for it, e.g. `commented out in notebooks, line 3`.
        reason: String,
    },
}

/// Why a test failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cause {
    /// The kind of failure.
    pub kind: CauseKind,
    /// One line: what happened.
    pub message: String,
    /// The traceback, the last output, whatever explains the message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The cell of a notebook where it happened, counted from 1 over all cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<usize>,
    /// The line within the cell or script where it happened, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// The kinds of failure, as reports name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// An exception was raised, or a script ended with a non-zero code.
    Error,
    /// A time limit was reached.
    Timeout,
    /// The memory limit was reached.
    Oom,
    /// The kernel or process was killed or crashed.
    KernelDied,
    /// The kernel or process ended by itself before its work was done, whatever its exit code.
    EarlyExit,
    /// Processes were left behind.
    Leak,
    /// The test was defined but did not run.
    NotRun,
    /// The test could not be carried out; its subject may be sound.
    Infra,
}

impl CauseKind {
    /// The name in capitals, as shown beside a failing test.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Error => "FAIL",
            Self::Timeout => "TIMEOUT",
            Self::Oom => "OOM",
            Self::KernelDied => "KERNEL-DIED",
            Self::EarlyExit => "EARLY-EXIT",
            Self::Leak => "LEAK",
            Self::NotRun => "NOT-RUN",
            Self::Infra => "INFRA",
        }
    }
}

impl Cause {
    /// A cause with a message and nothing more.
    #[must_use]
    pub fn new(kind: CauseKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            detail: String::new(),
            cell: None,
            line: None,
        }
    }

    /// The same cause with its explanation.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// How many tests ended, by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed, for whatever cause.
    pub failed: usize,
    /// Tests that were not run, on request.
    pub skipped: usize,
    /// Tests that passed in an earlier run and were not run again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub carried: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Summary {
    /// Counts one more verdict.
    pub fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Skipped { .. } => self.skipped += 1,
        }
    }

    /// Counts one more test that ended.
    pub fn take(&mut self, test: &TestFinished) {
        if test.is_carried() {
            self.carried += 1;
        } else {
            self.count(&test.verdict);
        }
    }

    /// Counts the tests of another set, too.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.carried += other.carried;
    }

    /// Tests that ran.
    #[must_use]
    pub fn ran(&self) -> usize {
        self.passed + self.failed
    }
}
