//! Notebooks of the formats 2 and 3, as Jupyter's own tools bring them to format 4. Their outputs, which an execution
//! replaces, are left out.

use serde_json::{Map, Value, json};

/// The same notebook in format 4; `None` if it does not follow its own.
pub fn upgrade(mut notebook: Value) -> Option<Value> {
    let worksheets = notebook["worksheets"].as_array_mut()?;
    let mut cells = Vec::new();
    for worksheet in worksheets {
        let of_worksheet = worksheet["cells"].as_array_mut()?;
        cells.extend(of_worksheet.drain(..).map(cell).collect::<Option<Vec<Value>>>()?);
    }
    let metadata = notebook["metadata"].take();
    let metadata = if metadata.is_object() { metadata } else { json!({}) };
    Some(json!({"nbformat": 4, "nbformat_minor": 0, "metadata": metadata, "cells": cells}))
}

fn cell(mut old: Value) -> Option<Value> {
    let metadata = old["metadata"].take();
    let mut new = Map::new();
    let mut set = |name: &str, value: Value| new.insert(name.to_owned(), value);
    set("metadata", if metadata.is_object() { metadata } else { json!({}) });
    match old["cell_type"].as_str()? {
        "code" => {
            set("cell_type", "code".into());
            set("source", old["input"].take());
            set("execution_count", Value::Null);
            set("outputs", json!([]));
        }
        "heading" => {
            let level = old["level"].as_u64().unwrap_or(1).clamp(1, 6);
            let text = super::source(&old)?.split_whitespace().collect::<Vec<_>>().join(" ");
            let marks = (0..level).map(|_| '#').collect::<String>();
            set("cell_type", "markdown".into());
            set("source", format!("{marks} {text}").into());
        }
        kind => {
            set("cell_type", if kind == "html" { "markdown" } else { kind }.into());
            set("source", old["source"].take());
        }
    }
    Some(Value::Object(new))
}
