//! The table of all tests, by environment or mission.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::name::{Ending, Name, visible};
use crate::event::{CauseKind, TestFinished, Verdict};
use crate::quantity::bytes;
use crate::reference::{TestId, TestKind};
use crate::report::amounts::{duration, shortened};
use crate::report::executed::Executed;
use crate::run::account::Account;

/// All output of tests that passed is kept to about this many bytes, so that a page can be opened.
const PASSED_OUTPUT: usize = 4 << 20;

/// A page of more tests shows only those groups of them open in which something failed.
const MANY: usize = 200;

/// The tests of one environment or mission.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    owner: String,
    counts: String,
    failed: bool,
    open: bool,
    tests: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    anchor: String,
    name: Name,
    result: Ending,
    /// Why it was skipped, or what else is to be said in a line.
    remark: String,
    time: String,
    memory: String,
    output_html: String,
    notebook: Option<String>,
}

/// The groups of tests.
pub(super) fn groups(account: &Account, anchors: &HashMap<&TestId, String>, executed: &Executed) -> Vec<Group> {
    let tests = &account.outcome.tests;
    let told = tests
        .iter()
        .filter(|test| !test.output.is_empty() && test.verdict == Verdict::Passed);
    let most = (PASSED_OUTPUT / told.count().max(1)).clamp(512, 16 << 10);
    let mut owners = Vec::<&str>::new();
    for test in tests {
        if !owners.contains(&test.id.owner.as_str()) {
            owners.push(&test.id.owner);
        }
    }
    let group = |owner: &&str| {
        let mut own = tests.iter().filter(|test| test.id.owner == *owner).collect::<Vec<_>>();
        own.sort_by_key(|test| order(test));
        let failed = own.iter().any(|test| matches!(test.verdict, Verdict::Failed(_)));
        Group {
            owner: visible(owner),
            counts: tally(&own),
            failed,
            open: failed || tests.len() <= MANY,
            tests: own.into_iter().map(|test| row(test, anchors, executed, most)).collect(),
        }
    };
    owners.iter().map(group).collect()
}

/// Failures first, then what is flaky, then the rest; each by kind and name.
fn order(test: &TestFinished) -> (u8, Option<usize>, &str) {
    let result = match &test.verdict {
        Verdict::Failed(_) => 0,
        Verdict::Passed if test.is_flaky() => 1,
        _ => 2,
    };
    let kind = TestKind::ALL.iter().position(|kind| *kind == test.id.kind);
    (result, kind, &test.id.name)
}

fn tally(tests: &[&TestFinished]) -> String {
    let number = |wanted: fn(&TestFinished) -> bool| tests.iter().filter(|test| wanted(test)).count();
    let numbers = [
        (number(|test| matches!(test.verdict, Verdict::Failed(_))), "failed"),
        (number(TestFinished::is_flaky), "flaky"),
        (
            number(|test| test.verdict == Verdict::Passed && !test.is_flaky() && !test.is_carried()),
            "passed",
        ),
        (number(TestFinished::is_carried), "carried"),
        (
            number(|test| matches!(test.verdict, Verdict::Skipped { .. })),
            "skipped",
        ),
    ];
    let words = numbers.iter().filter(|(number, _)| *number > 0);
    words
        .map(|(number, word)| format!("{number} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Where a test passed that was not run again.
fn carried(test: &TestFinished) -> Option<String> {
    let earlier = test.carried.as_ref().filter(|_| test.is_carried())?;
    Some(format!(
        "passed in run {}; nothing has changed for it since",
        visible(&earlier.run)
    ))
}

fn row(test: &TestFinished, anchors: &HashMap<&TestId, String>, executed: &Executed, most: usize) -> Row {
    let passed = test.verdict == Verdict::Passed;
    let ran = match &test.verdict {
        Verdict::Failed(cause) => cause.kind != CauseKind::NotRun,
        Verdict::Skipped { .. } => false,
        Verdict::Passed => !test.is_carried(),
    };
    Row {
        anchor: anchors.get(&test.id).cloned().unwrap_or_default(),
        name: Name::of(&test.id),
        result: Ending::of(test),
        remark: match &test.verdict {
            Verdict::Skipped { reason } => visible(reason),
            Verdict::Passed if test.is_flaky() => format!("passed at attempt {}", test.attempt),
            _ => carried(test).unwrap_or_default(),
        },
        time: if ran { duration(test.seconds) } else { String::new() },
        memory: test.peak_memory.map(bytes).unwrap_or_default(),
        // What failed tells its output where it tells its cause.
        output_html: if passed {
            super::ansi::markup(&shortened(&test.output, most))
        } else {
            String::new()
        },
        notebook: link(test, executed),
    }
}

/// The address of a test's executed notebook, relative to the page, if the file is there.
pub(super) fn link(test: &TestFinished, executed: &Executed) -> Option<String> {
    let name = test.notebook.as_ref()?;
    executed.file(name)?;
    Some(address(name))
}

/// A relative path as an address. The dot keeps any name from being taken for a scheme or a host.
fn address(path: &str) -> String {
    let mut address = "./".to_owned();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_notebook_is_more_than_a_relative_address() {
        assert_eq!(address("notebooks/e/a b.ipynb"), "./notebooks/e/a%20b.ipynb");
        assert_eq!(address("javascript:alert(1)"), "./javascript%3Aalert%281%29");
        assert_eq!(address("//x.example/é\"?#"), ".///x.example/%C3%A9%22%3F%23");
    }
}
