//! The head of the page: what was tested, when, and how many tests ended how.

use std::fmt::Write as _;

use serde::Serialize;

use super::chart::percent;
use super::name::visible;
use crate::event::{CauseKind, RunStarted};
use crate::report::amounts::{count, duration};
use crate::run::account::Account;

#[derive(Debug, Serialize)]
pub(super) struct Share {
    class: &'static str,
    number: usize,
    x: String,
    width: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Fact {
    name: &'static str,
    value: String,
    /// Whether it is a name for machines.
    code: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct CauseCount {
    label: &'static str,
    number: usize,
    meaning: &'static str,
}

/// The shares of the results.
pub(super) fn shares(account: &Account) -> Vec<Share> {
    let summary = account.outcome.summary;
    let flaky = account.flaky().count();
    let numbers = [
        ("failed", summary.failed),
        ("flaky", flaky),
        ("passed", summary.passed - flaky),
        ("carried", summary.carried),
        ("skipped", summary.skipped),
    ];
    let total = numbers.iter().map(|(_, number)| number).sum::<usize>().max(1);
    #[expect(clippy::cast_precision_loss, reason = "it is a share of a drawing")]
    let share = |number: usize| 100.0 * number as f64 / total as f64;
    let mut before = 0;
    let mut shares = Vec::new();
    for (class, number) in numbers.into_iter().filter(|(_, number)| *number > 0) {
        shares.push(Share {
            class,
            number,
            x: percent(share(before)),
            width: percent(share(number)),
        });
        before += number;
    }
    shares
}

/// What was tested, and when.
pub(super) fn facts(account: &Account) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name, value: String, code| {
        if !value.is_empty() {
            facts.push(Fact { name, value, code });
        }
    };
    // Of several runs that are read as one, what they have in common is said once.
    let each = |of: &dyn Fn(&RunStarted) -> String| {
        let mut values = Vec::new();
        for value in account.runs.iter().map(of).filter(|value| !value.is_empty()) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values.join(", ")
    };
    add("Image", each(&|run| visible(&run.reference)), true);
    add("Image ID", each(&|run| run.image.to_string()), true);
    let definitions = |run: &RunStarted| run.definitions.as_ref().map(ToString::to_string);
    add(
        "Test definitions",
        each(&|run| definitions(run).unwrap_or_default()),
        true,
    );
    add("Run", each(&|run| visible(&run.run)), true);
    let part = |run: &RunStarted| run.part.map(|part| format!("{} of {}", part.index, part.of));
    add("Part", each(&|run| part(run).unwrap_or_default()), false);
    let begun = account.begun.map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    add("Began", begun.unwrap_or_default(), false);
    let took = account.outcome.seconds.map(duration);
    let mut took = took.unwrap_or_else(|| "unknown: the log stops early".to_owned());
    if account.jobs > 0 {
        let _ = write!(took, ", {} at a time", count(account.jobs, "test"));
    }
    add("Took", took, false);
    facts
}

/// How many tests failed, by cause.
pub(super) fn causes(account: &Account) -> Vec<CauseCount> {
    let causes = account.causes().into_iter();
    causes
        .map(|(kind, number)| CauseCount {
            label: kind.label(),
            number,
            meaning: match kind {
                CauseKind::Error => "an exception, or an exit code that is not 0",
                CauseKind::Timeout => "a time limit was reached",
                CauseKind::Oom => "the memory limit was reached",
                CauseKind::KernelDied => "the kernel or process was killed or crashed",
                CauseKind::EarlyExit => "it ended by itself before its work was done",
                CauseKind::Leak => "processes were left behind",
                CauseKind::NotRun => "it was defined, but did not run",
                CauseKind::Infra => "it could not be carried out; its subject may be sound",
            },
        })
        .collect()
}
