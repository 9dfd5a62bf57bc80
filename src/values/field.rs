//! The name of a field: `singleuser.image`, `singleuser.profileList[0].kubespawner_override.image`, or by what an entry
//! of a list says of itself, `singleuser.profileList[display_name=GPU].kubespawner_override.image`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use super::{Node, Value};

/// The name of a field in a values file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field(pub(super) Vec<Step>);

/// One step from a value to one within it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To the value of a key.
    Key(String),
    /// To the entry of a list with this number, counted from 0.
    Index(usize),
    /// To the first entry of a list whose field has this text.
    Entry(String, String),
}

/// A text that names no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" names no field; fields are named as in singleuser.image or profileList[slug=gpu].image")]
pub struct FieldError(String);

impl Field {
    /// The field that these steps lead to.
    #[must_use]
    pub fn of(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The field of this name within this one.
    #[must_use]
    pub fn key(&self, name: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(name.to_owned()));
        Self(steps)
    }

    /// The entry of this number within this field, which is a list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// What it is in `root`, if that has it.
    #[must_use]
    pub fn of_values<'a>(&self, root: &'a Node) -> Option<&'a Node> {
        self.located(root).map(|(_, node)| node)
    }

    /// What it is in `root`, if that has it, and its name there by keys and numbers alone.
    #[must_use]
    pub fn located<'a>(&self, root: &'a Node) -> Option<(Self, &'a Node)> {
        let (mut steps, mut node) = (Vec::with_capacity(self.0.len()), root);
        for step in &self.0 {
            let (found, taken) = match (step, &node.value) {
                (Step::Key(key), _) => (node.get(key)?, step.clone()),
                (Step::Index(index), Value::List(entries)) => (entries.get(*index)?, step.clone()),
                (Step::Entry(key, text), Value::List(entries)) => {
                    let says = |entry: &Node| entry.get(key).and_then(Node::text) == Some(text);
                    let index = entries.iter().position(says)?;
                    (&entries[index], Step::Index(index))
                }
                _ => return None,
            };
            steps.push(taken);
            node = found;
        }
        Some((Self(steps), node))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if index > 0 => write!(f, ".{}", escaped(key))?,
                Step::Key(key) => f.write_str(&escaped(key))?,
                Step::Index(number) => write!(f, "[{number}]")?,
                Step::Entry(key, text) => write!(f, "[{key}={text}]")?,
            }
        }
        Ok(())
    }
}

/// A key with a backslash before what would end it, as Helm's `--set` has it.
fn escaped(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for character in key.chars() {
        if matches!(character, '.' | '[' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let refused = || FieldError(text.to_owned());
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            let (key, after) = key(rest);
            if key.is_empty() {
                return Err(refused());
            }
            steps.push(Step::Key(key));
            rest = after;
            while let Some(within) = rest.strip_prefix('[') {
                let (chosen, after) = within.split_once(']').ok_or_else(refused)?;
                steps.push(match chosen.split_once('=') {
                    Some((key, value)) if !key.is_empty() => Step::Entry(key.to_owned(), value.to_owned()),
                    _ => Step::Index(chosen.parse().map_err(|_| refused())?),
                });
                rest = after;
            }
            if rest.is_empty() {
                return Ok(Self(steps));
            }
            rest = rest.strip_prefix('.').ok_or_else(refused)?;
        }
    }
}

/// The key that a text begins with, and what comes after it.
fn key(text: &str) -> (String, &str) {
    let mut key = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '.' | '[' => return (key, &text[index..]),
            '\\' => key.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => key.push(character),
        }
    }
    (key, "")
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
