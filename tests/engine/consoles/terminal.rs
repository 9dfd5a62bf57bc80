//! A person at a terminal.

use std::fs;

use world::{Repository, person, run};

use super::mission;
use crate::workshop::containers;

#[test]
fn a_shell_has_the_terminal_with_its_size_and_its_keys() {
    let repository = mission("typed");
    let steps = r#"[
        {"see": "\\(small\\) .*\\$ "}, {"type": "stty size; which python\r"},
        {"see": "33 100\r\n/opt/conda/envs/small/bin/python"},
        {"size": [44, 120]}, {"type": "stty size\r"}, {"see": "44 120"},
        {"type": "sh -c 'echo be$((1))gun; exec sleep 100'\r"}, {"see": "be1gun"}, {"type": "\u0003"}, {"see": "\\^C"},
        {"type": "echo co$((1))de $?\r"}, {"see": "co1de 130"},
        {"type": "exit 5\r"}
    ]"#;
    let call = repository.command(&["shell", "--env", "small"]);
    let shown = run(&mut person(steps, &call));
    assert!(shown.ends_with("ended with 5\n"), "{shown}");
    assert_eq!(containers("typed"), "");
}

#[test]
fn prune_shows_what_would_go_and_removes_nothing_unless_the_answer_is_yes() {
    let repository = Repository::with_engine();
    let kept = repository.path().join(".floe/runs/20200101T000000Z-0000");
    fs::create_dir_all(&kept).unwrap();
    fs::write(kept.join("events.jsonl"), "").unwrap();
    for (key, code) in [("n\\r", 0), ("\\r", 0), ("\\u0004", 0), ("\\u0003", 130)] {
        let steps =
            format!(r#"[{{"see": "20200101T000000Z"}}, {{"see": "Remove .*\\[y/N\\] "}}, {{"type": "{key}"}}]"#);
        let call = repository.command(&["prune", "--keep-runs", "0"]);
        let shown = run(&mut person(&steps, &call));
        assert!(shown.ends_with(&format!("ended with {code}\n")), "{key}: {shown}");
        assert!(kept.exists(), "{key}: {shown}");
    }
}
