//! The outcome of a run as `JUnit` XML, which CI services read.
//!
//! One suite per environment or mission, one case per test. A test that failed is a failure; one that could not be
//! carried out or never ended is an error; so is each problem of the run itself, so that no reader takes a run that
//! went wrong for one of tests that passed. Attempts that were repeated are written as surefire does: `flakyFailure` in
//! a case that passed in the end, `rerunFailure` after the first failure in one that did not.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestRerun, TestSuite, XmlString};

use super::location::{self, Locations};
use super::untrusted::Untrusted;
use crate::event::{Cause, CauseKind, TestFinished, Verdict};
use crate::run::account::{Account, Attempt};

/// The report of a run. Cases name the file that defines them where `places` has it.
pub fn to_string(account: &Account, places: &Locations) -> Result<String, SerializeError> {
    let outcome = &account.outcome;
    let name = outcome.run.as_ref().map_or("floe", |run| &run.mission);
    let mut report = Report::new(xml(name));
    // The two crates meet in RFC 3339.
    report.timestamp = account.begun.and_then(|at| at.to_string().parse().ok());
    report.time = outcome.seconds.map(seconds);
    for mut suite in suites(account, places) {
        suite.timestamp = report.timestamp;
        for (name, value) in properties(account) {
            suite.add_property((XmlString::from(name), xml(&value)));
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

/// What was tested, and which run it was; several values of one name where parts are read as one run.
fn properties(account: &Account) -> Vec<(&'static str, String)> {
    let mut properties = Vec::new();
    for run in &account.runs {
        properties.push(("run", run.run.clone()));
        properties.push(("image", run.image.to_string()));
        if !run.reference.is_empty() {
            properties.push(("reference", run.reference.clone()));
        }
        if let Some(definitions) = &run.definitions {
            properties.push(("definitions", definitions.to_string()));
        }
        if let Some(part) = run.part {
            properties.push(("part", format!("{}/{}", part.index, part.of)));
        }
    }
    let mut seen = std::collections::HashSet::new();
    properties.retain(|property| seen.insert(property.clone()));
    properties
}

fn suites(account: &Account, places: &Locations) -> Vec<TestSuite> {
    let outcome = &account.outcome;
    let mut owners = Vec::<&str>::new();
    for test in &outcome.tests {
        if !owners.contains(&test.id.owner.as_str()) {
            owners.push(&test.id.owner);
        }
    }
    let suites = owners.iter().map(|owner| suite(owner, account, places));
    let mut suites = suites.collect::<Vec<_>>();
    if !outcome.problems.is_empty() {
        let mut run = TestSuite::new("run");
        run.add_test_cases(outcome.problems.iter().map(|problem| {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("PROBLEM").set_message(xml(problem));
            let mut case = TestCase::new("run", status);
            case.set_classname("run");
            case
        }));
        suites.push(run);
    }
    suites
}

fn suite(owner: &str, account: &Account, places: &Locations) -> TestSuite {
    let tests = account.outcome.tests.iter().filter(|test| test.id.owner == owner);
    let mut suite = TestSuite::new(xml(owner));
    suite.set_time(seconds(tests.clone().map(|test| test.seconds).sum()));
    suite.add_test_cases(tests.map(|test| {
        let mut case = case(test, account.attempts(&test.id));
        if let Some(file) = places.file(account.mission(), &test.id) {
            case.extra.insert(XmlString::from("file"), xml(&file));
        }
        case
    }));
    suite
}

fn case(test: &TestFinished, attempts: &[Attempt]) -> TestCase {
    let kind = test.id.kind.word();
    let name = if test.id.name.is_empty() { kind } else { &test.id.name };
    let mut case = TestCase::new(xml(name), status(test, attempts));
    case.set_classname(xml(&format!("{}::{kind}", test.id.owner)));
    case.set_time(seconds(test.seconds));
    if !test.output.is_empty() {
        case.set_system_out(xml(&test.output));
    }
    if let Some(bytes) = test.peak_memory {
        case.add_property(("peak-memory", bytes.to_string().as_str()));
    }
    if let Some(earlier) = test.carried.as_ref().filter(|_| test.is_carried()) {
        case.add_property((XmlString::from("carried-from"), xml(&earlier.run)));
    }
    if let Some(notebook) = &test.notebook {
        case.add_property((XmlString::from("notebook"), xml(notebook)));
    }
    case
}

fn status(test: &TestFinished, attempts: &[Attempt]) -> TestCaseStatus {
    match &test.verdict {
        Verdict::Passed => {
            let mut status = TestCaseStatus::success();
            status.add_reruns(attempts.iter().map(rerun));
            status
        }
        Verdict::Skipped { reason } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(xml(reason));
            status
        }
        Verdict::Failed(cause) => match attempts.split_first() {
            None => failed(cause),
            Some((first, others)) => {
                let last = Attempt {
                    number: test.attempt,
                    cause: cause.clone(),
                    seconds: test.seconds,
                    output: test.output.clone(),
                };
                let mut status = failed(&first.cause);
                status.add_reruns(others.iter().chain([&last]).map(rerun));
                status
            }
        },
    }
}

fn failed(cause: &Cause) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind(cause));
    status
        .set_type(cause.kind.label())
        .set_message(xml(&location::message(cause)));
    if !cause.detail.is_empty() {
        status.set_description(xml(&cause.detail));
    }
    status
}

fn rerun(attempt: &Attempt) -> TestRerun {
    let mut rerun = TestRerun::new(kind(&attempt.cause));
    rerun
        .set_type(attempt.cause.kind.label())
        .set_message(xml(&location::message(&attempt.cause)))
        .set_time(seconds(attempt.seconds));
    if !attempt.cause.detail.is_empty() {
        rerun.set_stack_trace(xml(&attempt.cause.detail));
    }
    if !attempt.output.is_empty() {
        rerun.set_system_out(xml(&attempt.output));
    }
    rerun
}

fn kind(cause: &Cause) -> NonSuccessKind {
    match cause.kind {
        CauseKind::NotRun | CauseKind::Infra => NonSuccessKind::Error,
        _ => NonSuccessKind::Failure,
    }
}

/// Text that XML can hold: no colours, no controls, and neither of the two other characters that XML excludes.
fn xml(text: &str) -> XmlString {
    let text = Untrusted::default().plain(text);
    XmlString::new(text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

/// A duration; a time that is none (negative, not a number) is zero.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests;
