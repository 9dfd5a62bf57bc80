//! The outcome of a run as `JUnit` XML, which CI services read.
//!
//! One suite per environment or mission, one case per test. A test that failed is a failure; one that could not be
//! carried out or never ended is an error; so is each problem of the run itself, so that no reader takes a run that
//! went wrong for one of tests that passed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::outcome::Outcome;
use super::untrusted::Untrusted;
use crate::event::{Cause, CauseKind, Record, TestFinished, Verdict};
use crate::reference::TestKind;

/// A report that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum JunitError {
    /// The file cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The report.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The report cannot be put into XML.
    #[error("the run's log cannot be put into XML: {0}")]
    Xml(#[from] quick_junit::SerializeError),
}

/// Writes the report of the run whose log is `records` to `path`.
pub fn write(records: &[Record], path: &Path) -> Result<(), JunitError> {
    let text = to_string(records)?;
    std::fs::write(path, text).map_err(|source| JunitError::Write {
        path: path.to_owned(),
        source,
    })
}

/// The report of the run whose log is `records`.
pub fn to_string(records: &[Record]) -> Result<String, JunitError> {
    let outcome = Outcome::of(records);
    let name = outcome.run.as_ref().map_or("floe", |run| &run.mission);
    let mut report = Report::new(xml(name));
    // The two crates meet in RFC 3339.
    report.timestamp = records.first().and_then(|record| record.at.to_string().parse().ok());
    report.time = outcome.seconds.map(seconds);
    for mut suite in suites(&outcome) {
        if let Some(run) = &outcome.run {
            suite.add_property((XmlString::from("run"), xml(&run.id)));
            suite.add_property(("image", run.image.as_str()));
        }
        report.add_test_suite(suite);
    }
    Ok(report.to_string()?)
}

fn suites(outcome: &Outcome) -> Vec<TestSuite> {
    let mut owners = Vec::<&str>::new();
    for test in &outcome.tests {
        if !owners.contains(&test.id.owner.as_str()) {
            owners.push(&test.id.owner);
        }
    }
    let mut suites = owners.iter().map(|owner| suite(owner, outcome)).collect::<Vec<_>>();
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

fn suite(owner: &str, outcome: &Outcome) -> TestSuite {
    let tests = outcome.tests.iter().filter(|test| test.id.owner == owner);
    let mut suite = TestSuite::new(xml(owner));
    suite.set_time(seconds(tests.clone().map(|test| test.seconds).sum()));
    suite.add_test_cases(tests.map(case));
    suite
}

fn case(test: &TestFinished) -> TestCase {
    let kind = match test.id.kind {
        TestKind::Import => "imports",
        TestKind::Notebook => "notebooks",
        TestKind::Script => "test",
        TestKind::Server => "server",
    };
    let name = if test.id.name.is_empty() { kind } else { &test.id.name };
    let mut case = TestCase::new(xml(name), status(&test.verdict));
    case.set_classname(xml(&format!("{}::{kind}", test.id.owner)));
    case.set_time(seconds(test.seconds));
    if !test.output.is_empty() {
        case.set_system_out(xml(&test.output));
    }
    if let Some(bytes) = test.peak_memory {
        case.add_property(("peak-memory", bytes.to_string().as_str()));
    }
    case
}

fn status(verdict: &Verdict) -> TestCaseStatus {
    match verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Skipped { reason } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(xml(reason));
            status
        }
        Verdict::Failed(cause) => {
            let kind = match cause.kind {
                CauseKind::NotRun | CauseKind::Infra => NonSuccessKind::Error,
                _ => NonSuccessKind::Failure,
            };
            let mut status = TestCaseStatus::non_success(kind);
            status.set_type(cause.kind.label()).set_message(xml(&message(cause)));
            if !cause.detail.is_empty() {
                status.set_description(xml(&cause.detail));
            }
            status
        }
    }
}

fn message(cause: &Cause) -> String {
    match cause.cell {
        Some(cell) => format!("cell {cell}: {}", cause.message),
        None => cause.message.clone(),
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
    use crate::event::{Event, RunStarted};
    use crate::reference::{Digest, TestId};

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
        insta::assert_snapshot!(to_string(&run()).unwrap(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="roman" tests="5" skipped="1" failures="1" errors="2" timestamp="1970-01-01T00:00:00.000+00:00" time="1.250">
            <testsuite name="roman-cal" tests="3" skipped="0" errors="1" failures="1" time="1.000">
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
            <testsuite name="roman" tests="1" skipped="1" errors="0" failures="0" time="0.500">
                <properties>
                    <property name="run" value="r1"/>
                    <property name="image" value="sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"/>
                </properties>
                <testcase name="test" classname="roman::test" time="0.500">
                    <skipped message="commented out in notebooks, line 3"/>
                </testcase>
            </testsuite>
            <testsuite name="run" tests="1" skipped="0" errors="1" failures="0">
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
        let report = Report::deserialize_from_str(&to_string(&run()).unwrap()).unwrap();
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
        let text = to_string(&records(vec![begun(vec![]), finished])).unwrap();
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
        let report = Report::deserialize_from_str(&to_string(&[]).unwrap()).unwrap();
        assert!(report.errors > 0);
    }
}
