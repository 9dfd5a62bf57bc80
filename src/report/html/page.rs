//! What the page shows, as the template takes it. All text of it is made visible here, and escaped by the template.

use serde::Serialize;

use super::chart::{self, Bars, Drawing};
use super::failure::{self, Failure, Flaky};
use super::heading::{self, CauseCount, Fact, Share};
use super::name::visible;
use super::size::Size;
use super::table::{self, Group};
use crate::event::{RunStarted, TestFinished};
use crate::quantity::bytes;
use crate::reference::TestKind;
use crate::report::amounts::duration;
use crate::report::executed::Executed;
use crate::report::location::Locations;
use crate::run::account::Account;

/// The page.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    title: String,
    mission: String,
    passed: bool,
    counts: String,
    /// The shares of the results, drawn beside each other.
    shares: Vec<Share>,
    facts: Vec<Fact>,
    causes: Vec<CauseCount>,
    problems: Vec<String>,
    notes: Vec<String>,
    failures: Vec<Failure>,
    flaky: Vec<Flaky>,
    imports: Option<Bars>,
    others: Option<Bars>,
    memory: Option<Bars>,
    timeline: Option<Drawing>,
    size: Option<Size>,
    groups: Vec<Group>,
    version: &'static str,
}

impl Page {
    pub(super) fn of(account: &Account, executed: &Executed, places: &Locations) -> Self {
        let outcome = &account.outcome;
        let anchors = outcome.tests.iter().zip(1..);
        let anchors = anchors.map(|(test, number)| (&test.id, format!("t{number}"))).collect();
        let mission = match account.mission() {
            "" => "tests".to_owned(),
            mission => visible(mission),
        };
        let word = if outcome.passed { "passed" } else { "failed" };
        let import = |test: &&TestFinished| test.id.kind == TestKind::Import;
        let tests = || outcome.tests.iter();
        let seconds = |test: &TestFinished| Some(test.seconds);
        #[expect(clippy::cast_precision_loss, reason = "it is shown in three digits")]
        let memory = |test: &TestFinished| test.peak_memory.map(|bytes| bytes as f64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was a number of bytes"
        )]
        let size = |value: f64| bytes(value as u64);
        Self {
            title: format!("{mission}: tests {word}"),
            mission,
            passed: outcome.passed,
            counts: account.counts(),
            shares: heading::shares(account),
            facts: heading::facts(account),
            causes: heading::causes(account),
            problems: outcome.problems.iter().map(|text| visible(text)).collect(),
            notes: outcome.notes.iter().map(|text| visible(text)).collect(),
            failures: failure::failures(account, &anchors, executed, places),
            flaky: failure::flaky(account, &anchors),
            imports: chart::bars(tests().filter(import), &anchors, seconds, duration),
            others: chart::bars(tests().filter(|test| !import(test)), &anchors, seconds, duration),
            memory: chart::bars(tests(), &anchors, memory, size),
            timeline: chart::timeline(&account.timeline, &runs(account), &anchors),
            size: account.size().map(Size::of),
            groups: table::groups(account, &anchors, executed),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// How the lanes of the timeline name the runs.
fn runs(account: &Account) -> Vec<String> {
    let name = |run: &RunStarted| match run.part {
        Some(part) => format!("part {}", part.index),
        None => visible(&run.run),
    };
    account.runs.iter().map(name).collect()
}
