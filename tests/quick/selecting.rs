//! Which tests a call of `floe test` is for, before any engine is asked.

use std::collections::BTreeSet;
use std::process::Stdio;

use floe::event::{Cause, CauseKind, Event, RunStarted, Sink as _, TestFinished, Verdict};
use floe::reference::{Digest, TestId};
use floe::run::log::Log;
use world::{Ended, Repository, notebook};

/// A repository with one mission of two environments with tests, and a script of its own.
fn tiny() -> Repository {
    let repository = Repository::new();
    for name in ["cal", "sim"] {
        let tests = format!("missions/tiny/environments/{name}/tests");
        repository.write(&format!("missions/tiny/environments/{name}/{name}.pip"), "six\n");
        repository.write(&format!("{tests}/imports"), "numpy\nscipy\n");
        repository.write(&format!("{tests}/intro.ipynb"), &notebook(&[]));
        repository.write(
            &format!("{tests}/notebooks"),
            "!alone.ipynb\n#later.ipynb\ngone.ipynb\n",
        );
        repository.write(&format!("{tests}/alone.ipynb"), &notebook(&[]));
    }
    repository.write("missions/tiny/environments/sim/tests/test", "#!/bin/sh\n");
    repository.write("missions/tiny/environments/test", "#!/bin/sh\n");
    repository
}

fn list(repository: &Repository, arguments: &[&str]) -> Vec<String> {
    let words = [&["test", "tiny", "--list"], arguments].concat();
    let listed = repository.floe(&words).expect(0);
    listed.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn tests_are_listed_in_the_order_in_which_they_would_begin() {
    let repository = tiny();
    assert_eq!(
        list(&repository, &[]),
        [
            "mission:tiny::test",
            "cal::notebooks::intro.ipynb",
            "sim::notebooks::intro.ipynb",
            "sim::test",
            "cal::imports::numpy",
            "cal::imports::scipy",
            "sim::imports::numpy",
            "sim::imports::scipy",
            "cal::notebooks::alone.ipynb",
            "sim::notebooks::alone.ipynb",
            "tiny::server::api",
            "tiny::server::lab",
            "tiny::server::terminal",
            "base::server::kernel",
            "cal::server::kernel",
            "sim::server::kernel",
            "cal::notebooks::later.ipynb",
            "cal::notebooks::gone.ipynb",
            "sim::notebooks::later.ipynb",
            "sim::notebooks::gone.ipynb",
        ]
    );
    ran(
        &repository,
        "20260101T000000Z-tiny-000000",
        &[("cal::imports::scipy", 99.0, Verdict::Passed)],
    );
    assert_eq!(list(&repository, &["imports"])[0], "cal::imports::scipy");
}

#[test]
fn a_list_for_programs_tells_how_each_test_runs() {
    let repository = tiny();
    let text = repository
        .floe(&["test", "tiny", "--list", "--format", "json", "--env", "cal"])
        .expect(0)
        .stdout;
    let listed: serde_json::Value = serde_json::from_str(&text).unwrap();
    let modes = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|test| (&test["id"], &test["mode"]));
    let shown = modes.map(|(id, mode)| format!("{} {}", id.as_str().unwrap(), mode.as_str().unwrap()));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "cal::notebooks::intro.ipynb parallel",
            "cal::imports::numpy parallel",
            "cal::imports::scipy parallel",
            "cal::notebooks::alone.ipynb alone",
            "cal::server::kernel parallel",
            "cal::notebooks::later.ipynb skipped",
            "cal::notebooks::gone.ipynb broken",
        ]
    );
    assert_eq!(listed[0]["kind"], "notebooks");
    assert!(listed[6]["reason"].as_str().unwrap().contains("no such file"));
}

#[test]
fn environments_kinds_and_parts_of_ids_narrow_each_other() {
    let repository = tiny();
    assert_eq!(
        list(&repository, &["--kind", "test"]),
        ["mission:tiny::test", "sim::test"]
    );
    assert_eq!(list(&repository, &["--kind", "test", "--env", "sim"]), ["sim::test"]);
    assert_eq!(
        list(&repository, &["--kind", "imports", "--env", "cal", "num", "intro"]),
        ["cal::imports::numpy"]
    );
    assert_eq!(list(&repository, &["mission:tiny::test"]), ["mission:tiny::test"]);
}

