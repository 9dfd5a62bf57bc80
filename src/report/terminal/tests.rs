//! What the display prints, as snapshots.

mod builds;
mod quiet;

use std::io;

use super::*;
use crate::event::{Cause, CauseKind, FORMAT, RunStarted, Summary, TestFinished, Verdict};
use crate::reference::{Digest, TestId};
use crate::run::outcome::Tally;

/// A writer that keeps what it takes.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const PLAIN: Style = Style {
    color: false,
    live: false,
    width: || 80,
    commands: false,
    verbose: false,
    quiet: false,
};

fn shown(style: Style, events: &[Event]) -> String {
    let paper = Paper::default();
    let terminal = Terminal::new(Box::new(paper.clone()), style);
    for event in events {
        terminal.emit(event.clone());
    }
    drop(terminal);
    let bytes = paper.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn begun(expected: &[TestId]) -> Event {
    let image = Digest::of(b"image");
    Event::RunStarted(RunStarted::new("20300101-1200", "roman", image, expected.to_vec()))
}

fn suite(tests: &[TestId]) -> Event {
    Event::SuiteStarted {
        format: FORMAT,
        tests: tests.to_vec(),
        jobs: 2,
    }
}

#[test]
fn how_long_a_run_takes_is_told_by_earlier_runs_where_most_tests_are_known() {
    let ids = ["a", "b", "c", "d", "e"].map(|name| TestId::import("cal", name));
    let begun = |seconds: &[f64]| {
        let mut begun = RunStarted::new("20300101-1200", "roman", Digest::of(b"image"), ids.to_vec());
        begun.earlier = ids.iter().cloned().zip(seconds.iter().copied()).collect();
        Event::RunStarted(begun)
    };
    for (seconds, said) in [
        (
            &[10.0, 10.0, 10.0, 10.0][..],
            "5 tests, 2 at a time, about 20 s by earlier runs",
        ),
        (&[100.0, 1.0, 1.0, 1.0, 1.0], "about 1 min 40 s by earlier runs"),
        (&[10.0, 10.0, 10.0], "5 tests, 2 at a time\n"),
        (&[0.1, 0.1, 0.1, 0.1, 0.1], "5 tests, 2 at a time\n"),
    ] {
        let text = shown(PLAIN, &[begun(seconds), suite(&ids)]);
        assert!(text.contains(said), "{text}");
    }
}

fn ended(id: &TestId, verdict: Verdict, output: &str) -> Event {
    Event::TestFinished(TestFinished {
        seconds: 0.8125,
        peak_memory: Some(52_000_000),
        output: output.to_owned(),
        ..TestFinished::new(id.clone(), verdict)
    })
}

/// The events and the end that the rule gives them.
fn to_its_end(mut events: Vec<Event>) -> Vec<Event> {
    let mut tally = Tally::default();
    let mut summary = Summary::default();
    for event in &events {
        if let Event::TestFinished(test) = event {
            summary.count(&test.verdict);
        }
        tally.take(event);
    }
    let end = Event::SuiteFinished { summary };
    tally.take(&end);
    events.extend([end, tally.finish(None, 3.2)]);
    events
}

fn numpy() -> TestId {
    TestId::import("roman-cal", "numpy")
}

fn intro() -> TestId {
    TestId::notebook("roman-cal", "intro.ipynb")
}

fn passing() -> Vec<Event> {
    let reason = "commented out in notebooks, line 3".to_owned();
    to_its_end(vec![
        begun(&[numpy(), intro()]),
        Event::Output {
            text: "warming ".to_owned(),
        },
        suite(&[numpy(), intro()]),
        Event::Output {
            text: "up\n\u{1b}[32mready".to_owned(),
        },
        Event::TestStarted {
            id: numpy(),
            attempt: 1,
            worker: 1,
        },
        ended(&numpy(), Verdict::Passed, "quiet"),
        ended(&intro(), Verdict::Skipped { reason }, ""),
    ])
}

fn failing() -> Vec<Event> {
    let cause = Cause {
        cell: Some(3),
        ..Cause::new(CauseKind::Error, "ZeroDivisionError: division by zero")
    };
    let detail = "Traceback (most recent call last):\n  \u{1b}[31m1/0\u{1b}[0m\nZeroDivisionError: division by zero\n";
    let output = "::error::forged\n10%\r100%\n\u{1b}[2J\u{1b}]0;title\u{7}wiped \u{202e}txt.exe\n";
    let lost = TestId::import("roman-cal", "lost");
    to_its_end(vec![
        begun(&[numpy(), intro(), lost.clone()]),
        suite(&[numpy(), intro(), lost]),
        ended(&numpy(), Verdict::Passed, ""),
        ended(&intro(), Verdict::Failed(cause.with_detail(detail)), output),
    ])
}

#[test]
fn a_passing_run_says_so() {
    insta::assert_snapshot!(shown(PLAIN, &passing()), @r#"
             Testing roman: 2 tests, image 6105d6cc76af, run 20300101-1200
            Starting 2 tests, 2 at a time
        │ warming up
                PASS [   0.812s] roman-cal::imports::numpy
                SKIP [         ] roman-cal::notebooks::intro.ipynb  commented out in notebooks, line 3
        │ ready
        ────────────
             Summary [   3.200s] 1 test run: 1 passed, 1 skipped
              PASSED roman, image 6105d6cc76af
        "#);
}

#[test]
fn a_failing_run_shows_its_causes_and_obeys_nothing() {
    let style = Style {
        commands: true,
        ..PLAIN
    };
    insta::assert_snapshot!(shown(style, &failing()), @r#"
             Testing roman: 3 tests, image 6105d6cc76af, run 20300101-1200
            Starting 3 tests, 2 at a time
                PASS [   0.812s] roman-cal::imports::numpy
                FAIL [   0.812s] roman-cal::notebooks::intro.ipynb
                     cell 3: ZeroDivisionError: division by zero
          ─── detail ───
            Traceback (most recent call last):
              1/0
            ZeroDivisionError: division by zero
          ─── output ───
            : :error::forged
            100%
            wiped <U+202E>txt.exe

        ────────────
             Summary [   3.200s] 2 tests run: 1 passed, 1 failed, 1 not run
                FAIL [   0.812s] roman-cal::notebooks::intro.ipynb: cell 3: ZeroDivisionError: division by zero
             NOT-RUN [         ] roman-cal::imports::lost: it was expected, but never reported
              FAILED roman, image 6105d6cc76af
        "#);
}

#[test]
fn tests_that_did_not_run_are_listed_once_with_their_cause_once() {
    let lost = |name: &str, why: &str| {
        let id = TestId::import("roman-cal", name);
        ended(&id, Verdict::Failed(Cause::new(CauseKind::NotRun, why)), "")
    };
    let why = "interrupted before it began";
    let events = to_its_end(vec![
        begun(&[numpy()]),
        suite(&[numpy()]),
        ended(&numpy(), Verdict::Passed, ""),
        lost("a", why),
        lost("b", "its file is gone"),
        lost("c", why),
    ]);
    insta::assert_snapshot!(shown(PLAIN, &events), @r#"
             Testing roman: 1 test, image 6105d6cc76af, run 20300101-1200
            Starting 1 test, 2 at a time
                PASS [   0.812s] roman-cal::imports::numpy
        ────────────
             Summary [   3.200s] 1 test run: 1 passed, 3 not run
             NOT-RUN [         ] 2 tests: interrupted before it began
                     [         ] roman-cal::imports::a
                     [         ] roman-cal::imports::c
             NOT-RUN [         ] roman-cal::imports::b: its file is gone
              FAILED roman, image 6105d6cc76af
        "#);
}

/// A test that is slow and passes at its second attempt, and one that fails at both.
fn repeated() -> Vec<Event> {
    let mut first = begun(&[numpy(), intro()]);
    if let Event::RunStarted(begun) = &mut first {
        begun.part = Some(crate::event::Part { index: 1, of: 2 });
    }
    let started = |id: TestId, attempt| Event::TestStarted { id, attempt, worker: 1 };
    let retried = |id: TestId, message: &str| Event::TestRetried {
        id,
        attempt: 1,
        cause: Cause {
            cell: Some(3),
            line: Some(2),
            ..Cause::new(CauseKind::Timeout, message).with_detail("a traceback")
        },
        seconds: 61.25,
        output: "a word\n".to_owned(),
    };
    let last = |id: TestId, verdict| {
        Event::TestFinished(TestFinished {
            seconds: 0.5,
            attempt: 2,
            ..TestFinished::new(id, verdict)
        })
    };
    to_its_end(vec![
        first,
        suite(&[numpy(), intro()]),
        started(intro(), 1),
        Event::TestSlow {
            id: intro(),
            seconds: 60.0,
        },
        retried(intro(), "the cell took longer than 60 s"),
        started(intro(), 2),
        started(numpy(), 1),
        retried(numpy(), "no"),
        last(intro(), Verdict::Passed),
        last(numpy(), Verdict::Failed(Cause::new(CauseKind::Error, "no"))),
    ])
}

#[test]
fn slow_repeated_and_flaky_tests_are_told_apart() {
    insta::assert_snapshot!(shown(PLAIN, &repeated()), @r#"
         Testing roman, part 1 of 2: 2 tests, image 6105d6cc76af, run 20300101-1200
        Starting 2 tests, 2 at a time
            SLOW [> 60.000s] roman-cal::notebooks::intro.ipynb
           RETRY [  61.250s] roman-cal::notebooks::intro.ipynb
                 attempt 1: TIMEOUT, cell 3, line 2: the cell took longer than 60 s
           RETRY [  61.250s] roman-cal::imports::numpy
                 attempt 1: TIMEOUT, cell 3, line 2: no
           FLAKY [   0.500s] roman-cal::notebooks::intro.ipynb  passed at attempt 2
            FAIL [   0.500s] roman-cal::imports::numpy  failed 2 times
                 no
    ────────────
         Summary [   3.200s] 2 tests run: 1 passed (1 flaky), 1 failed
           FLAKY [   0.500s] roman-cal::notebooks::intro.ipynb  passed at attempt 2
            FAIL [   0.500s] roman-cal::imports::numpy: no
            NOTE this is part 1 of 2, and stands for no other
          FAILED roman, image 6105d6cc76af
    "#);
}

#[test]
fn the_explanation_of_an_attempt_is_shown_where_more_is_asked_for() {
    let verbose = Style { verbose: true, ..PLAIN };
    assert!(!shown(PLAIN, &repeated()).contains("a traceback"));
    let text = shown(verbose, &repeated());
    assert_eq!(text.matches("a traceback").count(), 2, "{text}");
    assert_eq!(text.matches("a word").count(), 2, "{text}");
}

#[test]
fn an_earlier_run_reads_as_it_did_when_it_ran() {
    let mut tally = Tally::default();
    for event in &failing() {
        tally.take(event);
    }
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let live = lines(&shown(PLAIN, &failing()));
    for line in lines(&text(&tally.outcome(), PLAIN)) {
        assert!(
            live.contains(&line) || line.contains("NOT-RUN") || line.contains("never reported"),
            "{line}"
        );
    }
}

#[test]
fn a_run_of_nothing_looks_like_a_failure() {
    let events = to_its_end(vec![begun(&[]), suite(&[])]);
    insta::assert_snapshot!(shown(PLAIN, &events), @r#"
             Testing roman: 0 tests, image 6105d6cc76af, run 20300101-1200
            Starting 0 tests, 2 at a time
        ────────────
             Summary [   3.200s] 0 tests run: 0 passed
             PROBLEM no test ran
              FAILED roman, image 6105d6cc76af
        "#);
}

#[test]
fn a_set_of_tests_without_a_host_ends_in_a_summary() {
    let mut events = passing();
    events.retain(|event| !matches!(event, Event::RunStarted(_) | Event::RunFinished { .. }));
    let text = shown(PLAIN, &events);
    assert!(
        text.ends_with("     Summary 1 test run: 1 passed, 1 skipped\n      PASSED\n"),
        "{text}"
    );
}

#[test]
fn colors_change_nothing_but_colors() {
    let colored = Style { color: true, ..PLAIN };
    let text = shown(colored, &failing());
    assert!(text.contains("\u{1b}[31;1mFAIL\u{1b}[0m"), "{text}");
    assert!(text.contains("\u{1b}[31m1/0\u{1b}[0m"), "{text}");
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    assert_eq!(format!("{plain}{rest}"), shown(PLAIN, &failing()));
}

#[test]
fn a_detail_that_only_repeats_the_message_is_left_out() {
    let cause = Cause::new(CauseKind::Error, "no module x").with_detail("no module x\n");
    let event = Event::TestFinished(TestFinished {
        seconds: 1.0,
        ..TestFinished::new(TestId::import("e", "x"), Verdict::Failed(cause))
    });
    assert_eq!(shown(PLAIN, &[event]).matches("no module x").count(), 1);
}

#[test]
fn the_live_area_takes_itself_away_and_leaves_every_line() {
    let style = Style { live: true, ..PLAIN };
    let text = shown(style, &failing());
    for line in shown(PLAIN, &failing()).lines() {
        assert!(text.contains(line), "{line:?} is missing in {text:?}");
    }
    let after = text.rsplit_once("FAILED roman").unwrap().1;
    assert!(!after.contains("Running"), "{after:?}");
}

#[test]
fn a_closed_terminal_stops_nothing() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let terminal = Terminal::new(Box::new(writer), Style { live: true, ..PLAIN });
    for event in failing() {
        terminal.emit(event);
    }
}
