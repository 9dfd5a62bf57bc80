//! Values files of Helm charts: read with the place of every value, merged as Helm merges them, and edited in place.
//!
//! Helm reads YAML with Go's `goyaml.v2`, by the rules of YAML 1.1 with changes of its own, and what it reads is what
//! counts: `src/values/scalar.rs` follows those rules, and tests hold reading and merging against Helm itself.

mod edit;
mod error;
mod field;
mod merge;
mod read;
mod scalar;
mod shown;

use std::path::Path;
use std::sync::Arc;

pub use self::edit::{Edit, edited};
pub use self::error::ValuesError;
pub use self::field::{Field, Step};
pub use self::merge::{Layer, Merged, Remark, is_near, merged};
pub use self::read::read;
pub use self::scalar::Number;
pub use self::shown::{json, yaml};

/// A value, and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it is written. A value that is reached by an alias is written at its anchor.
    pub source: Source,
}

/// What a values file can hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, which takes away what a file before this one says.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// A list, which replaces others.
    List(Vec<Node>),
    /// A map, which merges with others: its keys in the order of the file.
    Map(Vec<Entry>),
}

/// A key of a map and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key, as text.
    pub key: String,
    /// Where that is written.
    pub at: Source,
    /// The value.
    pub node: Node,
}

/// Where a value is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub file: Arc<Path>,
    /// The line, counted from 1.
    pub line: usize,
    /// The first and the last byte but one of a scalar's text, with its quotes.
    span: (usize, usize),
    /// How a scalar is written.
    style: Style,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    /// Over lines of its own.
    Block,
}

impl Node {
    /// The value of a key, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            _ => None,
        }
    }

    /// The text, if this is text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Value {
    /// Whether this is a map.
    #[must_use]
    pub fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }
}

#[cfg(test)]
mod tests;
