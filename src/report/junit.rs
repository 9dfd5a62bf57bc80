//! The outcome of a run as `JUnit` XML, which CI services read.
//!
//! One suite per environment or mission, one case per test. A test that failed is a failure; one that could not be
//! carried out or never ended is an error; so is each problem of the run itself, so that no reader takes a run that
//! went wrong for one of tests that passed. Attempts that were repeated are written as surefire does: `flakyFailure` in
//! a case that passed at last, `rerunFailure` after the first failure in one that did not.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestRerun, TestSuite, XmlString};

use super::account::{Account, Attempt};
use super::place::{self, Places};
use super::untrusted::Untrusted;
use crate::event::{Cause, CauseKind, TestFinished, Verdict};
use crate::reference::TestKind;

/// The report of a run. Cases name the file that defines them where `places` has it.
pub fn to_string(account: &Account, places: &Places) -> Result<String, SerializeError> {
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

fn suites(account: &Account, places: &Places) -> Vec<TestSuite> {
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

fn suite(owner: &str, account: &Account, places: &Places) -> TestSuite {
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
    let kind = match test.id.kind {
        TestKind::Import => "imports",
        TestKind::Notebook => "notebooks",
        TestKind::Script => "test",
        TestKind::Server => "server",
    };
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
        .set_message(xml(&place::message(cause)));
    if !cause.detail.is_empty() {
        status.set_description(xml(&cause.detail));
    }
    status
}

fn rerun(attempt: &Attempt) -> TestRerun {
    let mut rerun = TestRerun::new(kind(&attempt.cause));
    rerun
        .set_type(attempt.cause.kind.label())
        .set_message(xml(&place::message(&attempt.cause)))
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
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::event::{Event, Part, Record, RunStarted};
    use crate::reference::{Digest, TestId};

    fn shown(records: &[Record]) -> String {
        to_string(&Account::of(records), &Places::default()).unwrap()
    }

    fn test(id: TestId, verdict: Verdict) -> Event {
        Event::TestFinished(TestFinished {
            seconds: 0.5,
            ..TestFinished::new(id, verdict)
        })
    }

    fn records(events: Vec<Event>) -> Vec<Record> {
        let record = |event| Record {
            at: Timestamp::UNIX_EPOCH,
            event,
        };
        events.into_iter().map(record).collect()
    }

    fn begun(expected: Vec<TestId>) -> Event {
        Event::RunStarted(RunStarted::new("r1", "roman", Digest::of(b"image"), expected))
    }

    fn run() -> Vec<Record> {
        let cause = Cause {
            cell: Some(2),
            ..Cause::new(CauseKind::KernelDied, "the kernel was killed by signal 9")
        };
        let numpy = TestId::import("roman-cal", "numpy");
        let intro = TestId::notebook("roman-cal", "intro.ipynb");
        let lost = TestId::import("roman-cal", "lost");
        let reason = "commented out in notebooks, line 3".to_owned();
        records(vec![
            begun(vec![numpy.clone(), intro.clone(), lost]),
            test(numpy, Verdict::Passed),
            test(intro, Verdict::Failed(cause.with_detail("Traceback: <x> & \"y\""))),
            test(TestId::script("roman"), Verdict::Skipped { reason }),
            Event::RunFinished {
                summary: crate::event::Summary::default(),
                passed: false,
                problem: Some("the container was removed".to_owned()),
                seconds: 1.25,
            },
        ])
    }

    #[test]
    fn a_report_holds_every_outcome() {
        insta::assert_snapshot!(shown(&run()), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="roman" tests="5" skipped="1" failures="1" errors="2" timestamp="1970-01-01T00:00:00.000+00:00" time="1.250">
            <testsuite name="roman-cal" tests="3" skipped="0" errors="1" failures="1" timestamp="1970-01-01T00:00:00.000+00:00" time="1.000">
                <properties>
                    <property name="run" value="r1"/>
                    <property name="image" value="sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"/>
                </properties>
                <testcase name="numpy" classname="roman-cal::imports" time="0.500"/>
                <testcase name="intro.ipynb" classname="roman-cal::notebooks" time="0.500">
                    <failure message="cell 2: the kernel was killed by signal 9" type="KERNEL-DIED">Traceback: &lt;x&gt; &amp; &quot;y&quot;</failure>
                </testcase>
                <testcase name="lost" classname="roman-cal::imports" time="0.000">
                    <error message="it was expected, but never reported" type="NOT-RUN"/>
                </testcase>
            </testsuite>
            <testsuite name="roman" tests="1" skipped="1" errors="0" failures="0" timestamp="1970-01-01T00:00:00.000+00:00" time="0.500">
                <properties>
                    <property name="run" value="r1"/>
                    <property name="image" value="sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"/>
                </properties>
                <testcase name="test" classname="roman::test" time="0.500">
                    <skipped message="commented out in notebooks, line 3"/>
                </testcase>
            </testsuite>
            <testsuite name="run" tests="1" skipped="0" errors="1" failures="0" timestamp="1970-01-01T00:00:00.000+00:00">
                <properties>
                    <property name="run" value="r1"/>
                    <property name="image" value="sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"/>
                </properties>
                <testcase name="run" classname="run">
                    <error message="the container was removed" type="PROBLEM"/>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn a_report_reads_back_with_its_counts() {
        let report = Report::deserialize_from_str(&shown(&run())).unwrap();
        assert_eq!(
            (report.tests, report.failures, report.errors, report.skipped),
            (5, 1, 2, 1)
        );
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "]]></failure><x>\0\u{1b}[31m\u{1b}]0;\u{fffe}\u{ffff}\u{b}\u{9b} & kept";
        let id = TestId::import("roman", "a<b>\u{1b}[2J");
        let cause = Cause::new(CauseKind::Error, hostile).with_detail(hostile);
        let mut finished = test(id, Verdict::Failed(cause));
        if let Event::TestFinished(test) = &mut finished {
            test.output = hostile.to_owned();
        }
        let text = shown(&records(vec![begun(vec![]), finished]));
        let valid = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert!(text.chars().all(valid), "{text:?}");
        let report = Report::deserialize_from_str(&text).unwrap();
        assert_eq!(report.failures, 1);
        let shown = &report.test_suites[0].test_cases[0];
        assert_eq!(shown.name.as_str(), "a<b>");
        let output = shown.system_out.as_ref().unwrap().as_str();
        assert!(output.starts_with("]]></failure><x>"), "{output:?}");
        assert!(output.ends_with(" & kept"), "{output:?}");
    }

    #[test]
    fn a_run_without_tests_is_an_error_in_the_report() {
        let report = Report::deserialize_from_str(&shown(&[])).unwrap();
        assert!(report.errors > 0);
    }

    fn retried(id: &TestId, attempt: u32) -> Event {
        Event::TestRetried {
            id: id.clone(),
            attempt,
            cause: Cause::new(CauseKind::Timeout, format!("attempt {attempt}")).with_detail("why"),
            seconds: 0.25,
            output: "printed".to_owned(),
        }
    }

    fn last(id: &TestId, attempt: u32, verdict: Verdict) -> Event {
        Event::TestFinished(TestFinished {
            attempt,
            ..TestFinished::new(id.clone(), verdict)
        })
    }

    #[test]
    fn attempts_are_written_as_surefire_does() {
        let flaky = TestId::import("roman", "flaky");
        let broken = TestId::import("roman", "broken");
        let cause = Cause::new(CauseKind::Error, "attempt 3");
        let text = shown(&records(vec![
            begun(vec![]),
            retried(&flaky, 1),
            last(&flaky, 2, Verdict::Passed),
            retried(&broken, 1),
            retried(&broken, 2),
            last(&broken, 3, Verdict::Failed(cause)),
        ]));
        let cases = text
            .split_once("<testcase")
            .unwrap()
            .1
            .split_once("</testsuite>")
            .unwrap()
            .0;
        insta::assert_snapshot!(cases, @r#"
        name="flaky" classname="roman::imports" time="0.000">
                   <flakyFailure time="0.250" message="attempt 1" type="TIMEOUT">
                       <stackTrace>why</stackTrace>
                       <system-out>printed</system-out>
                   </flakyFailure>
               </testcase>
               <testcase name="broken" classname="roman::imports" time="0.000">
                   <failure message="attempt 1" type="TIMEOUT">why</failure>
                   <rerunFailure time="0.250" message="attempt 2" type="TIMEOUT">
                       <stackTrace>why</stackTrace>
                       <system-out>printed</system-out>
                   </rerunFailure>
                   <rerunFailure time="0.000" message="attempt 3" type="FAIL">
                   </rerunFailure>
               </testcase>
        "#);
    }

    #[test]
    fn a_report_tells_what_was_tested_and_of_which_part() {
        let mut first = RunStarted::new("r1", "roman", Digest::of(b"image"), vec![]);
        first.reference = "floe/roman:5472c8bb85ed".to_owned();
        first.definitions = Some(Digest::of(b"definitions"));
        first.part = Some(Part { index: 1, of: 2 });
        let mut second = first.clone();
        second.run = "r2".to_owned();
        second.part = Some(Part { index: 2, of: 2 });
        let text = shown(&records(vec![Event::RunStarted(first), Event::RunStarted(second)]));
        let values = text.lines().filter_map(|line| line.trim().strip_prefix("<property "));
        let values = values.map(|line| line.trim_end_matches("/>")).collect::<Vec<_>>();
        assert_eq!(values[0], "name=\"run\" value=\"r1\"");
        for value in ["reference", "definitions", "1/2", "2/2", "r2"] {
            assert_eq!(
                values
                    .iter()
                    .filter(|line| line.contains(&format!("\"{value}\"")))
                    .count(),
                1,
                "{value}"
            );
        }
    }

    #[test]
    fn a_case_names_the_file_that_defines_it() {
        let root = tempfile::tempdir().unwrap();
        let tests = root.path().join("missions/roman/environments/cal/tests");
        std::fs::create_dir_all(&tests).unwrap();
        std::fs::write(tests.join("imports"), "numpy\n").unwrap();
        let records = records(vec![
            begun(vec![]),
            test(TestId::import("cal", "numpy"), Verdict::Passed),
        ]);
        let text = to_string(&Account::of(&records), &Places::of(root.path())).unwrap();
        assert!(
            text.contains("file=\"missions/roman/environments/cal/tests/imports\""),
            "{text}"
        );
    }
}
