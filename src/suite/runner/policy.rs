//! What bounds a run: how much goes on at a time, what is tried again, and what ends it before its last test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::event::{Cause, CauseKind};
use crate::reference::TestId;
use crate::suite::options::RunOptions;
use crate::suite::request::Expected;

/// What bounds a run, beside the limits of each test.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How many bytes the tests that run at a time are expected to take together; one may always run.
    pub memory: Option<u64>,
    /// Whether no more tests begin once one has failed.
    pub fail_fast: bool,
    /// How often a test that failed is tried again; where this says nothing, its environment does.
    pub retries: Option<u32>,
    /// After how long, and then how often, a test is reported as slow.
    pub slow: Duration,
    /// How long all tests together may take.
    pub run_timeout: Option<Duration>,
    /// Asks the run to end early.
    pub stop: Stop,
    /// What earlier runs tell of tests.
    pub known: BTreeMap<TestId, Expected>,
}

impl Policy {
    /// What `run` says, and what holds where it says nothing. `available` is how many bytes of memory there are.
    #[must_use]
    pub fn new(run: &RunOptions, known: BTreeMap<TestId, Expected>, available: Option<u64>) -> Self {
        Self {
            memory: match run.memory {
                Some(limit) => limit.bytes(available),
                None => available,
            },
            fail_fast: run.fail_fast,
            retries: run.retries,
            slow: run.slow.map_or(Duration::from_mins(1), |limit| limit.0),
            run_timeout: run.run_timeout.map(|limit| limit.0),
            stop: Stop::default(),
            known,
        }
    }
}

/// Asks a run to end early. Copies ask the same run.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Asks: no test begins any more, and those that run are ended.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }

    fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    async fn asked(&self) {
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(|asked| *asked).await;
    }
}

/// What may end a run early, with the moment at which its time is over.
#[derive(Debug)]
pub(super) struct Halt {
    stop: Stop,
    limit: Option<(Instant, Duration)>,
}

/// Why a run ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Stopped,
    TimeLimit(Duration),
    FailFast,
}

impl Halt {
    /// What may end a run that begins now.
    pub(super) fn of(policy: &Policy) -> Self {
        Self {
            stop: policy.stop.clone(),
            limit: policy.run_timeout.map(|limit| (Instant::now() + limit, limit)),
        }
    }

    /// Why the run ends early, if it does by now.
    pub(super) fn now(&self) -> Option<Reason> {
        if self.stop.is_asked() {
            return Some(Reason::Stopped);
        }
        let (deadline, limit) = self.limit?;
        (Instant::now() >= deadline).then_some(Reason::TimeLimit(limit))
    }

    /// Completes when the run ends early.
    pub(super) async fn reached(&self) -> Reason {
        let over = async {
            match self.limit {
                Some((deadline, limit)) => {
                    sleep_until(deadline).await;
                    limit
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.stop.asked() => Reason::Stopped,
            limit = over => Reason::TimeLimit(limit),
        }
    }
}

impl Reason {
    /// What it is for a test that was running.
    pub(super) fn cause_of_running(self) -> Cause {
        match self {
            Self::TimeLimit(limit) => Cause::new(CauseKind::Timeout, format!("still running {}", over(limit))),
            Self::Stopped | Self::FailFast => Cause::new(CauseKind::NotRun, "interrupted while it was running"),
        }
    }

    /// What it is for a test that had not begun.
    pub(super) fn cause_of_waiting(self) -> Cause {
        let message = match self {
            Self::TimeLimit(limit) => format!("not begun {}", over(limit)),
            Self::Stopped => "interrupted before it began".to_owned(),
            Self::FailFast => "not begun, since another test had failed (fail-fast)".to_owned(),
        };
        Cause::new(CauseKind::NotRun, message)
    }
}

fn over(limit: Duration) -> String {
    format!("when the run's limit of {} s was reached", limit.as_secs_f64())
}
