//! What is kept of a container that prints, or holds, more than it should.

use super::*;
use crate::event::wire::MOST_OUTPUT;

#[test]
fn what_is_printed_without_end_is_passed_on_up_to_a_bound_and_that_is_said_once() {
    let (trial, events) = (trial(&Digest::of(b"i")), Memory::default());
    let mut watch = Watch::of(&trial, Key::random());
    let mebibyte = vec![b'x'; 1 << 20];
    for _ in 0..(MOST_OUTPUT >> 20) + 30 {
        watch.take(&mebibyte, &events);
    }
    let (mut passed, mut warned) = (0, 0);
    for event in events.events() {
        match event {
            Event::Output { text } => passed += text.len(),
            Event::Warning { text } if text.contains("the rest is left out") => warned += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((passed, warned), (MOST_OUTPUT, 1));
}

/// A container that has run a notebook, which the agent says to have kept in this file, and that holds these files.
fn with_notebook(kept: &str, files: &[&str]) -> Run {
    let test = TestFinished {
        notebook: Some(kept.to_owned()),
        ..TestFinished::new(TestId::import("e", "x"), Verdict::Passed)
    };
    let files = files
        .iter()
        .map(|file| (format!("{ARTIFACTS_DIRECTORY}/{file}"), Vec::new()));
    Run {
        said: vec![suite(FORMAT), Event::TestFinished(test), Event::Untouched],
        files: files.collect(),
        ..Run::default()
    }
}

#[tokio::test]
async fn what_a_test_leaves_among_the_notebooks_takes_no_place_of_the_runs_own_files() {
    let files = [
        "events.jsonl",
        "report.html",
        "notebooks/e/a.ipynb",
        "notebooks/e/b.ipynb",
    ];
    for (kept, expected) in [
        ("notebooks/e/a.ipynb", &["notebooks/e/a.ipynb"][..]),
        ("events.jsonl", &[]),
        ("notebooks/../report.html", &[]),
    ] {
        let (fake, directory) = (Fake::new(), tempfile::tempdir().unwrap());
        let image = fake.add_image("floe/m:1", BTreeMap::new());
        fake.script_run(with_notebook(kept, &files));
        let trial = Trial {
            directory: directory.path().to_owned(),
            ..trial(&image)
        };
        let never = || std::future::pending::<()>();
        let (owner, events) = (Owner::current(), Memory::default());
        run(&trial, &[&fake], &owner, &events, (never(), never()))
            .await
            .unwrap();
        let there = files.iter().filter(|file| directory.path().join(file).exists());
        assert_eq!(there.copied().collect::<Vec<_>>(), expected, "{kept}");
    }
}

#[tokio::test]
async fn notebooks_that_take_too_long_to_copy_are_left_behind_and_the_second_interrupt_ends_it_at_once() {
    let endless = || Run {
        endless: true,
        ..with_notebook("notebooks/e/a.ipynb", &["notebooks/e/a.ipynb"])
    };
    let ended = run_until(endless(), std::future::pending(), std::future::ready(()));
    let (ended, ..) = timeout(Duration::from_secs(20), ended).await.expect("it went on");
    assert_eq!(ended, Ended::default());

    let fake = Fake::new();
    let image = fake.add_image("floe/m:1", BTreeMap::new());
    fake.script_run(endless());
    let (trial, events) = (trial(&image), Memory::default());
    let begun = begin(&trial, (&trial.stages[0], None), &fake, &Owner::current())
        .await
        .unwrap();
    let mut watch = Watch::of(&trial, begun.key.clone());
    watch.notebooks.insert("notebooks/e/a.ipynb".into());
    let copied = notebooks::copy_within(
        Duration::from_millis(10),
        &trial,
        &begun.container,
        &fake,
        &watch,
        &events,
    );
    timeout(Duration::from_secs(20), copied).await.expect("it went on");
    let told = "the executed notebooks could not be kept within";
    assert!(matches!(events.events().as_slice(), [Event::Warning { text }] if text.starts_with(told)));
}
