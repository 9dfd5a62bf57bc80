//! The scripts of the workflow whose matrix holds parts of missions' tests, run: what earlier runs took divides them, and the
//! parts are green only together.

use std::fs;

use floe::event::{Event, FORMAT, Part, RunStarted, Sink as _, Summary, TestFinished, Verdict};
use floe::reference::{Digest, TestId};
use floe::run::log::Log;
use serde_json::{Value, json};
use world::Ended;

use super::place::Place;
use super::proposing::script;

const MODULES: [&str; 4] = ["a", "b", "c", "d"];

/// A place whose mission imports four modules.
fn place() -> Place {
    let place = Place::new();
    place.write("missions/one/environments/one/tests/imports", &MODULES.join("\n"));
    place.commit();
    place
}

/// Writes the log of a run below `directory` in which the modules of a part are imported, six minutes each.
fn log(place: &Place, directory: &str, name: &str, part: Part, image: &str) {
    let all = MODULES.map(|module| TestId::import("one", module));
    let tests = all.iter().filter(|id| part.holds(id)).cloned().collect::<Vec<_>>();
    let directory = place
        .path()
        .join(directory)
        .join(format!("20300101T00000{}Z-one-{name}", part.index));
    fs::create_dir_all(&directory).unwrap();
    let log = Log::create(&directory.join("events.jsonl")).unwrap();
    let summary = Summary {
        passed: tests.len(),
        ..Summary::default()
    };
    log.emit(Event::RunStarted(RunStarted {
        part: Some(part),
        selected: Some(TestId::digest(&all)),
        ..RunStarted::new(name, "one", Digest::of(image.as_bytes()), tests.clone())
    }));
    log.emit(Event::SuiteStarted {
        format: FORMAT,
        tests: tests.clone(),
        jobs: 1,
    });
    for id in tests {
        log.emit(Event::TestFinished(TestFinished {
            seconds: 360.0,
            ..TestFinished::new(id, Verdict::Passed)
        }));
    }
    log.emit(Event::SuiteFinished { summary });
    log.emit(Event::RunFinished {
        summary,
        passed: true,
        problem: None,
        seconds: 60.0,
    });
}

fn parts() -> [Part; 2] {
    [1, 2].map(|index| Part { index, of: 2 })
}

#[test]
fn a_matrix_holds_as_many_parts_as_earlier_runs_say_and_a_pipeline_their_jobs() {
    let place = place();
    let planned = || {
        let _ = fs::remove_file(place.path().join(".floe/output"));
        let variables = [("BASE", ""), ("GITHUB_OUTPUT", ".floe/output")];
        fs::create_dir_all(place.path().join(".floe")).unwrap();
        place
            .shell(&script("github", "long-tests", "plan", "plan"), &variables)
            .expect(0);
        let output = place.read(".floe/output");
        let value = |name: &str| {
            let line = output.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            serde_json::from_str::<Value>(line).unwrap()["include"].clone()
        };
        (value("missions="), value("parts="))
    };
    let one = json!([{"mission": "one"}]);
    let whole = json!([{"mission": "one", "part": 1, "partition": "1/1"}]);
    assert_eq!(planned(), (one.clone(), whole));
    for part in parts() {
        log(&place, ".floe/runs", "aaaaaa", part, "image");
    }
    let halves = json!([
        {"mission": "one", "part": 1, "partition": "1/2"},
        {"mission": "one", "part": 2, "partition": "2/2"},
    ]);
    assert_eq!(planned(), (one, halves));
    let pipeline = place
        .shell("floe plan --format gitlab --part-time 30m", &[])
        .expect(0)
        .stdout;
    let pipeline: Value = serde_yaml::from_str(&pipeline).unwrap();
    let jobs = pipeline.as_object().unwrap().keys().collect::<Vec<_>>();
    assert_eq!(jobs, ["floe one", "floe one: 1/2", "floe one: 2/2", "floe one: image"]);
    assert_eq!(pipeline["floe one"]["needs"], json!(["floe one: 1/2", "floe one: 2/2"]));
    let whole = place
        .shell("floe plan --format gitlab --part-time 1h", &[])
        .expect(0)
        .stdout;
    assert!(whole.contains("scripts/image-all one"), "{whole}");
}

/// What the job says that reads the parts.
fn reported(place: &Place) -> Ended {
    let _ = fs::remove_dir_all(place.path().join("merged"));
    let missions = json!({"include": [{"mission": "one"}]}).to_string();
    place.shell(
        &script("github", "long-tests", "report", "report"),
        &[("MISSIONS", &missions)],
    )
}

#[test]
fn parts_are_green_together_and_a_missing_a_doubled_and_a_foreign_one_are_named() {
    let place = place();
    reported(&place).expect(3);
    let [first, second] = parts();
    log(&place, "parts", "aaaaaa", first, "image");
    reported(&place)
        .expect(100)
        .says(&["parts of one that are missing: 2 of 2"]);
    log(&place, "parts", "bbbbbb", second, "image");
    reported(&place).expect(0);
    assert!(place.path().join("merged/one/report.html").is_file());
    log(&place, "parts", "cccccc", second, "image");
    reported(&place)
        .expect(100)
        .says(&["parts of one that are there more than once: 2 of 2"]);
    fs::remove_dir_all(place.path().join("parts/20300101T000002Z-one-bbbbbb")).unwrap();
    fs::remove_dir_all(place.path().join("parts/20300101T000002Z-one-cccccc")).unwrap();
    log(&place, "parts", "dddddd", second, "another image");
    reported(&place)
        .expect(100)
        .says(&["tested different images: aaaaaa against dddddd"]);
}

#[test]
fn a_log_that_lost_a_line_on_its_way_is_not_green() {
    let place = place();
    for (part, name) in parts().into_iter().zip(["aaaaaa", "bbbbbb"]) {
        log(&place, "parts", name, part, "image");
    }
    let path = "parts/20300101T000002Z-one-bbbbbb/events.jsonl";
    let text = place.read(path);
    let lines = text.lines().collect::<Vec<_>>();
    for lost in 0..lines.len() {
        let rest = lines.iter().enumerate().filter(|(line, _)| *line != lost);
        let rest = rest.map(|(_, line)| *line).collect::<Vec<_>>();
        fs::write(place.path().join(path), rest.join("\n") + "\n").unwrap();
        assert_eq!(reported(&place).code, 100, "without line {}", lost + 1);
    }
}
