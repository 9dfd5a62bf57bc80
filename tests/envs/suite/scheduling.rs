//! Which tests run at the same time, and in which order.

use floe::event::{CauseKind, Event, Summary, Verdict};

use super::case::{Case, cause};

#[tokio::test]
async fn a_notebook_that_runs_alone_overlaps_no_other_test() {
    let mut case = Case::new();
    case.options.jobs = 4;
    case.file("notebooks", "!a.ipynb\n!b.ipynb\n");
    case.file("imports", "json\ncsv\n");
    for name in ["a.ipynb", "b.ipynb", "c.ipynb"] {
        case.notebook(name, &["1"]);
    }
    let run = case.run().await;
    let mut running = Vec::new();
    for event in &run.events {
        match event {
            Event::TestStarted { id, .. } => {
                let alone = |name: &str| matches!(name, "a.ipynb" | "b.ipynb");
                let blocked = running.iter().any(|name: &String| alone(name)) || alone(&id.name) && !running.is_empty();
                assert!(!blocked, "{id} started beside {running:?}");
                running.push(id.name.clone());
            }
            Event::TestFinished(finished) => running.retain(|name| *name != finished.id.name),
            _ => {}
        }
    }
    assert_eq!(run.summary.passed, 5);
}

#[tokio::test]
async fn every_test_is_announced_and_ends_and_a_summary_comes_last() {
    let case = Case::new();
    case.file("imports", "json\nnosuch\n");
    case.file("notebooks", "#x.ipynb\nmissing.ipynb\n");
    case.notebook("x.ipynb", &["1"]);
    case.file("test", "#!/bin/sh\n");
    let run = case.run().await;
    let Some(Event::SuiteStarted { tests, .. }) = run.events.first() else {
        panic!("{:?}", run.events.first())
    };
    for id in tests {
        run.finished(&id.to_string());
    }
    let summary = Summary {
        carried: 0,
        passed: 1,
        failed: 3,
        skipped: 1,
    };
    assert_eq!(run.events.last(), Some(&Event::SuiteFinished { summary }));
    let skipped = &run.finished("cal::notebooks::x.ipynb").verdict;
    assert!(matches!(skipped, Verdict::Skipped { reason } if reason.contains("line 1")));
    cause(run.finished("cal::notebooks::missing.ipynb"), CauseKind::NotRun);
    let script = cause(run.finished("cal::test"), CauseKind::NotRun);
    assert!(script.message.ends_with("chmod +x it"), "{}", script.message);
}
