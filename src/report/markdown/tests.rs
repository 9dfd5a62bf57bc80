//! What the summary says, and that nothing in it is interpreted.

use jiff::Timestamp;

use super::*;
use crate::event::{CauseKind, Event, ImageSize, Record, RunStarted, Summary, Verdict};
use crate::reference::{Digest, TestId};

fn account(events: Vec<Event>) -> Account {
    let mut begun = RunStarted::new("r1", "roman", Digest::of(b"image"), vec![]);
    begun.reference = "floe/roman:5472c8bb85ed".to_owned();
    begun.size = Some(ImageSize {
        bytes: 3_100_000_000,
        ..ImageSize::default()
    });
    let end = Event::RunFinished {
        summary: Summary::default(),
        passed: true,
        problem: None,
        seconds: 12.5,
    };
    let events = std::iter::once(Event::RunStarted(begun)).chain(events).chain([end]);
    let record = |event| Record {
        at: Timestamp::UNIX_EPOCH,
        number: 0,
        log: 0,
        event,
    };
    Account::of(&events.map(record).collect::<Vec<_>>())
}

fn ended(id: TestId, verdict: Verdict, attempt: u32) -> Event {
    Event::TestFinished(TestFinished {
        seconds: 2.0,
        peak_memory: Some(52_000_000),
        attempt,
        ..TestFinished::new(id, verdict)
    })
}

fn cause(message: &str) -> Cause {
    Cause {
        cell: Some(3),
        line: Some(2),
        ..Cause::new(CauseKind::Error, message)
    }
}

#[test]
fn a_summary_tells_failures_and_flaky_and_slow_tests() {
    let flaky = TestId::import("cal", "flaky");
    let retried = Event::TestRetried {
        id: flaky.clone(),
        attempt: 1,
        cause: cause("the cell took longer than 60 s"),
        seconds: 60.0,
        output: String::new(),
    };
    let failed = Verdict::Failed(cause("ZeroDivisionError: division by zero").with_detail("Traceback\n1/0"));
    let account = account(vec![
        retried,
        ended(flaky, Verdict::Passed, 2),
        ended(TestId::notebook("cal", "intro.ipynb"), failed, 1),
    ]);
    insta::assert_snapshot!(to_string(&account), @r#"
    ## ❌ `roman`: tests failed

    2 tests run: 1 passed (1 flaky), 1 failed, in 12.5 s, of image `floe/roman:5472c8bb85ed` (3.1 GB).

    ### Failures

    | cause | test | what happened |
    |---|---|---|
    | FAIL | `cal::notebooks::intro.ipynb` | `cell 3, line 2: ZeroDivisionError: division by zero` |

    <details><summary><code>cal::notebooks::intro.ipynb</code></summary>

    ```text
    Traceback
    1/0
    ```

    </details>

    ### Flaky

    These passed, but not at their first attempt.

    | test | attempts | why the first failed |
    |---|---|---|
    | `cal::imports::flaky` | 2 | `FAIL: cell 3, line 2: the cell took longer than 60 s` |

    ### Slowest

    | test | time | peak memory |
    |---|--:|--:|
    | `cal::imports::flaky` | 2.00 s | 52.0 MB |
    | `cal::notebooks::intro.ipynb` | 2.00 s | 52.0 MB |
    "#);
}

#[test]
fn a_passing_run_is_told_in_a_line() {
    let account = account(vec![ended(TestId::import("cal", "numpy"), Verdict::Passed, 1)]);
    insta::assert_snapshot!(to_string(&account), @r#"
    ## ✅ `roman`: tests passed

    1 test run: 1 passed, in 12.5 s, of image `floe/roman:5472c8bb85ed` (3.1 GB).
    "#);
}

/// The text outside of code spans and blocks, in which Markdown interprets nothing.
fn interpreted(markdown: &str) -> String {
    let (mut text, mut rest) = (String::new(), markdown);
    while let Some(start) = rest.find('`') {
        text.push_str(&rest[..start]);
        let fence = rest[start..].chars().take_while(|c| *c == '`').count();
        let body = &rest[start + fence..];
        // The end is the next run of exactly as many backticks.
        let end = body.match_indices('`').map(|(at, _)| at).find(|&at| {
            let run = body[at..].chars().take_while(|c| *c == '`').count();
            run == fence && !body[..at].ends_with('`')
        });
        rest = &body[end.expect("a span ends") + fence..];
    }
    text + rest
}

#[test]
fn nothing_that_a_test_says_is_interpreted() {
    for hostile in [
        "a | b \\| c",
        "` `` ``` x",
        "```\n# heading\n```",
        "<script>alert(1)</script></code></details>",
        "@everyone #1 [x](http://x.example) ![y](http://y.example)",
        "\u{202e}txt\u{0}",
        "`",
    ] {
        let failed = Verdict::Failed(cause(hostile).with_detail(hostile));
        let text = to_string(&account(vec![ended(TestId::notebook("cal", hostile), failed, 1)]));
        let outside = interpreted(&text);
        for part in ["alert", "@everyone", "x.example", "heading", "\u{202e}", "txt"] {
            let summaries = outside.lines().filter(|line| !line.starts_with("<details>"));
            assert!(!summaries.collect::<String>().contains(part), "{hostile:?}: {text}");
        }
        // A summary of details is HTML, in which Markdown is not interpreted.
        for line in outside.lines().filter(|line| line.starts_with("<details>")) {
            assert_eq!(line.matches('<').count(), 5, "{line}");
        }
        let row = text.lines().find(|line| line.starts_with("| FAIL")).unwrap();
        let bars = row.match_indices('|').filter(|(at, _)| {
            let before = row[..*at].bytes().rev().take_while(|byte| *byte == b'\\').count();
            before % 2 == 0
        });
        assert_eq!(bars.count(), 4, "{row}");
    }
}

#[test]
fn a_summary_of_many_failures_is_short_enough_for_a_ci_service() {
    let long = "word ".repeat(20_000);
    let failed = |number: usize| {
        let verdict = Verdict::Failed(cause(&long).with_detail(&long));
        ended(TestId::import("cal", &format!("m{number}")), verdict, 1)
    };
    let text = to_string(&account((0..1000).map(failed).collect()));
    assert!(text.len() < 200_000, "{}", text.len());
    assert!(text.contains("… and 950 failures more."), "{text}");
}
