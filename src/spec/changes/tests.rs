//! What differs between two frozen specs, and how it is shown.

use super::*;

const ONE: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const OTHER: &str = "1d6d69ce66211143803fbc56652b41d73b4a400a2891d7bf7a1cdf4c02de613b";

fn conda(name: &str, version: &str, build: &str) -> CondaPackage {
    CondaPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        build: build.to_owned(),
        sha256: Some(ONE.to_owned()),
        record: None,
    }
}

fn pip(name: &str, version: &str) -> PipPackage {
    PipPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        requirement: format!("{name}=={version}"),
        url: None,
        sha256: None,
        requires: Vec::new(),
    }
}

fn git(name: &str, commit: &str) -> PipPackage {
    PipPackage {
        requirement: format!("{name} @ git+https://example.org/x@{commit}"),
        ..pip(name, "1.0")
    }
}

fn example() -> Changes {
    let from = Frozen {
        python: Some("3.11.9".to_owned()),
        conda: vec![
            conda("gone", "1", "0"),
            conda("libx", "1.10", "h1_0"),
            conda("same", "1", "0"),
            conda("zlib", "1.3", "h1_0"),
        ],
        pip: vec![git("drizzle", "aaaa"), pip("numpy", "2.0rc1"), pip("Same_Too", "1")],
        variables: [("A".to_owned(), "1".to_owned())].into(),
        ..Frozen::default()
    };
    let to = Frozen {
        python: Some("3.11.10".to_owned()),
        conda: vec![
            conda("libx", "1.9", "h1_0"),
            conda("same", "1", "0"),
            conda("zlib", "1.3", "h2_1"),
        ],
        pip: vec![
            git("drizzle", "bbbb"),
            pip("new", "1"),
            pip("numpy", "2.0"),
            pip("same-too", "1"),
        ],
        variables: [("A".to_owned(), "2".to_owned())].into(),
        ..Frozen::default()
    };
    Changes::between(&from, &to)
}

#[test]
fn each_change_is_one_aligned_line() {
    insta::assert_snapshot!(example().to_text(), @r"
    up       python   venv      3.11.9 → 3.11.10
    rebuilt  drizzle  pip       git+https://example.org/x@aaaa → git+https://example.org/x@bbbb
    removed  gone     conda     1
    down     libx     conda     1.10 → 1.9
    added    new      pip       1
    up       numpy    pip       2.0rc1 → 2.0
    rebuilt  zlib     conda     1.3=h1_0 → 1.3=h2_1
    changed  A        variable  1 → 2
    1 added, 1 removed, 2 up, 1 down, 2 rebuilt, 1 changed
    ");
}

#[test]
fn a_pull_request_gets_a_table() {
    insta::assert_snapshot!(example().to_markdown(), @r"
    | package | | from | to | |
    |---|---|---|---|---|
    | `python` | venv | `3.11.9` | `3.11.10` | up |
    | `drizzle` | pip | `git+https://example.org/x@aaaa` | `git+https://example.org/x@bbbb` | rebuilt |
    | `gone` | conda | `1` |  | removed |
    | `libx` | conda | `1.10` | `1.9` | down |
    | `new` | pip |  | `1` | added |
    | `numpy` | pip | `2.0rc1` | `2.0` | up |
    | `zlib` | conda | `1.3=h1_0` | `1.3=h2_1` | rebuilt |
    | `A` | variable | `1` | `2` | changed |

    1 added, 1 removed, 2 up, 1 down, 2 rebuilt, 1 changed
    ");
}

#[test]
fn programs_get_versioned_json() {
    let value: serde_json::Value = serde_json::from_str(&example().to_json()).unwrap();
    assert_eq!(value["version"], 1);
    assert_eq!(value["summary"]["up"], 2);
    assert_eq!(
        value["changes"][1],
        serde_json::json!({
            "name": "drizzle", "of": "pip", "kind": "rebuilt",
            "from": "git+https://example.org/x@aaaa", "to": "git+https://example.org/x@bbbb",
        })
    );
}

#[test]
fn the_same_environment_is_no_difference() {
    let changes = Changes::between(&Frozen::default(), &Frozen::default());
    assert!(changes.is_empty());
    assert_eq!(
        (changes.to_text().as_str(), changes.to_markdown().as_str()),
        ("no difference\n", "no difference\n")
    );
}

#[test]
fn versions_are_ordered_as_their_kind_of_package_orders_them() {
    let of_conda = |from: &str, to: &str| super::conda(&conda("x", from, "0"), &conda("x", to, "0")).map(|d| d.0);
    let of_pip = |from: &str, to: &str| super::pip(&pip("x", from), &pip("x", to)).map(|d| d.0);
    for (from, to, by_conda, by_pip) in [
        ("1.9", "1.10", Some(Kind::Up), Some(Kind::Up)),
        ("1.0", "1.0rc1", Some(Kind::Down), Some(Kind::Down)),
        ("1.0", "1.0.post1", Some(Kind::Up), Some(Kind::Up)),
        ("9", "1!1", Some(Kind::Up), Some(Kind::Up)),
        ("2023d", "2024e", Some(Kind::Up), Some(Kind::Changed)),
        ("1.1.1", "1.1.1a", Some(Kind::Down), None),
        ("1.0", "1.0.0", Some(Kind::Changed), Some(Kind::Changed)),
        ("1.0", "1.0", None, None),
    ] {
        assert_eq!(of_conda(from, to), by_conda, "{from} {to}");
        if from != "1.1.1" {
            assert_eq!(of_pip(from, to), by_pip, "{from} {to}");
        }
    }
}

#[test]
fn another_archive_of_the_same_version_is_a_rebuild_if_both_digests_are_known() {
    let mut other = conda("x", "1", "0");
    other.sha256 = Some(OTHER.to_owned());
    let (kind, from, to) = super::conda(&conda("x", "1", "0"), &other).unwrap();
    assert_eq!(
        (kind, from.as_str(), to.as_str()),
        (Kind::Rebuilt, "1 sha256:ba7816bf8f01", "1 sha256:1d6d69ce6621")
    );
    other.sha256 = None;
    assert_eq!(super::conda(&conda("x", "1", "0"), &other), None);
}

#[test]
fn what_a_spec_holds_steers_neither_terminal_nor_table() {
    let to = Frozen {
        variables: [("A|`".to_owned(), "\x1b[2J\n| x".to_owned())].into(),
        ..Frozen::default()
    };
    let changes = Changes::between(&Frozen::default(), &to);
    assert_eq!(changes.to_text().lines().count(), 2);
    assert!(!changes.to_text().contains('\x1b'));
    assert!(
        changes.to_markdown().contains("| `A\\|'` |"),
        "{}",
        changes.to_markdown()
    );
}
