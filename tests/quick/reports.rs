//! Reports of earlier runs, from logs alone.

use std::fs;
use std::path::{Path, PathBuf};

use floe::event::{Cause, CauseKind, Event, FORMAT, Part, RunStarted, Sink as _, Summary, TestFinished, Verdict};
use floe::reference::{Digest, TestId};
use floe::run::log::Log;
use world::{Ended, Repository};

/// Writes the log of a run that expects `expected` and in which these tests ended; without its end, if it was killed.
fn log(directory: &Path, run: &str, part: Option<Part>, tests: &[(&str, bool)], ended: bool) -> PathBuf {
    let directory = directory.join(run);
    fs::create_dir_all(directory.join("notebooks")).unwrap();
    let log = Log::create(&directory.join("events.jsonl")).unwrap();
    let id = |name: &str| TestId::notebook("cal", name);
    let ids = tests.iter().map(|(name, _)| id(name)).collect::<Vec<_>>();
    let mut begun = RunStarted::new(run, "tiny", Digest::of(b"image"), ids.clone());
    begun.part = part;
    // Parts of one run name what was asked for in all of them.
    begun.selected = part.map(|_| selected());
    log.emit(Event::RunStarted(begun));
    let set = Event::SuiteStarted {
        format: FORMAT,
        tests: ids,
        jobs: 2,
    };
    log.emit(set);
    let mut summary = Summary::default();
    for (name, passed) in tests {
        log.emit(Event::TestStarted {
            id: id(name),
            attempt: 1,
            worker: 1,
        });
        let verdict = if *passed {
            Verdict::Passed
        } else {
            Verdict::Failed(Cause::new(CauseKind::Error, "it is broken"))
        };
        summary.count(&verdict);
        let notebook = format!("notebooks/{name}");
        fs::write(directory.join(&notebook), "{}").unwrap();
        log.emit(Event::TestFinished(TestFinished {
            seconds: 1.0,
            notebook: Some(notebook),
            ..TestFinished::new(id(name), verdict)
        }));
    }
    log.emit(Event::SuiteFinished { summary });
    if ended {
        let passed = summary.failed == 0;
        log.emit(Event::RunFinished {
            summary,
            passed,
            problem: None,
            seconds: 2.0,
        });
    }
    directory
}

/// The digest of all tests of the divided run: `a.ipynb` and `b.ipynb`.
fn selected() -> Digest {
    let ids = ["a.ipynb", "b.ipynb"].map(|name| TestId::notebook("cal", name));
    TestId::digest(&ids)
}

const FIRST: Option<Part> = Some(Part { index: 1, of: 2 });
const SECOND: Option<Part> = Some(Part { index: 2, of: 2 });

fn runs(repository: &Repository) -> PathBuf {
    repository.path().join(".floe/runs")
}

#[test]
fn the_reports_of_the_last_run_are_made_again() {
    let repository = Repository::new();
    log(
        &runs(&repository),
        "20300101T000000Z-tiny-aaaaaa",
        None,
        &[("old.ipynb", true)],
        true,
    );
    let last = log(
        &runs(&repository),
        "20300102T000000Z-tiny-bbbbbb",
        None,
        &[("new.ipynb", false)],
        true,
    );
    let ended = repository.floe(&["report"]).expect(100);
    ended.says(&[
        "Report: .floe/runs/20300102T000000Z-tiny-bbbbbb/report.html",
        "what is reported did not pass: 1 test run: 0 passed, 1 failed",
    ]);
    for name in ["report.html", "junit.xml", "summary.md"] {
        assert!(
            fs::read_to_string(last.join(name)).unwrap().contains("new.ipynb"),
            "{name}"
        );
    }
    repository.floe(&["report", "20300101"]).expect(0);
}

#[test]
fn every_form_of_a_report_can_be_printed() {
    let repository = Repository::new();
    log(
        &runs(&repository),
        "20300101T000000Z-tiny-aaaaaa",
        None,
        &[("x.ipynb", false)],
        true,
    );
    for (form, part) in [
        ("text", "FAIL [   1.000s] cal::notebooks::x.ipynb"),
        ("json", "\"passed\": false"),
        ("markdown", "| FAIL | `cal::notebooks::x.ipynb` | `it is broken` |"),
        ("junit", "<failure message=\"it is broken\" type=\"FAIL\"/>"),
        ("html", "<!doctype html>"),
        (
            "github",
            "::error title=FAIL cal%3A%3Anotebooks%3A%3Ax.ipynb::it is broken",
        ),
    ] {
        let ended = repository.floe(&["report", "--format", form]).expect(100);
        assert!(ended.stdout.contains(part), "{form}: {}", ended.stdout);
    }
    let value = repository.floe(&["report", "--format", "json"]).stdout;
    let value = serde_json::from_str::<serde_json::Value>(&value).unwrap();
    assert_eq!(value["tests"][0]["id"], "cal::notebooks::x.ipynb");
}

