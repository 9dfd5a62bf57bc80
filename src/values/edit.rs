//! Editing: the text of fields replaced where it is written, and nothing else touched.

use std::path::Path;
use std::sync::Arc;

use super::read::read;
use super::scalar::resolved;
use super::{Field, Node, Step, Style, Value, ValuesError};

/// A field and the text that it is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The field, which the file must hold.
    pub field: Field,
    /// Its new text.
    pub text: String,
}

/// The text of a values file with other texts in some of its fields. Comments, order, anchors and the kind of quotes stay
/// as they are; a text that would mean something else without quotes gets some.
///
/// What the new text means is read again: an edit that would change more than was asked for is refused.
pub fn edited(text: &str, file: &Arc<Path>, edits: &[Edit]) -> Result<String, ValuesError> {
    let skipped = text.len() - text.strip_prefix('\u{feff}').unwrap_or(text).len();
    let before = read(text, file)?;
    let (mut places, mut asked) = (Vec::new(), Vec::new());
    for edit in edits {
        let (at, node) = edit.field.located(&before).ok_or_else(|| ValuesError::Absent {
            path: file.to_path_buf(),
            field: edit.field.clone(),
        })?;
        asked.push((at, edit.text.as_str()));
        let (place, field) = (node.source.place(), edit.field.clone());
        if let Some(found) = no_text(node) {
            return Err(ValuesError::NotText { place, field, found });
        }
        if node.source.style == Style::Block {
            return Err(ValuesError::Block { place, field });
        }
        let (from, to) = node.source.span;
        let mut new = quoted(&edit.text, node.source.style);
        if from == to {
            // Nothing stands behind the colon.
            new.insert(0, ' ');
        }
        places.push((skipped + from, skipped + to, new));
    }
    places.sort();
    places.dedup();
    let mut new = text.to_owned();
    for (from, to, quoted) in places.iter().rev() {
        new.replace_range(*from..*to, quoted);
    }
    let after = read(&new, file)?;
    let mut field = Field::of(Vec::new());
    match changed(&before, &after, &mut field, &asked) {
        None => Ok(new),
        Some((field, other)) => Err(ValuesError::Shared {
            place: other.source.place(),
            field: edits.first().map_or(field.clone(), |edit| edit.field.clone()),
            other: field.to_string(),
        }),
    }
}

/// What a value is, if it is no text that can be replaced. A number or nothing in place of a tag can be.
fn no_text(node: &Node) -> Option<&'static str> {
    match &node.value {
        Value::List(_) => Some("a list"),
        Value::Map(_) => Some("a map"),
        Value::Bool(_) | Value::Text(_) | Value::Number(_) | Value::Null => None,
    }
}

/// A text as it is written: in the quotes that there were, or, where there were none and none are needed, without.
fn quoted(text: &str, style: Style) -> String {
    let safe = |character: char| character.is_ascii_alphanumeric() || "-_./:@+".contains(character);
    let plain = text.chars().all(safe)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !text.ends_with(':')
        && resolved(text) == Value::Text(text.to_owned());
    match style {
        Style::Plain if plain => text.to_owned(),
        Style::Single if !text.contains(['\n', '\r']) => format!("'{}'", text.replace('\'', "''")),
        // JSON's strings are those of YAML in double quotes.
        _ => serde_json::Value::from(text).to_string(),
    }
}

/// The first field that differs though no edit is about it, or does not hold what its edit says.
fn changed<'a>(before: &Node, after: &'a Node, at: &mut Field, asked: &[(Field, &str)]) -> Option<(Field, &'a Node)> {
    let difference = |at: &Field| Some((at.clone(), after));
    match (&before.value, &after.value) {
        (Value::Map(old), Value::Map(new)) if old.len() == new.len() => old.iter().zip(new).find_map(|(old, new)| {
            if old.key != new.key {
                return difference(at);
            }
            within(at, Step::Key(new.key.clone()), |at| {
                changed(&old.node, &new.node, at, asked)
            })
        }),
        (Value::List(old), Value::List(new)) if old.len() == new.len() => {
            let mut pairs = old.iter().zip(new).enumerate();
            pairs.find_map(|(index, (old, new))| within(at, Step::Index(index), |at| changed(old, new, at, asked)))
        }
        (_, Value::Text(text)) if asked.iter().any(|(field, new)| field == at && new == text) => None,
        (old, new) if old == new => None,
        _ => difference(at),
    }
}

fn within<'a>(
    at: &mut Field,
    step: Step,
    inner: impl FnOnce(&mut Field) -> Option<(Field, &'a Node)>,
) -> Option<(Field, &'a Node)> {
    at.0.push(step);
    let found = inner(at);
    at.0.pop();
    found
}
