//! Values as text: YAML with the place of each value behind it, and JSON.

use std::fmt::Write as _;

use super::scalar::resolved;
use super::{Field, Node, Number, Source, Step, Value};

/// Values as YAML. `origin` says what stands as a comment behind a value, and `hidden` whether a value is masked.
#[must_use]
pub fn yaml(root: &Node, origin: &dyn Fn(&Source) -> String, hidden: &dyn Fn(&Source) -> bool) -> String {
    let mut lines = Vec::new();
    let mut writing = Writing {
        lines: &mut lines,
        origin,
        hidden,
    };
    writing.node(root, 0, "", "");
    let width = lines
        .iter()
        .filter(|(_, note)| !note.is_empty())
        .map(|(line, _)| line.chars().count());
    let width = width.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    lines.iter().fold(String::new(), |mut text, (line, note)| {
        let _ = match note.as_str() {
            "" => writeln!(text, "{line}"),
            note => writeln!(text, "{line:width$}  # {note}"),
        };
        text
    })
}

/// Longer lines do not push the comments of others to the right.
const WIDEST: usize = 72;

struct Writing<'a> {
    lines: &'a mut Vec<(String, String)>,
    origin: &'a dyn Fn(&Source) -> String,
    hidden: &'a dyn Fn(&Source) -> bool,
}

impl Writing<'_> {
    /// Writes a value behind `lead`, which is what its first line begins with after the indentation `first`.
    fn node(&mut self, node: &Node, indent: usize, first: &str, lead: &str) {
        let pad = " ".repeat(indent);
        match &node.value {
            Value::Map(entries) if !entries.is_empty() => {
                let nested = lead.ends_with(':');
                if nested {
                    self.lines.push((format!("{first}{lead}"), String::new()));
                }
                for (index, entry) in entries.iter().enumerate() {
                    let inline = index == 0 && !nested;
                    let first = if inline { format!("{first}{lead}") } else { pad.clone() };
                    self.node(&entry.node, indent + 2, &first, &format!("{}:", text(&entry.key)));
                }
            }
            Value::List(nodes) if !nodes.is_empty() => {
                let nested = lead.ends_with(':');
                if nested {
                    self.lines.push((format!("{first}{lead}"), String::new()));
                }
                for (index, node) in nodes.iter().enumerate() {
                    let inline = index == 0 && !nested;
                    let first = if inline { format!("{first}{lead}") } else { pad.clone() };
                    self.node(node, indent + 2, &first, "- ");
                }
            }
            value => {
                let text = if (self.hidden)(&node.source) {
                    "'(hidden)'".to_owned()
                } else {
                    scalar(value)
                };
                let space = if lead.ends_with(':') { " " } else { "" };
                self.lines
                    .push((format!("{first}{lead}{space}{text}"), (self.origin)(&node.source)));
            }
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(value) => text(value),
        Value::List(_) => "[]".to_owned(),
        Value::Map(_) => "{}".to_owned(),
    }
}

/// A text as YAML, without quotes where it means the same without.
fn text(text: &str) -> String {
    let safe = |character: char| character.is_alphanumeric() || "-_./@ +%".contains(character);
    let plain = text.starts_with(|first: char| first.is_alphanumeric() || first == '/' || first == '.')
        && text.chars().all(safe)
        && !text.ends_with(' ')
        && resolved(text) == Value::Text(text.to_owned());
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

/// Values as JSON: the values, and the origin of each by the name of its field.
#[must_use]
pub fn json(root: &Node, origin: &dyn Fn(&Source) -> String, hidden: &dyn Fn(&Source) -> bool) -> serde_json::Value {
    let mut origins = serde_json::Map::new();
    collect(root, &mut Field::of(Vec::new()), origin, &mut origins);
    serde_json::json!({ "values": value(root, hidden), "origins": origins })
}

fn collect(
    node: &Node,
    at: &mut Field,
    origin: &dyn Fn(&Source) -> String,
    origins: &mut serde_json::Map<String, serde_json::Value>,
) {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            for entry in entries {
                at.0.push(Step::Key(entry.key.clone()));
                collect(&entry.node, at, origin, origins);
                at.0.pop();
            }
        }
        Value::List(nodes) if !nodes.is_empty() => {
            for (index, node) in nodes.iter().enumerate() {
                at.0.push(Step::Index(index));
                collect(node, at, origin, origins);
                at.0.pop();
            }
        }
        _ => {
            origins.insert(at.to_string(), origin(&node.source).into());
        }
    }
}

fn value(node: &Node, hidden: &dyn Fn(&Source) -> bool) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|entry| (entry.key.clone(), value(&entry.node, hidden)));
            Json::Object(entries.collect())
        }
        Value::List(nodes) => Json::Array(nodes.iter().map(|node| value(node, hidden)).collect()),
        _ if hidden(&node.source) => Json::from("(hidden)"),
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Number(Number::Int(number)) => Json::from(*number),
        Value::Number(Number::Unsigned(number)) => Json::from(*number),
        Value::Number(Number::Float(number)) => Json::from(*number),
        Value::Text(text) => Json::from(text.as_str()),
    }
}
