//! What keeps the tests in shape.

use std::collections::BTreeSet;
use std::path::Path;

use super::{code_lines, files};

#[test]
fn a_test_reaches_into_no_other_and_keeps_nothing_that_none_uses() {
    let mut broken = Vec::new();
    for (path, text) in files("tests") {
        for (line, code) in code_lines(&text).filter(|(_, code)| code.starts_with('#')) {
            if code.starts_with("#[path") || code.contains("dead_code") {
                broken.push(format!("{}:{line}: {code}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn what_is_left_out_for_its_length_is_run_with_long() {
    for (path, text) in files("tests") {
        for (at, _) in text
            .match_indices("#[ignore")
            .filter(|(at, _)| !text[*at..].starts_with("#[ignore = \"the child of"))
        {
            // `scripts/check --long` asks for `long::`.
            let is_long = path.file_stem().is_some_and(|stem| stem == "long") || text[..at].contains("mod long {");
            assert!(
                is_long || text[..at].ends_with('"'),
                "{}: a test that nothing runs",
                path.display()
            );
        }
    }
}

#[test]
fn no_test_is_forgotten() {
    let all = files("tests");
    let mut reached = BTreeSet::new();
    let is_root = |path: &Path| path.ends_with("main.rs") || path.ends_with("lib.rs");
    let mut next = all.keys().filter(|path| is_root(path)).cloned().collect::<Vec<_>>();
    while let Some(path) = next.pop() {
        let directory = if is_root(&path) {
            path.with_file_name("")
        } else {
            path.with_extension("")
        };
        let text = &all[&path];
        let modules = code_lines(text)
            .filter_map(|(_, code)| code.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
        next.extend(modules.map(|name| directory.join(name).with_extension("rs")));
        reached.insert(path);
    }
    let forgotten = all.keys().filter(|path| !reached.contains(*path)).collect::<Vec<_>>();
    assert!(forgotten.is_empty(), "no `mod` names {forgotten:?}");
}
