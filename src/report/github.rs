//! Annotations of GitHub Actions: commands in the log of a job that mark the file and line of a failure.
//!
//! Their form is that of <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>.

use super::location::{self, Location, Locations};
use super::untrusted::Untrusted;
use crate::event::{Cause, CauseKind, TestFinished};
use crate::run::account::Account;

/// GitHub shows no more of each level for a step.
const SHOWN: usize = 10;

/// The commands, the most important first: what went wrong with the run itself, failures, tests that did not run, and
/// then, as warnings, flaky ones.
#[must_use]
pub fn annotations(account: &Account, places: &Locations) -> Vec<String> {
    let outcome = &account.outcome;
    let of_test = |level: &str, test: &TestFinished, cause: &Cause, message: &str| {
        let place = places.place(account.mission(), &test.id, Some(cause));
        let title = format!("{} {}", cause.kind.label(), test.id);
        command(level, place.as_ref(), &title, message)
    };
    let problems = outcome.problems.iter();
    let mut errors = problems
        .map(|problem| command("error", None, "test run", problem))
        .collect::<Vec<_>>();
    let mut failures = outcome.failures().collect::<Vec<_>>();
    failures.sort_by_key(|(_, cause)| cause.kind == CauseKind::NotRun);
    errors.extend(
        failures
            .iter()
            .map(|(test, cause)| of_test("error", test, cause, &location::message(cause))),
    );
    let warnings = account.flaky().filter_map(|test| {
        let cause = &account.attempts(&test.id).first()?.cause;
        let message = format!(
            "passed at attempt {}; before: {}",
            test.attempt,
            location::message(cause)
        );
        Some(of_test("warning", test, cause, &message))
    });
    let mut annotations = bounded(errors, "error");
    annotations.extend(bounded(warnings.collect(), "warning"));
    annotations
}

/// The command that marks a failure which no test run accounts for, e.g. that of a build.
#[must_use]
pub fn failure(place: Option<&Location>, message: &str) -> String {
    command("error", place, "floe", message)
}

/// As many as are shown; the last of them tells how many are not.
fn bounded(mut commands: Vec<String>, level: &str) -> Vec<String> {
    if commands.len() > SHOWN {
        let more = commands.split_off(SHOWN - 1).len();
        let message = format!("{more} more are listed in the job's summary and in the report");
        commands.push(command(level, None, "more", &message));
    }
    commands
}

fn command(level: &str, place: Option<&Location>, title: &str, message: &str) -> String {
    let inline = |text: &str| Untrusted::default().inline(text);
    let mut properties = Vec::new();
    if let Some(place) = place {
        properties.push(format!("file={}", property(&inline(&place.file))));
        properties.extend(place.line.map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", property(&inline(title))));
    format!("::{level} {}::{}", properties.join(","), data(&inline(message)))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::event::{Event, Record, RunStarted, Verdict};
    use crate::reference::{Digest, TestId};

    fn account(events: Vec<Event>) -> Account {
        let begun = Event::RunStarted(RunStarted::new("r", "m", Digest::of(b"i"), vec![]));
        let record = |event| Record {
            at: Timestamp::UNIX_EPOCH,
            number: 0,
            log: 0,
            event,
        };
        let end = Event::RunFinished {
            summary: crate::event::Summary::default(),
            passed: false,
            problem: None,
            seconds: 1.0,
        };
        let events = std::iter::once(begun).chain(events).chain([end]);
        Account::of(&events.map(record).collect::<Vec<_>>())
    }

    fn failed(id: TestId, cause: Cause) -> Event {
        Event::TestFinished(TestFinished::new(id, Verdict::Failed(cause)))
    }

    #[test]
    fn a_failure_is_marked_where_it_is() {
        let root = tempfile::tempdir().unwrap();
        let tests = root.path().join("missions/m/environments/e/tests");
        std::fs::create_dir_all(&tests).unwrap();
        std::fs::write(tests.join("imports"), "numpy\nscipy\n").unwrap();
        let source = "{\"cells\": [\n{\"source\": [\n\"a\\n\",\n\"1/0\"\n]}]}";
        std::fs::write(tests.join("x.ipynb"), source).unwrap();
        let mut division = Cause::new(CauseKind::Error, "ZeroDivisionError: 100%");
        (division.cell, division.line) = (Some(1), Some(2));
        let account = account(vec![
            failed(TestId::import("e", "scipy"), Cause::new(CauseKind::Error, "no")),
            failed(TestId::notebook("e", "x.ipynb"), division),
        ]);
        assert_eq!(
            annotations(&account, &Locations::of(root.path())),
            [
                "::error file=missions/m/environments/e/tests/imports,line=2,title=FAIL e%3A%3Aimports%3A%3Ascipy::no",
                "::error file=missions/m/environments/e/tests/x.ipynb,line=4,title=FAIL e%3A%3Anotebooks%3A%3Ax.ipynb::\
                 cell 1, line 2: ZeroDivisionError: 100%25",
            ]
        );
    }

    #[test]
    fn a_failure_of_a_build_is_marked_at_its_file_and_line() {
        let place = Location {
            file: "missions/m/environments/e/e.pip".to_owned(),
            line: Some(3),
        };
        assert_eq!(
            failure(Some(&place), "no such package\n::error::x"),
            "::error file=missions/m/environments/e/e.pip,line=3,title=floe::no such package\u{23ce} ::error::x"
        );
        assert_eq!(failure(None, "it broke"), "::error title=floe::it broke");
    }

    #[test]
    fn no_text_becomes_a_second_command() {
        let hostile = "a\n::set-output name=x::y\r::error::z,file=/etc\u{1b}[2J";
        let account = account(vec![failed(
            TestId::import("e", hostile),
            Cause::new(CauseKind::Error, hostile),
        )]);
        let annotations = annotations(&account, &Locations::default());
        assert_eq!(annotations.len(), 1);
        let text = &annotations[0];
        assert!(!text.contains(['\n', '\r', '\u{1b}']), "{text}");
        assert_eq!(
            text.matches("::").count(),
            text.rsplit_once("::error").map_or(2, |_| 4),
            "{text}"
        );
        let properties = text.strip_prefix("::error ").unwrap().split_once("::").unwrap().0;
        assert!(!properties.contains(','), "{properties}");
    }

    #[test]
    fn no_more_are_written_than_are_shown_and_the_last_says_so() {
        let lost = |n: usize| {
            failed(
                TestId::import("e", &format!("lost{n}")),
                Cause::new(CauseKind::NotRun, "lost"),
            )
        };
        let mut events = (0..20).map(lost).collect::<Vec<_>>();
        events.push(failed(TestId::import("e", "real"), Cause::new(CauseKind::Oom, "real")));
        let annotations = annotations(&account(events), &Locations::default());
        assert_eq!(annotations.len(), SHOWN);
        assert!(annotations[0].contains("OOM"), "{annotations:?}");
        assert!(annotations[SHOWN - 1].ends_with("::12 more are listed in the job's summary and in the report"));
    }
}
