//! What a JSON schema says of the keys of a map, as far as that needs no look at their values.
//!
//! Parts that only hold under a condition (`anyOf`, `oneOf`, `if`) make a key known all the same: whoever writes it may have
//! meant that case.

use regex::Regex;
use serde_json::Value;

/// References are followed no further than this.
const DEEPEST: usize = 32;

/// The keywords whose schemas hold of the same value.
const ALSO: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const OTHERWISE: [&str; 3] = ["if", "then", "else"];

/// What schemas say of a key.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict<'a> {
    /// Its value has these schemas.
    Known(Vec<&'a Value>),
    /// Any key may stand there, with any value.
    Open,
    /// It may not.
    Unknown,
    /// They list others, and forbid none.
    Silent,
}

/// What `schemas` of a map say of one of its keys; `root` is the whole that they are parts of.
pub(super) fn key<'a>(root: &'a Value, schemas: &[&'a Value], key: &str) -> Verdict<'a> {
    let (mut known, mut open, mut unknown, mut silent) = (Vec::new(), false, false, false);
    for schema in parts(root, schemas) {
        if let Some(found) = schema.get("properties").and_then(|listed| listed.get(key)) {
            known.push(found);
            continue;
        }
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let fitting = patterns.into_iter().flatten().filter(|(pattern, _)| {
            // One that cannot be read may fit.
            Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(key))
        });
        let before = known.len();
        known.extend(fitting.map(|(_, schema)| schema));
        if known.len() > before {
            continue;
        }
        let rest = schema
            .get("additionalProperties")
            .or_else(|| schema.get("unevaluatedProperties"));
        match rest {
            Some(Value::Bool(false)) => unknown = true,
            Some(Value::Bool(true)) => open = true,
            Some(found) => known.push(found),
            None if schema.get("properties").is_some() => silent = true,
            None => {}
        }
    }
    match (known.is_empty(), unknown, open, silent) {
        (false, ..) => Verdict::Known(known),
        (true, true, ..) => Verdict::Unknown,
        (true, false, false, true) => Verdict::Silent,
        // There are none.
        (true, false, false, false) if schemas.is_empty() => Verdict::Silent,
        // One says so, or they say nothing of keys at all.
        (true, false, ..) => Verdict::Open,
    }
}

/// The schemas of the entries of a list that has `schemas`.
pub(super) fn items<'a>(root: &'a Value, schemas: &[&'a Value]) -> Vec<&'a Value> {
    let items = parts(root, schemas)
        .into_iter()
        .filter_map(|schema| schema.get("items"));
    items.filter(|items| items.is_object()).collect()
}

/// The keys that `schemas` list.
pub(super) fn names(root: &Value, schemas: &[&Value]) -> Vec<String> {
    let listed = parts(root, schemas).into_iter();
    let listed = listed.filter_map(|schema| schema.get("properties").and_then(Value::as_object));
    listed.flat_map(|listed| listed.keys().cloned()).collect()
}

/// All schemas that hold of the same value: those that are referred to, and the parts of each.
fn parts<'a>(root: &'a Value, schemas: &[&'a Value]) -> Vec<&'a Value> {
    let mut open = schemas.iter().map(|schema| (*schema, 0)).collect::<Vec<_>>();
    let mut found = Vec::new();
    while let Some((schema, depth)) = open.pop() {
        if depth > DEEPEST {
            continue;
        }
        found.push(schema);
        let mut more = Vec::new();
        if let Some(place) = schema.get("$ref").and_then(Value::as_str) {
            // What lies elsewhere is not looked for.
            more.extend(place.strip_prefix('#').and_then(|pointer| root.pointer(pointer)));
        }
        for name in ALSO {
            more.extend(schema.get(name).and_then(Value::as_array).into_iter().flatten());
        }
        more.extend(OTHERWISE.iter().filter_map(|name| schema.get(name)));
        open.extend(more.into_iter().map(|schema| (schema, depth + 1)));
    }
    found
}