#[test]
fn the_parts_of_a_partition_hold_each_test_once_and_the_script_too() {
    let repository = tiny();
    let parts = (1..=3).flat_map(|index| list(&repository, &["--partition", &format!("{index}/3")]));
    let parts = parts.collect::<Vec<_>>();
    let whole = list(&repository, &[]);
    assert_eq!(parts.len(), whole.len());
    let set = |tests: Vec<String>| tests.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(set(parts), set(whole));
    repository
        .floe(&["test", "tiny", "--partition", "4/3"])
        .expect(2)
        .says(&["I/N"]);
}

#[test]
fn that_no_test_is_selected_ends_in_4_and_says_what_there_is() {
    let repository = tiny();
    for (arguments, said) in [
        (
            &["nothing-is-called-so"][..],
            "no test of tiny matches nothing-is-called-so",
        ),
        (&["--env", "nowhere"], "no test of tiny is selected"),
        (
            &["--kind", "test", "--env", "cal", "--list"],
            "no test of tiny is selected",
        ),
    ] {
        let words = [&["test", "tiny"], arguments].concat();
        let refused = repository.floe(&words).expect(4);
        refused.says(&[said, "tests are called cal::imports::numpy", "--list"]);
    }
}

#[test]
fn a_condition_that_no_test_meets_is_refused_beside_others_that_some_meet() {
    let repository = tiny();
    for (arguments, said) in [
        (&["--env", "cal", "--env", "clal"][..], "no test meets --env clal"),
        (&["numpy", "nunpy"], "no test meets `nunpy`"),
    ] {
        let words = [&["test", "tiny", "--list"], arguments].concat();
        repository
            .floe(&words)
            .expect(4)
            .says(&[said, "hint: tests are called cal::imports::numpy"]);
    }
}

/// Writes the log of an earlier run.
fn ran(repository: &Repository, run: &str, tests: &[(&str, f64, Verdict)]) {
    let directory = repository.path().join(".floe/runs").join(run);
    std::fs::create_dir_all(&directory).unwrap();
    let log = Log::create(&directory.join("events.jsonl")).unwrap();
    let ids = tests
        .iter()
        .map(|(id, ..)| id.parse::<TestId>().unwrap())
        .collect::<Vec<_>>();
    log.emit(Event::RunStarted(RunStarted::new(
        run,
        "tiny",
        Digest::of(b"image"),
        ids,
    )));
    for (id, seconds, verdict) in tests {
        log.emit(Event::TestFinished(TestFinished {
            seconds: *seconds,
            ..TestFinished::new(id.parse().unwrap(), verdict.clone())
        }));
    }
}

#[test]
fn only_what_failed_or_did_not_run_last_is_run_again() {
    let repository = tiny();
    let failed = |kind| Verdict::Failed(Cause::new(kind, "no"));
    repository
        .floe(&["test", "tiny", "--rerun-failed"])
        .expect(4)
        .says(&["there is no earlier run of tiny", "hint: "]);
    ran(
        &repository,
        "20260101T000000Z-tiny-000000",
        &[
            ("sim::test", 1.0, failed(CauseKind::Error)),
            ("cal::imports::numpy", 1.0, failed(CauseKind::Error)),
        ],
    );
    ran(
        &repository,
        "20260102T000000Z-tiny-000000",
        &[
            ("cal::imports::numpy", 1.0, Verdict::Passed),
            ("cal::imports::scipy", 1.0, failed(CauseKind::Timeout)),
            ("sim::notebooks::intro.ipynb", 0.0, failed(CauseKind::NotRun)),
            ("sim::imports::removed_since", 0.0, failed(CauseKind::Error)),
        ],
    );
    ran(
        &repository,
        "20260103T000000Z-other-000000",
        &[("sim::test", 1.0, failed(CauseKind::Error))],
    );
    assert_eq!(
        list(&repository, &["--rerun-failed"]),
        ["sim::notebooks::intro.ipynb", "cal::imports::scipy", "sim::test"],
        "what the second run did not run is remembered, what passed in it is not"
    );
    assert_eq!(
        list(&repository, &["--rerun-failed", "--kind", "imports"]),
        ["cal::imports::scipy"]
    );
    ran(
        &repository,
        "20260104T000000Z-tiny-000000",
        &[
            ("sim::test", 1.0, Verdict::Passed),
            ("cal::imports::scipy", 1.0, Verdict::Passed),
            ("sim::notebooks::intro.ipynb", 1.0, Verdict::Passed),
            ("sim::imports::removed_since", 1.0, Verdict::Passed),
        ],
    );
    repository
        .floe(&["test", "tiny", "--rerun-failed"])
        .expect(4)
        .says(&["no test of tiny failed when it was last run (the last run is 20260104T000000Z-tiny-000000)"]);
}

