//! The outcome of a run as one JSON document, for programs.

use serde_json::{Value, json};

use crate::event::RunStarted;
use crate::run::account::Account;

/// The document: what was tested, the verdict, and every test as the log has it, with the attempts before its last.
#[must_use]
pub fn to_json(account: &Account) -> Value {
    let outcome = &account.outcome;
    let run = |run: &RunStarted| {
        json!({
            "run": run.run, "mission": run.mission, "image": run.image, "reference": run.reference,
            "part": run.part, "definitions": run.definitions, "grounds": run.grounds,
            "size": run.size,
        })
    };
    let tests = outcome.tests.iter().map(|test| {
        let mut value = json!(test);
        let attempts = account.attempts(&test.id).iter().map(|attempt| {
            json!({
                "attempt": attempt.number, "cause": attempt.cause, "seconds": attempt.seconds,
                "output": attempt.output,
            })
        });
        let attempts = attempts.collect::<Vec<_>>();
        if !attempts.is_empty() {
            value["attempts"] = attempts.into();
        }
        value
    });
    json!({
        "passed": outcome.passed,
        "summary": outcome.summary,
        "flaky": account.flaky().count(),
        "seconds": outcome.seconds,
        "began": account.begun,
        "runs": account.runs.iter().map(run).collect::<Vec<_>>(),
        "problems": outcome.problems,
        "notes": outcome.notes,
        "tests": tests.collect::<Vec<_>>(),
    })
}