#[test]
fn parts_from_elsewhere_are_read_as_one_run_without_a_repository() {
    let elsewhere = tempfile::tempdir().unwrap();
    let first = log(elsewhere.path(), "one", FIRST, &[("a.ipynb", true)], true);
    let second = log(elsewhere.path(), "two", SECOND, &[("b.ipynb", true)], true);
    let repository = Repository::new();
    let merged = elsewhere.path().join("merged");
    let call = |arguments: &[&str]| {
        let mut command = repository.command(arguments);
        Ended::of(command.current_dir(elsewhere.path()).output().unwrap())
    };
    call(&["report", "one", "two", "--output", "merged"]).expect(0);
    let page = fs::read_to_string(merged.join("report.html")).unwrap();
    let page = page.replace("&#x2F;", "/");
    for name in ["a.ipynb", "b.ipynb"] {
        assert!(page.contains(&format!("./notebooks/{name}")), "{name} is not linked");
        assert!(merged.join("notebooks").join(name).is_file());
    }
    assert!(page.contains("part 1, worker 1") && page.contains("part 2, worker 1"));
    call(&["report", "merged", "--format", "text"]).expect(0);
    call(&["report", "one", "two"]).expect(2).says(&["--output"]);
    // One part alone, or one that was killed, is not the run.
    call(&["report", first.to_str().unwrap(), "--format", "text"]).expect(100);
    let killed = log(elsewhere.path(), "killed", SECOND, &[("b.ipynb", true)], false);
    call(&["report", "one", killed.to_str().unwrap(), "--format", "text"]).expect(100);
    assert!(second.join("events.jsonl").is_file());
}

#[test]
fn several_runs_of_a_repository_are_merged_into_a_directory_of_its_own() {
    let repository = Repository::new();
    log(
        &runs(&repository),
        "20300101T000000Z-tiny-aaaaaa",
        FIRST,
        &[("a.ipynb", true)],
        true,
    );
    log(
        &runs(&repository),
        "20300102T000000Z-tiny-bbbbbb",
        SECOND,
        &[("b.ipynb", true)],
        true,
    );
    let ended = repository.floe(&["report", "20300101", "20300102"]).expect(0);
    ended.says(&["Report: .floe/reports/"]);
    let reports = fs::read_dir(repository.path().join(".floe/reports")).unwrap();
    assert_eq!(reports.count(), 1);
}

#[test]
fn earlier_runs_are_listed_with_how_they_ended() {
    let repository = Repository::new();
    log(
        &runs(&repository),
        "20300101T000000Z-tiny-aaaaaa",
        None,
        &[("x.ipynb", true)],
        true,
    );
    log(
        &runs(&repository),
        "20300102T000000Z-tiny-bbbbbb",
        None,
        &[("x.ipynb", false)],
        true,
    );
    log(
        &runs(&repository),
        "20300103T000000Z-tiny-cccccc",
        None,
        &[("x.ipynb", true)],
        false,
    );
    let table = repository.floe(&["runs"]).expect(0).stdout;
    let verdicts = table.lines().map(|line| {
        let words = line.split_whitespace().collect::<Vec<_>>();
        format!("{} {}", &words[0][..words[0].len().min(8)], words.get(4).unwrap_or(&""))
    });
    assert_eq!(
        verdicts.skip(1).collect::<Vec<_>>(),
        ["20300103 interrupted", "20300102 failed", "20300101 passed"],
        "{table}"
    );
    let value = repository
        .floe(&["runs", "--format", "json", "--number", "1"])
        .expect(0)
        .stdout;
    let value = serde_json::from_str::<serde_json::Value>(&value).unwrap();
    assert_eq!(value[0]["standing"], "interrupted");
    assert_eq!(value.as_array().unwrap().len(), 1);
}

#[test]
fn a_run_that_is_not_there_is_refused_and_none_at_all_is_no_success() {
    let repository = Repository::new();
    repository
        .floe(&["report"])
        .expect(4)
        .says(&["no test has been run here", "floe test"]);
    assert_eq!(repository.floe(&["runs"]).expect(0).stdout, "");
    for name in ["20300101T000000Z-tiny-aaaaaa", "20300101T000000Z-tiny-bbbbbb"] {
        log(&runs(&repository), name, None, &[("x.ipynb", true)], true);
    }
    repository
        .floe(&["report", "nope"])
        .expect(3)
        .says(&["no run \"nope\"", "floe runs"]);
    repository
        .floe(&["report", "2030"])
        .expect(3)
        .says(&["2 runs begin with \"2030\""]);
}

#[test]
fn a_log_of_another_format_is_refused_by_its_number() {
    let repository = Repository::new();
    let directory = runs(&repository).join("20300101T000000Z-tiny-aaaaaa");
    fs::create_dir_all(&directory).unwrap();
    let line = r#"{"at":"2030-01-01T00:00:00Z","event":"run-started","format":99}"#;
    fs::write(directory.join("events.jsonl"), format!("{line}\n")).unwrap();
    repository.floe(&["report"]).expect(1).says(&["event format 99"]);
    assert!(repository.floe(&["runs"]).expect(0).stdout.contains("unreadable"));
}
