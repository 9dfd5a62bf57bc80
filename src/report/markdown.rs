//! The outcome of a run as Markdown, for the summary of a CI job or a comment.
//!
//! Names and messages stand in code spans and blocks, in which nothing is interpreted: no link, no element, no mention.

use std::fmt::Write as _;

use super::amounts::{count, duration, shortened};
use super::location;
use super::untrusted::Untrusted;
use crate::event::{Cause, TestFinished};
use crate::quantity::bytes;
use crate::run::account::Account;

/// More failures than these are counted, not listed.
const LISTED: usize = 50;

/// The explanations of more failures than these are left to the report.
const EXPLAINED: usize = 10;

/// How many of the slowest tests are listed.
const SLOWEST: usize = 5;

/// A longer name or message in a table is cut, in characters.
const LONGEST: usize = 300;

/// Lines that look like commands to a CI service are changed, since the text may pass through its log.
const UNTRUSTED: Untrusted = Untrusted {
    color: false,
    commands: true,
};

/// The summary of a run.
#[must_use]
pub fn to_string(account: &Account) -> String {
    let mut text = heading(account);
    failures(account, &mut text);
    flaky(account, &mut text);
    slowest(account, &mut text);
    text
}

fn heading(account: &Account) -> String {
    let outcome = &account.outcome;
    let (sign, word) = if outcome.passed {
        ("✅", "passed")
    } else {
        ("❌", "failed")
    };
    let mission = match account.mission() {
        "" => String::new(),
        mission => format!("{}: ", code(mission)),
    };
    let mut text = format!("## {sign} {mission}tests {word}\n\n{}", account.counts());
    if let Some(seconds) = outcome.seconds {
        let _ = write!(text, ", in {}", duration(seconds));
    }
    if !account.image().is_empty() {
        let _ = write!(text, ", of image {}", code(&account.image()));
    }
    if let Some(size) = account.size() {
        let _ = write!(text, " ({})", bytes(size.bytes));
    }
    text.push_str(".\n");
    for problem in &outcome.problems {
        let _ = write!(text, "\n- **Problem:** {}", code(problem));
    }
    for note in &outcome.notes {
        let _ = write!(text, "\n- {}", code(note));
    }
    if !outcome.problems.is_empty() || !outcome.notes.is_empty() {
        text.push('\n');
    }
    text
}

fn failures(account: &Account, text: &mut String) {
    let failures = account.outcome.failures().collect::<Vec<_>>();
    if failures.is_empty() {
        return;
    }
    text.push_str("\n### Failures\n\n| cause | test | what happened |\n|---|---|---|\n");
    for (test, cause) in failures.iter().take(LISTED) {
        let (id, message) = (test.id.to_string(), location::message(cause));
        let _ = writeln!(text, "| {} | {} | {} |", cause.kind.label(), cell(&id), cell(&message));
    }
    more(failures.len().saturating_sub(LISTED), "failure", text);
    let explained = failures
        .iter()
        .filter(|(test, cause)| !explanation(test, cause).is_empty());
    for (test, cause) in explained.take(EXPLAINED) {
        let id = UNTRUSTED.inline(&test.id.to_string());
        let _ = write!(
            text,
            "\n<details><summary><code>{}</code></summary>\n\n{}\n</details>\n",
            escaped(&id),
            block(&explanation(test, cause))
        );
    }
}

fn flaky(account: &Account, text: &mut String) {
    let flaky = account.flaky().collect::<Vec<_>>();
    if flaky.is_empty() {
        return;
    }
    text.push_str("\n### Flaky\n\nThese passed, but not at their first attempt.\n\n");
    text.push_str("| test | attempts | why the first failed |\n|---|---|---|\n");
    for test in flaky.iter().take(LISTED) {
        let first = account.attempts(&test.id).first();
        let why = first.map(|attempt| format!("{}: {}", attempt.cause.kind.label(), location::message(&attempt.cause)));
        let id = cell(&test.id.to_string());
        let _ = writeln!(text, "| {id} | {} | {} |", test.attempt, cell(&why.unwrap_or_default()));
    }
    more(flaky.len().saturating_sub(LISTED), "test", text);
}

fn slowest(account: &Account, text: &mut String) {
    let slowest = account.slowest();
    if slowest.len() < 2 {
        return;
    }
    text.push_str("\n### Slowest\n\n| test | time | peak memory |\n|---|--:|--:|\n");
    for test in slowest.iter().take(SLOWEST) {
        let id = cell(&test.id.to_string());
        let memory = test.peak_memory.map(bytes).unwrap_or_default();
        let _ = writeln!(text, "| {id} | {} | {memory} |", duration(test.seconds));
    }
}

fn more(number: usize, noun: &str, text: &mut String) {
    if number > 0 {
        let _ = writeln!(text, "\n… and {} more.", count(number, noun));
    }
}

/// What explains a failure beside its message.
fn explanation(test: &TestFinished, cause: &Cause) -> String {
    let detail = cause.detail.trim();
    if detail.is_empty() || detail == cause.message.trim() {
        test.output.trim_end().to_owned()
    } else {
        detail.to_owned()
    }
}

/// A code span for a cell of a table.
fn cell(text: &str) -> String {
    let text = UNTRUSTED.inline(text);
    let mut short = text.chars().take(LONGEST).collect::<String>();
    if short.len() < text.len() {
        short.push('\u{2026}');
    }
    // A bar ends a cell even in a code span, unless a backslash stands before it; one that stood there needs another.
    let mut safe = String::new();
    let mut backslashes = 0;
    for c in short.chars() {
        if c == '|' {
            safe.push_str(&"\\".repeat(backslashes + 1));
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        safe.push(c);
    }
    span(&safe)
}

/// A code span.
fn code(text: &str) -> String {
    span(&UNTRUSTED.inline(text))
}

fn span(text: &str) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(text) + 1);
    // A blank on either side is taken away again; it keeps a backtick of the text from the fence.
    let edge = |c| c == '`' || c == ' ';
    if text.starts_with(edge) || text.ends_with(edge) {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}

/// A block of code.
fn block(text: &str) -> String {
    let text = UNTRUSTED.plain(&shortened(text, 4 << 10));
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}text\n{text}\n{fence}\n")
}

/// The length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text inside of an HTML element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
