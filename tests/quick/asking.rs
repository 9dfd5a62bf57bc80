//! What a person at a terminal is asked, what is printed for those who want less, and in which colours.

use std::fs;
use std::path::Path;
use std::process::Command;

use world::{Ended, Repository, floe, person, run};

/// What a person sees who calls floe in `directory` and does `steps`.
fn seen(directory: &Path, words: &[&str], steps: &str) -> String {
    let mut call = floe();
    call.args(words).current_dir(directory);
    run(&mut person(steps, &call))
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn init_asks_what_its_options_would_say_and_asks_again_what_makes_no_sense() {
    let dir = tempfile::tempdir().unwrap();
    let steps = r#"[
        {"see": "mission called\\? \\[demo\\] "}, {"type": "No Such\r"}, {"see": "is not valid"},
        {"see": "mission called"}, {"type": "first\r"},
        {"see": "environment called\\? \\[first\\] "}, {"type": "\r"},
        {"see": "\\[nowhere\\] "}, {"type": "r.example/hub\r"},
        {"see": "\\[no\\] "}, {"type": "\r"},
        {"see": "\\[none\\] "}, {"type": "gitlab\r"}
    ]"#;
    let shown = seen(dir.path(), &["init", "--base-image", "debian"], steps);
    assert!(
        shown.ends_with("ended with 0\n") && !shown.contains("images extend"),
        "{shown}"
    );
    for path in ["missions/first/environments/first/first.pip", ".gitlab-ci.yml"] {
        assert!(dir.path().join(path).exists(), "{path}: {shown}");
    }
    assert!(!dir.path().join("common").exists());
    let settings = fs::read_to_string(dir.path().join("setup-env")).unwrap();
    assert!(settings.contains("REGISTRY=\"r.example/hub\""), "{settings}");
    let steps = r#"[{"see": "mission called\\? "}, {"type": "second\r"}, {"see": "\\[second\\] "}, {"type": "cal\r"}]"#;
    seen(dir.path(), &["init"], steps);
    assert!(dir.path().join("missions/second/environments/cal/cal.pip").exists());
}

#[test]
fn a_person_who_leaves_at_a_question_leaves_nothing_behind() {
    for (key, code) in [("\\u0003", 130), ("\\u0004", 2)] {
        let dir = tempfile::tempdir().unwrap();
        let steps =
            format!(r#"[{{"see": "\\[demo\\] "}}, {{"type": "\r"}}, {{"see": "\\[demo\\] "}}, {{"type": "{key}"}}]"#);
        let shown = seen(dir.path(), &["init"], &steps);
        assert!(shown.ends_with(&format!("ended with {code}\n")), "{shown}");
        assert!(is_empty(dir.path()), "{shown}");
    }
}

#[test]
fn who_is_at_no_terminal_or_says_it_by_options_is_not_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut call = floe();
    Ended::of(call.arg("init").current_dir(dir.path()).output().unwrap()).expect(0);
    assert!(dir.path().join("missions/demo").is_dir());
    let dir = tempfile::tempdir().unwrap();
    let shown = seen(dir.path(), &["init", "--mission", "mine"], "[]");
    assert!(shown.ends_with("ended with 0\n") && !shown.contains('?'), "{shown}");
}

#[test]
fn colours_are_as_the_environment_and_the_call_want_them() {
    let dir = tempfile::tempdir().unwrap();
    let colored = |call: &mut Command| {
        let output = call.current_dir(dir.path()).output().unwrap();
        let shown = [output.stdout, output.stderr].concat();
        assert!(!shown.is_empty());
        shown.contains(&0x1b)
    };
    // A failure, a result, a mistake in the command line, and help.
    for words in [&["build"][..], &["doctor"], &["nosuch"], &["-h"]] {
        assert!(!colored(floe().args(words)), "{words:?}");
        assert!(colored(floe().args(words).env("FORCE_COLOR", "1")), "{words:?}");
        assert!(
            !colored(floe().args(words).env("FORCE_COLOR", "1").env("NO_COLOR", "1")),
            "{words:?}"
        );
        assert!(!colored(floe().args(words).env("FORCE_COLOR", "")), "{words:?}");
    }
    for words in [&["build"][..], &["doctor"]] {
        let always = [words, &["--color", "always"]].concat();
        assert!(colored(floe().args(&always).env("NO_COLOR", "1")), "{words:?}");
        let never = [words, &["--color", "never"]].concat();
        assert!(!colored(floe().args(&never).env("FORCE_COLOR", "1")), "{words:?}");
    }
}

#[test]
fn a_quiet_call_says_nothing_of_what_goes_well() {
    let repository = Repository::new();
    let quiet = repository.floe(&["init", "--mission", "other", "-q"]).expect(0);
    assert_eq!(quiet.stderr, "");
    assert!(quiet.stdout.contains("missions/other/"), "{}", quiet.stdout);
    repository
        .floe(&["push", "-q", "nosuch"])
        .expect(3)
        .says(&["error: ", "hint: "]);
    repository.write("setup-env", "export USE_FROZN=0\n");
    repository.floe(&["plan", "-q"]).says(&["warning: USE_FROZN"]);
    repository.floe(&["plan", "-qv"]).expect(2);
}
