//! What floe says that a hub's values are is what Helm installs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use floe::values::{self, Layer};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use world::{helm, run};

/// Scalars as people write them, and as YAML 1.1 and Go read them in ways of their own.
const SCALARS: &[&str] = &[
    "null",
    "~",
    "''",
    "yes",
    "No",
    "on",
    "y",
    "n",
    "true",
    "'true'",
    "017",
    "0o17",
    "08",
    "0x1F",
    "0b11",
    "-0b11",
    "1_000",
    "1.",
    ".5",
    "+.5",
    "-1e3",
    "1e400",
    ".inf0",
    "12:30:45",
    "2001-01-01",
    "2001-1-x",
    "!!str 12",
    "!!int \"3\"",
    "text",
    "two words",
    "1.10",
    "\"a: b\"",
    "18446744073709551615",
    "9007199254740993",
    "[]",
    "{}",
    "[null, {a: null}]",
    "0o",
    "+",
    "_1",
];

const KEYS: &[&str] = &["a", "b", "c", "1", "1.5", "yes", "'yes'", "deep"];

/// A map in flow style.
fn map() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(SCALARS).prop_map(str::to_owned);
    let map = |inner: BoxedStrategy<String>| {
        prop::collection::btree_map(prop::sample::select(KEYS), inner, 0..6).prop_map(|entries| {
            let mut text = String::from("{");
            for (key, value) in entries {
                let _ = write!(text, "{key}: {value}, ");
            }
            text + "}"
        })
    };
    let value = scalar.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            3 => map(inner.clone().boxed()),
            1 => prop::collection::vec(inner, 0..4).prop_map(|entries| format!("[{}]", entries.join(", "))),
        ]
    });
    map(value.boxed())
}

/// Numbers as templates see them.
fn as_floats(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Json::Number(number) => Json::from(number.as_f64()),
        Json::Array(values) => values.iter().map(as_floats).collect(),
        Json::Object(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), as_floats(value)))
            .collect(),
        other => other.clone(),
    }
}

fn chart(directory: &Path, values: &str) {
    fs::create_dir_all(directory.join("templates")).unwrap();
    fs::write(
        directory.join("Chart.yaml"),
        "apiVersion: v2\nname: hub\nversion: 0.1.0\n",
    )
    .unwrap();
    fs::write(
        directory.join("templates/shown.yaml"),
        "shown: {{ toJson .Values | quote }}\n",
    )
    .unwrap();
    fs::write(directory.join("values.yaml"), values).unwrap();
}

/// What Helm installs.
fn by_helm(directory: &Path, values: &str, files: &[String]) -> serde_json::Value {
    chart(directory, values);
    let mut command = Command::new(helm());
    command.arg("template").arg("hub").arg(directory);
    for (index, text) in files.iter().enumerate() {
        let path = directory.with_extension(index.to_string());
        fs::write(&path, text).unwrap();
        command.arg("--values").arg(path);
    }
    let rendered: serde_yaml::Value = serde_yaml::from_str(&run(&mut command)).unwrap();
    serde_json::from_str(rendered["shown"].as_str().unwrap()).unwrap()
}

fn by_floe(values: &str, files: &[String]) -> serde_json::Value {
    let read = |text: &str| values::read(text, &Arc::from(Path::new("values.yaml"))).unwrap();
    let chart = Layer {
        values: read(values),
        children: Vec::new(),
    };
    let merged = values::merged(&chart, &files.iter().map(|text| read(text)).collect::<Vec<_>>());
    values::json(&merged.values, &|_| String::new(), &|_| false)["values"].clone()
}

#[test]
fn values_merge_as_helm_merges_them() {
    let directory = tempfile::tempdir().unwrap();
    let chart = directory.path().join("hub");
    let mut runner = TestRunner::new(Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let files = (map(), prop::collection::vec(map(), 0..4));
    runner
        .run(&files, |(values, files)| {
            let (helm, floe) = (by_helm(&chart, &values, &files), by_floe(&values, &files));
            prop_assert_eq!(as_floats(&helm), as_floats(&floe));
            Ok(())
        })
        .unwrap();
}

#[test]
fn merge_keys_and_keys_that_come_twice_count_as_they_do_for_helm() {
    let directory = tempfile::tempdir().unwrap();
    let chart = directory.path().join("hub");
    let values = "base: &b {x: 1, z: 2}\nearly: {z: 5, <<: *b, x: 9}\nmany: {<<: [*b, {x: 7, q: 8}]}\ndup: 1\ndup: 2\n\
                  list: &l [1]\nsame: *l\n";
    let files = [String::from("early: {z: null}\nmany: null\n---\ndup: 3\n")];
    assert_eq!(
        as_floats(&by_helm(&chart, values, &files)),
        as_floats(&by_floe(values, &files))
    );
}
