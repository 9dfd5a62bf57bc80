//! What the page holds, and what it never does whatever a container says.

use std::fs;

use html5gum::{Token, Tokenizer};
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::event::{Cause, CauseKind, Event, ImageSize, Portion, Record, RunStarted, Summary, TestFinished, Verdict};
use crate::reference::{Digest, TestId};

const HOSTILE: [&str; 10] = [
    "<script>alert(1)</script>",
    "</style></title></pre><script src=//x.example/x.js></script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)' x='",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% include \"x\" %}{# no #}",
    "<svg/onload=alert(1)><a xlink:href=\"javascript:alert(1)\">",
    "--><!--<base href=//x.example/>",
    "&lt;b&gt;&#60;i&#62;",
    "\u{1b}[31m\"><b onclick=x>\u{1b}]8;;http://x.example\u{7}\u{202e}\0",
];

/// A directory with one executed notebook, `notebooks/x.ipynb`, whose one cell holds `source` and showed it in all forms.
fn beside(source: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let data = |kind: &str| json!({"output_type": "display_data", "data": {kind: source}});
    let cell = json!({"source": source, "outputs": [
        {"output_type": "stream", "text": source},
        data("text/plain"), data("text/html"), data("image/svg+xml"), data("application/javascript"), data("image/png"),
        data(source),
        {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"}},
    ]});
    fs::create_dir(directory.path().join("notebooks")).unwrap();
    let text = json!({"cells": [cell]}).to_string();
    fs::write(directory.path().join("notebooks/x.ipynb"), text).unwrap();
    directory
}

/// A run that says `text` wherever a container or a repository can say something.
fn run(text: &str) -> Vec<Record> {
    let cause = || Cause {
        cell: Some(1),
        line: Some(1),
        ..Cause::new(CauseKind::Error, text).with_detail(format!("a\n{text}\nb"))
    };
    let finished = |id: TestId, verdict, attempt| {
        Event::TestFinished(TestFinished {
            seconds: 1.5,
            peak_memory: Some(1_000_000),
            output: format!("before\n{text}\nafter"),
            notebook: Some("notebooks/x.ipynb".to_owned()),
            attempt,
            ..TestFinished::new(id, verdict)
        })
    };
    let started = |id: TestId, attempt| Event::TestStarted { id, attempt, worker: 1 };
    let (failed, flaky) = (TestId::notebook(text, text), TestId::import("e", text));
    let mut begun = RunStarted::new(text, text, Digest::of(b"image"), vec![TestId::script(text)]);
    begun.reference = text.to_owned();
    let portion = || {
        let name = text.to_owned();
        vec![Portion { name, bytes: 1_500_000 }]
    };
    begun.size = Some(ImageSize {
        bytes: 3_100_000_000,
        environments: portion(),
        packages: portion(),
        repeated: portion(),
        grown: portion(),
        layers: portion(),
    });
    let retried = Event::TestRetried {
        id: flaky.clone(),
        attempt: 1,
        cause: cause(),
        seconds: 0.5,
        output: text.to_owned(),
    };
    let end = Event::RunFinished {
        summary: Summary::default(),
        passed: false,
        problem: Some(text.to_owned()),
        seconds: 3.0,
    };
    let mut link = TestFinished::new(TestId::import("e", "link"), Verdict::Passed);
    link.notebook = Some(text.to_owned());
    let events = [
        Event::RunStarted(begun),
        started(failed.clone(), 1),
        finished(failed, Verdict::Failed(cause()), 1),
        started(flaky.clone(), 1),
        retried,
        started(flaky.clone(), 2),
        finished(flaky, Verdict::Passed, 2),
        finished(
            TestId::server("e", text),
            Verdict::Skipped {
                reason: text.to_owned(),
            },
            1,
        ),
        Event::TestFinished(link),
        end,
    ];
    let events = events.into_iter().zip(0..);
    events
        .map(|(event, second)| Record {
            at: Timestamp::from_second(second).unwrap(),
            number: 0,
            log: 0,
            event,
        })
        .collect()
}

fn page(records: &[Record], executed: &Executed) -> String {
    to_string(&Account::of(records), executed, &Locations::default()).unwrap()
}

/// The name of an element, and its attributes.
type Element = (String, Vec<(String, String)>);

/// What the elements of a page are, and its text.
fn parsed(html: &str) -> (Vec<Element>, String) {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (mut elements, mut text) = (Vec::new(), String::new());
    for token in Tokenizer::new(html) {
        match token.unwrap() {
            Token::StartTag(tag) => {
                let attributes = tag.attributes.iter();
                let attributes = attributes.map(|(name, value)| (utf8(name), utf8(value)));
                elements.push((utf8(&tag.name), attributes.collect()));
            }
            Token::String(string) => text.push_str(&utf8(&string)),
            Token::Error(error) => panic!("the page is not well formed: {error:?}"),
            Token::Comment(comment) => panic!("a comment: {comment:?}"),
            _ => {}
        }
    }
    (elements, text)
}

#[test]
fn nothing_that_a_container_says_becomes_more_than_text() {
    const ELEMENTS: &[&str] = &[
        "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "div", "p",
        "h1", "h2", "h3", "h4", "span", "b", "wbr", "a", "ul", "li", "dl", "dt", "dd", "details", "summary", "pre",
        "img", "svg", "rect", "line", "text", "table", "thead", "tbody", "tr", "th", "td",
    ];
    const ATTRIBUTES: &[&str] = &[
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "id",
        "open",
        "href",
        "src",
        "alt",
        "role",
        "scope",
        "aria-label",
        "aria-hidden",
        "width",
        "height",
        "x",
        "y",
        "x1",
        "x2",
        "y1",
        "y2",
        "rx",
    ];
    for hostile in HOSTILE {
        let directory = beside(hostile);
        let html = page(&run(hostile), &Executed::of(directory.path()));
        let (elements, text) = parsed(&html);
        for (name, attributes) in &elements {
            assert!(ELEMENTS.contains(&name.as_str()), "{hostile:?} made <{name}>");
            for (attribute, value) in attributes {
                assert!(
                    ATTRIBUTES.contains(&attribute.as_str()),
                    "{hostile:?} made {attribute}={value:?}"
                );
                match attribute.as_str() {
                    "href" => assert!(value.starts_with('#') || value.starts_with("./"), "{value:?}"),
                    "src" => assert!(value.starts_with("data:image/png;base64,"), "{value:?}"),
                    _ => {}
                }
            }
        }
        // It is not lost either: it stands where it was said.
        let seen = name::visible(hostile);
        assert!(text.matches(&seen).count() >= 15, "{seen:?} is missing");
    }
}

#[test]
fn a_browser_may_use_nothing_but_the_pages_own_style_and_pictures() {
    let html = page(&run("x"), &Executed::default());
    let (elements, _) = parsed(&html);
    let policy = elements.iter().find_map(|(_, attributes)| {
        let of_policy = attributes.contains(&("http-equiv".to_owned(), "Content-Security-Policy".to_owned()));
        attributes.iter().find(|(name, _)| of_policy && name == "content")
    });
    let policy = &policy.unwrap().1;
    assert!(
        policy.starts_with("default-src 'none'; img-src data:; style-src 'sha256-"),
        "{policy}"
    );
    let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let digest = STANDARD.encode(Sha256::digest(style.as_bytes()));
    assert!(
        policy.contains(&digest),
        "the page's style is not the one that its policy allows"
    );
    let before = html.split_once("Content-Security-Policy").unwrap().0;
    assert!(
        !before.contains("<style") && !before.contains("<title"),
        "the policy comes first"
    );
}

#[test]
fn a_failure_is_shown_with_its_cell_its_pictures_and_the_way_to_its_notebook() {
    let directory = beside("1/0\nprint(2)");
    let html = page(&run("ZeroDivisionError"), &Executed::of(directory.path()));
    let (elements, text) = parsed(&html);
    let number = |name: &str, attribute: &str, value: &str| {
        let is = |(element, attributes): &&Element| {
            element == name && attributes.contains(&(attribute.to_owned(), value.to_owned()))
        };
        elements.iter().filter(is).count()
    };
    assert_eq!(number("span", "class", "line at"), 1, "one line is marked");
    assert_eq!(number("span", "class", "line"), 1);
    assert_eq!(elements.iter().filter(|(name, _)| name == "img").count(), 1);
    assert!(number("a", "href", "./notebooks/x.ipynb") >= 1);
    assert!(text.contains("cell 1, line 1"), "{text}");
    assert_eq!(number("rect", "class", "flaky"), 5, "shares, two spans and two bars");
}

#[test]
fn what_takes_how_much_of_the_image_is_shown() {
    let (_, text) = parsed(&page(&run("cal/numpy"), &Executed::default()));
    let (_, size) = text.split_once("Size of the image").unwrap();
    let words = [
        "3.1 GB on the disk",
        "by environment",
        "cal/numpy",
        "1.5 MB",
        "The largest packages",
        "Layers",
    ];
    let at = words.map(|word| size.find(word).unwrap_or_else(|| panic!("{word} is missing: {size}")));
    assert!(at.is_sorted(), "{size}");
}

#[test]
fn a_run_of_nothing_has_a_page_that_says_so() {
    let (_, text) = parsed(&page(&[], &Executed::default()));
    assert!(text.contains("failed") && text.contains("no test ran"), "{text}");
}

#[test]
fn much_output_makes_no_page_that_cannot_be_opened() {
    let mut events = Vec::new();
    for number in 0..400 {
        let cause = Cause::new(CauseKind::Error, "no").with_detail("x".repeat(128 << 10));
        let verdict = if number % 2 == 0 {
            Verdict::Passed
        } else {
            Verdict::Failed(cause)
        };
        events.push(Record {
            at: Timestamp::UNIX_EPOCH,
            number: 0,
            log: 0,
            event: Event::TestFinished(TestFinished {
                output: "word <&>\n".repeat(16 << 10),
                ..TestFinished::new(TestId::import("e", &format!("m{number}")), verdict)
            }),
        });
    }
    let html = page(&events, &Executed::default());
    assert!(html.len() < 40 << 20, "{} MB", html.len() >> 20);
    assert!(html.contains("bytes not shown"));
}
