//! What the report holds, as snapshots, and that any bytes make it valid XML.

use jiff::Timestamp;

use super::*;
use crate::event::{Event, Part, Record, RunStarted};
use crate::reference::{Digest, TestId};

fn shown(records: &[Record]) -> String {
    to_string(&Account::of(records), &Locations::default()).unwrap()
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
        number: 0,
        log: 0,
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
    let text = to_string(&Account::of(&records), &Locations::of(root.path())).unwrap();
    assert!(
        text.contains("file=\"missions/roman/environments/cal/tests/imports\""),
        "{text}"
    );
}
