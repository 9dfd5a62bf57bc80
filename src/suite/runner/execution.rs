//! Carries out a schedule: attempts at each test, warnings about slow ones, and an end to all of it whatever happens.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, interval_at};

use super::Outcome;
use super::policy::{Halt, Policy, Reason};
use super::schedule::{Schedule, jobs};
use crate::event::{CauseKind, Event, Sink, Summary, TestFinished, Verdict};
use crate::suite::{Mode, Test, TestPlan};

/// Runs every test of the plan by `carry_out`, `workers` at a time, and emits what happens to each.
///
/// Every test ends: one that cannot run, that is given up, and that is running when the run is ended, too.
pub(super) async fn run<'t, F: Future<Output = Outcome>>(
    plan: &'t TestPlan,
    workers: usize,
    policy: &Policy,
    sink: &dyn Sink,
    carry_out: impl Fn(&'t Test) -> F,
) -> Summary {
    let halt = Halt::of(policy);
    let noted = Mutex::new(BTreeSet::new());
    let mut summary = Summary::default();
    for test in plan.tests() {
        let verdict = match &test.mode {
            Mode::Skipped { reason } => Verdict::Skipped { reason: reason.clone() },
            Mode::Broken(cause) => Verdict::Failed(cause.clone()),
            Mode::Parallel | Mode::Alone => continue,
        };
        close(TestFinished::new(test.id(), verdict), &mut summary, sink);
    }
    let mut schedule = Schedule::new(jobs(plan, &policy.known), workers, policy.memory);
    let mut running = FuturesUnordered::new();
    loop {
        let fail_fast = (policy.fail_fast && summary.failed > 0).then_some(Reason::FailFast);
        if let Some(reason) = halt.now().or(fail_fast) {
            for place in schedule.give_up() {
                let verdict = Verdict::Failed(reason.cause_of_waiting());
                close(TestFinished::new(plan.tests()[place].id(), verdict), &mut summary, sink);
            }
        }
        while let Some((worker, place)) = schedule.begin() {
            let test = &plan.tests()[place];
            let own = plan.settings(&test.environment).and_then(|settings| settings.retries);
            let attempts = Attempts {
                test,
                worker,
                most: policy.retries.or(own).unwrap_or(0).saturating_add(1),
                policy,
                halt: &halt,
                noted: &noted,
                sink,
            };
            attempts.begin(1);
            running.push(attempts.run(&carry_out));
        }
        let Some(finished) = running.next().await else {
            return summary;
        };
        schedule.end(finished.worker);
        close(finished, &mut summary, sink);
    }
}

fn close(finished: TestFinished, summary: &mut Summary, sink: &dyn Sink) {
    summary.count(&finished.verdict);
    sink.emit(Event::TestFinished(finished));
}

/// The attempts at one test.
struct Attempts<'t, 'a> {
    test: &'t Test,
    worker: u32,
    most: u32,
    policy: &'a Policy,
    halt: &'a Halt,
    /// What has been said of the run.
    noted: &'a Mutex<BTreeSet<String>>,
    sink: &'a dyn Sink,
}

impl<'t> Attempts<'t, '_> {
    fn begin(&self, attempt: u32) {
        self.sink.emit(Event::TestStarted {
            id: self.test.id(),
            attempt,
            worker: self.worker,
        });
    }

    /// Tries until an attempt does not fail or there is none left. The first has begun.
    async fn run<F: Future<Output = Outcome>>(self, carry_out: &impl Fn(&'t Test) -> F) -> TestFinished {
        let id = self.test.id();
        let mut attempt = 1;
        loop {
            let started = Instant::now();
            let outcome = self.attempt(carry_out(self.test)).await;
            let seconds = started.elapsed().as_secs_f64();
            self.note(outcome.notes);
            match outcome.verdict {
                Verdict::Failed(cause) if attempt < self.most && self.halt.now().is_none() => {
                    self.sink.emit(Event::TestRetried {
                        id: id.clone(),
                        attempt,
                        cause,
                        seconds,
                        output: outcome.output,
                    });
                    attempt += 1;
                    self.begin(attempt);
                }
                verdict => {
                    return TestFinished {
                        seconds,
                        peak_memory: outcome.peak_memory,
                        output: outcome.output,
                        notebook: outcome.notebook,
                        attempt,
                        worker: self.worker,
                        ..TestFinished::new(id, verdict)
                    };
                }
            }
        }
    }

    fn note(&self, notes: Vec<String>) {
        for text in notes {
            let is_new = self
                .noted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(text.clone());
            if is_new {
                self.sink.emit(Event::Note { text });
            }
        }
    }

    /// One attempt, which ends when the run does.
    async fn attempt(&self, carried_out: impl Future<Output = Outcome>) -> Outcome {
        let started = Instant::now();
        let mut slow = interval_at(started + self.policy.slow, self.policy.slow);
        // A defect of floe's own must not take the other tests' verdicts with it.
        let mut carried_out = std::pin::pin!(AssertUnwindSafe(carried_out).catch_unwind());
        loop {
            tokio::select! {
                outcome = &mut carried_out => {
                    let failed = |_| Outcome::failed(CauseKind::Infra, "floe itself failed in this test");
                    return outcome.unwrap_or_else(failed);
                }
                // What runs is dropped with this, which kills it and all that it started.
                reason = self.halt.reached() => return Outcome::of(Verdict::Failed(reason.cause_of_running())),
                _ = slow.tick() => self.sink.emit(Event::TestSlow {
                    id: self.test.id(),
                    seconds: started.elapsed().as_secs_f64(),
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests;
