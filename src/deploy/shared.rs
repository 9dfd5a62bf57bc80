//! Secrets that two stages share: who gets into the one gets into the other.

use std::collections::BTreeMap;

use crate::reference::{Digest, StageName};
use crate::values::{Entry, Field, Node, Value};

/// Shorter texts are names and switches, not secrets.
const SHORTEST: usize = 8;

/// The secrets of one stage, each by the digest of its text, which is all that is kept of it.
#[derive(Debug, Clone, Default)]
pub struct Secrets(BTreeMap<Digest, Field>);

impl Secrets {
    /// Those that decrypted values hold.
    #[must_use]
    pub fn of(values: &Node) -> Self {
        let mut secrets = Self::default();
        secrets.collect(values, &Field::of(Vec::new()));
        secrets
    }

    fn collect(&mut self, node: &Node, at: &Field) {
        match &node.value {
            Value::Map(entries) => {
                for Entry { key, node, .. } in entries {
                    self.collect(node, &at.key(key));
                }
            }
            Value::List(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    self.collect(node, &at.index(index));
                }
            }
            Value::Text(text) if text.len() >= SHORTEST => {
                self.0.entry(Digest::of(text.as_bytes())).or_insert_with(|| at.clone());
            }
            _ => {}
        }
    }
}

/// A secret that a stage shares with one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Where the stage has it.
    pub field: Field,
    /// The other stage.
    pub with: StageName,
    /// Where that has it.
    pub other: Field,
}

/// The secrets that a stage shares with those of `others`.
#[must_use]
pub fn shared(secrets: &Secrets, others: &[(StageName, Secrets)]) -> Vec<Shared> {
    let mut found = Vec::new();
    for (with, others) in others {
        let both = secrets
            .0
            .iter()
            .filter_map(|(digest, field)| Some((field, others.0.get(digest)?)));
        found.extend(both.map(|(field, other)| Shared {
            field: field.clone(),
            with: with.clone(),
            other: other.clone(),
        }));
    }
    found
}