#[test]
fn of_several_missions_those_without_a_selected_test_are_left_out() {
    let repository = tiny();
    repository.write("missions/other/environments/opt/opt.pip", "six\n");
    repository.write("missions/other/environments/opt/tests/imports", "six\n");
    let listed = repository
        .floe(&["test", "other", "tiny", "--list", "scipy"])
        .expect(0)
        .stdout;
    assert_eq!(listed, "cal::imports::scipy\nsim::imports::scipy\n");
    repository
        .floe(&["test", "other", "tiny", "nothing"])
        .expect(4)
        .says(&["no test of other matches nothing"]);
}

#[test]
fn settings_of_an_environment_that_mean_nothing_are_refused_with_their_line() {
    let repository = tiny();
    repository.write(
        "missions/tiny/environments/cal/tests/settings.yml",
        "retries: 1\ncell_timeout: 3\n",
    );
    let refused = repository.floe(&["test", "tiny", "--list"]).expect(3);
    refused.says(&[
        "cal/tests/settings.yml:2: unknown field `cell_timeout`",
        "hint: ",
        "cell-timeout",
    ]);
}

#[test]
fn a_list_survives_a_reader_that_goes_away() {
    let repository = tiny();
    let modules = (0..20_000).map(|number| format!("module_{number}")).collect::<Vec<_>>();
    repository.write("missions/tiny/environments/cal/tests/imports", &modules.join("\n"));
    let mut child = repository
        .command(&["test", "tiny", "--list"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn times_and_memory_are_written_as_people_do_and_else_refused() {
    let repository = tiny();
    let good = [
        "--cell-timeout",
        "10m",
        "--run-timeout",
        "1h30m",
        "--memory",
        "80%",
        "--slow",
        "30",
        "--retries",
        "0",
    ];
    assert_eq!(list(&repository, &good), list(&repository, &[]));
    for (option, value) in [
        ("--cell-timeout", "soon"),
        ("--memory", "much"),
        ("--retries", "-1"),
        ("--jobs", "0"),
    ] {
        repository.floe(&["test", "tiny", option, value]).expect(2);
    }
    let refused = repository
        .command(&["test", "tiny", "--list"])
        .env("RUN_TIMEOUT", "soon")
        .output();
    Ended::of(refused.unwrap())
        .expect(3)
        .says(&["environment variable RUN_TIMEOUT=soon: write seconds"]);
}

#[test]
fn who_names_a_notebook_of_somebody_elses_image_as_a_word_is_told_the_option() {
    for (word, option) in [("a.ipynb", "--notebooks a.ipynb"), ("numpy", "--imports numpy")] {
        let said = tiny().floe(&["test", "--image", "x:1", word]).expect(2).stderr;
        assert!(said.contains(option), "{said}");
    }
}

#[test]
fn options_for_images_of_others_are_refused_beside_a_mission() {
    for option in [&["--imports", "numpy"][..], &["--notebooks", "."], &["--server"]] {
        let words = [&["test", "tiny"], option].concat();
        tiny().floe(&words).expect(2).says(&["--image"]);
    }
}
