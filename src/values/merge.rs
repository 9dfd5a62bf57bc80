//! Merging as Helm merges: the files of a call over one another, and then over the values of the chart itself.
//!
//! Between files maps merge and everything else replaces, nothing (`null`) included. Over the chart's values, `null` takes
//! a key away. Below the name of a chart that this one depends on it stays, for that chart's values to be taken away.

use super::{Entry, Field, Node, Source, Step, Value};

/// The values that a chart begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its `values.yaml`.
    pub values: Node,
    /// The names under which it has the values of charts that it depends on.
    pub children: Vec<String>,
}

/// The values that a chart is installed with.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The values.
    pub values: Node,
    /// What a person may not have meant.
    pub remarks: Vec<Remark>,
}

/// Something in values files that a person may not have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// A list replaced one that has entries which are gone with it.
    ListReplaced {
        /// The list.
        field: Field,
        /// The one that counts.
        by: Source,
        /// The one that does not.
        replaced: Source,
        /// How many entries are gone.
        lost: usize,
    },
    /// A map and something else stand for the same field.
    Mixed {
        /// The field.
        field: Field,
        /// The one that counts.
        by: Source,
        /// The one that does not.
        replaced: Source,
    },
    /// A key that nobody knows.
    Unknown {
        /// The field.
        field: Field,
        /// Where it is.
        by: Source,
        /// A known key of nearly the same name.
        meant: Option<String>,
    },
}

/// Merges `files`, the later over the earlier, over the values of the chart.
#[must_use]
pub fn merged(chart: &Layer, files: &[Node]) -> Merged {
    let mut merging = Merging {
        remarks: Vec::new(),
        at: Field::of(Vec::new()),
    };
    for (index, file) in files.iter().enumerate() {
        let known = std::iter::once(&chart.values)
            .chain(&files[..index])
            .collect::<Vec<_>>();
        merging.unknown(file, &known);
    }
    let mut files = files.iter().cloned();
    let empty = Node {
        value: Value::Map(Vec::new()),
        source: chart.values.source.clone(),
    };
    let mut values = files.next().unwrap_or(empty);
    for file in files {
        merging.over(&mut values, file);
    }
    merging.coalesce(&mut values, &chart.values, Children::Named(&chart.children));
    Merged {
        values,
        remarks: merging.remarks,
    }
}

/// The charts that a chart depends on, where their values are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Children<'a> {
    /// They are called so, in the map at hand.
    Named(&'a [String]),
    /// The map at hand is of one of them.
    Within,
}

struct Merging {
    remarks: Vec<Remark>,
    at: Field,
}

impl Merging {
    fn within<T>(&mut self, key: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        self.at.0.push(Step::Key(key.to_owned()));
        let result = inner(self);
        self.at.0.pop();
        result
    }

    /// Puts a file's values over those of the files before it.
    fn over(&mut self, below: &mut Node, above: Node) {
        match (&mut below.value, above) {
            (
                Value::Map(entries),
                Node {
                    value: Value::Map(new), ..
                },
            ) => {
                for entry in new {
                    self.within(&entry.key.clone(), |merging| {
                        match entries.iter_mut().find(|held| held.key == entry.key) {
                            Some(held) => merging.over(&mut held.node, entry.node),
                            None => entries.push(entry),
                        }
                    });
                }
            }
            (_, above) => {
                self.replaced(below, &above);
                *below = above;
            }
        }
    }

    /// Notes what is lost where `above` takes the place of `below`.
    fn replaced(&mut self, below: &Node, above: &Node) {
        let (field, by, replaced) = (self.at.clone(), above.source.clone(), below.source.clone());
        match (&below.value, &above.value) {
            (Value::List(old), Value::List(new)) => {
                let lost = old
                    .iter()
                    .filter(|entry| !new.iter().any(|kept| same(kept, entry)))
                    .count();
                if lost > 0 {
                    self.remarks.push(Remark::ListReplaced {
                        field,
                        by,
                        replaced,
                        lost,
                    });
                }
            }
            // Nothing in place of a map is how it is taken away, and nothing is no value that would be lost.
            (_, Value::Null) | (Value::Null, _) => {}
            (old, new) if old.is_map() != new.is_map() => self.remarks.push(Remark::Mixed { field, by, replaced }),
            _ => {}
        }
    }

    /// Puts a map over the one that a chart has in its place. Of a chart that this one depends on, nothing is taken away.
    fn coalesce(&mut self, values: &mut Node, default: &Node, children: Children<'_>) {
        let (Value::Map(entries), Value::Map(defaults)) = (&mut values.value, &default.value) else {
            return;
        };
        for Entry { key, at, node: default } in defaults {
            let Some(index) = entries.iter().position(|entry| entry.key == *key) else {
                entries.push(Entry {
                    key: key.clone(),
                    at: at.clone(),
                    node: default.clone(),
                });
                continue;
            };
            let node = &mut entries[index].node;
            match (&node.value, &default.value) {
                (Value::Null, _) if children == Children::Within => {}
                (Value::Null, _) => drop(entries.remove(index)),
                (Value::Map(_), Value::Map(_)) => {
                    let children = match children {
                        Children::Named(names) if names.contains(key) => Children::Within,
                        Children::Named(_) => Children::Named(&[]),
                        Children::Within => Children::Within,
                    };
                    self.within(key, |merging| merging.coalesce(node, default, children));
                }
                _ => self.within(key, |merging| merging.replaced(default, node)),
            }
        }
    }

    /// Notes the keys of a file which none of `known` has, beside one that is known and nearly called so.
    fn unknown(&mut self, file: &Node, known: &[&Node]) {
        let Value::Map(entries) = &file.value else {
            return;
        };
        let names = known.iter().flat_map(|node| match &node.value {
            Value::Map(entries) => entries.iter(),
            _ => [].iter(),
        });
        let names = names.map(|entry| entry.key.as_str()).collect::<Vec<_>>();
        for entry in entries {
            let below = known.iter().filter_map(|node| node.get(&entry.key)).collect::<Vec<_>>();
            self.within(&entry.key, |merging| {
                if below.is_empty() {
                    let mut near = names.iter().filter(|name| is_near(name, &entry.key));
                    // Who has both means both.
                    if let Some(meant) = near.find(|name| file.get(name).is_none()) {
                        merging.remarks.push(Remark::Unknown {
                            field: merging.at.clone(),
                            by: entry.at.clone(),
                            meant: Some((*meant).to_owned()),
                        });
                    }
                } else {
                    merging.unknown(&entry.node, &below);
                }
            });
        }
    }
}

/// Whether two names differ as a slip of the hand makes them differ.
#[must_use]
pub fn is_near(name: &str, other: &str) -> bool {
    let most = match name.len().min(other.len()) {
        0..=3 => 0,
        4..=6 => 1,
        _ => 2,
    };
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
    strsim::osa_distance(&plain(name), &plain(other)) <= most
}

/// Whether two values are equal, wherever they are written and in whatever order their keys are.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Map(entries), Value::Map(others)) => {
            let has = |entry: &Entry| other.get(&entry.key).is_some_and(|value| same(&entry.node, value));
            entries.len() == others.len() && entries.iter().all(has)
        }
        (one, other) => one == other,
    }
}
