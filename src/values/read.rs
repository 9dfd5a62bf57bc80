//! Reading: YAML to values with their places.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::scalar::resolved;
use super::{Entry, Node, Source, Style, Value, ValuesError};
use crate::fault::Place;

/// More values than any person writes; aliases of aliases can stand for more than memory holds.
const MOST_NODES: usize = 1_000_000;

/// Deeper than any person writes.
const DEEPEST: usize = 128;

/// Reads the text of a values file; `file` is what places name. A file that holds nothing holds an empty map.
///
/// Of several documents the first counts, as for Helm. Where a key comes twice the later one counts.
pub fn read(text: &str, file: &Arc<Path>) -> Result<Node, ValuesError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reading = Reading {
        file,
        text,
        offsets: offsets(text),
        open: Vec::new(),
        anchors: BTreeMap::new(),
        nodes: 0,
        root: None,
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| ValuesError::Malformed {
            place: Place::of(file, Some(error.marker().line())),
            reason: error.info().to_owned(),
        })?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        reading.take(event, span)?;
    }
    let root = reading.root.take();
    match root.unwrap_or_else(|| reading.node(Value::Map(Vec::new()), Style::Plain, Span::default())) {
        Node {
            value: Value::Null,
            source,
        } => Ok(Node {
            value: Value::Map(Vec::new()),
            source,
        }),
        node if node.value.is_map() => Ok(node),
        node => Err(ValuesError::NoMap {
            place: node.source.place(),
        }),
    }
}

/// The first byte of each character, where that differs from its number.
fn offsets(text: &str) -> Option<Vec<usize>> {
    let ends = std::iter::once(text.len());
    (!text.is_ascii()).then(|| text.char_indices().map(|(offset, _)| offset).chain(ends).collect())
}

struct Reading<'a> {
    file: &'a Arc<Path>,
    text: &'a str,
    offsets: Option<Vec<usize>>,
    /// The lists and maps that the parser is within.
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

/// A list or a map that has not ended.
struct Open {
    anchor: usize,
    span: Span,
    held: Held,
}

enum Held {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// The key whose value comes next.
        key: Option<Key>,
    },
}

/// What comes before a value of a map.
enum Key {
    /// Its name, and where that is written.
    Name(String, Source),
    /// `<<`, whose value is merged into the map.
    Merge,
}

impl Reading<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), ValuesError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let is_text = match &tag {
                    Some(tag) => !tag.is_yaml_core_schema() || tag.suffix == "str",
                    None => style != Style::Plain,
                };
                if self.is_key() && !is_text && text == "<<" {
                    self.key(Key::Merge);
                    return Ok(());
                }
                let value = if is_text {
                    Value::Text(text.into_owned())
                } else {
                    resolved(&text)
                };
                let mut node = self.node(value, style, span);
                let (from, to) = node.source.span;
                let written = &self.text[from..to];
                let from = if anchor != 0 || tag.is_some() {
                    from + properties(written)
                } else {
                    from
                };
                node.source.span = (from, from + extent(&self.text[from..to], style));
                self.finish(anchor, node)
            }
            Event::SequenceStart(anchor, _) => self.enter(anchor, span, Held::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                let (entries, key) = (Vec::new(), None);
                self.enter(anchor, span, Held::Map { entries, key })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { anchor, span, held }) = self.open.pop() else {
                    return Ok(());
                };
                let value = match held {
                    Held::List(nodes) => Value::List(nodes),
                    Held::Map { entries, .. } => Value::Map(entries),
                };
                let node = self.node(value, Style::Plain, span);
                self.finish(anchor, node)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| self.malformed(span, "an alias within what it stands for"))?;
                self.nodes += size(&node);
                self.finish(0, node)
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self, anchor: usize, span: Span, held: Held) -> Result<(), ValuesError> {
        if self.open.len() >= DEEPEST {
            return Err(self.malformed(span, "values are nested too deep"));
        }
        self.open.push(Open { anchor, span, held });
        Ok(())
    }

    /// Whether what comes next is a key of a map.
    fn is_key(&self) -> bool {
        matches!(
            self.open.last().map(|open| &open.held),
            Some(Held::Map { key: None, .. })
        )
    }

    fn key(&mut self, name: Key) {
        if let Some(Held::Map { key, .. }) = self.open.last_mut().map(|open| &mut open.held) {
            *key = Some(name);
        }
    }

    /// Puts a whole value where it belongs.
    fn finish(&mut self, anchor: usize, mut node: Node) -> Result<(), ValuesError> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(ValuesError::Malformed {
                place: node.source.place(),
                reason: format!("its aliases stand for more than {MOST_NODES} values"),
            });
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        if self.is_key() {
            let name = name(&node).ok_or_else(|| ValuesError::Malformed {
                place: node.source.place(),
                reason: "a key of a map is text".to_owned(),
            })?;
            self.key(Key::Name(name, node.source));
            return Ok(());
        }
        match self.open.last_mut().map(|open| &mut open.held) {
            None => self.root = Some(node),
            Some(Held::List(nodes)) => nodes.push(node),
            Some(Held::Map { entries, key }) => match key.take() {
                Some(Key::Name(key, at)) => {
                    let end = at.span.1;
                    let (from, to) = node.source.span;
                    if from == to && node.value == Value::Null {
                        // Nothing stands behind the colon.
                        let colon = self.text[end..].find(':').map_or(end, |at| end + at + 1);
                        node.source.span = (colon, colon);
                    }
                    put(entries, Entry { key, at, node });
                }
                Some(Key::Merge) => merge(entries, node)?,
                None => {}
            },
        }
        Ok(())
    }

    fn node(&self, value: Value, style: Style, span: Span) -> Node {
        let offset = |index: usize| self.offsets.as_ref().map_or(index, |offsets| offsets[index]);
        Node {
            value,
            source: Source {
                file: Arc::clone(self.file),
                line: span.start.line().max(1),
                span: (offset(span.start.index()), offset(span.end.index())),
                style,
            },
        }
    }

    fn malformed(&self, span: Span, reason: &str) -> ValuesError {
        ValuesError::Malformed {
            place: Place::of(self.file, Some(span.start.line())),
            reason: reason.to_owned(),
        }
    }
}

impl Source {
    /// The place for people.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::of(&self.file, Some(self.line))
    }
}

/// How many bytes the anchor and the tag take with which the text of a scalar begins.
fn properties(text: &str) -> usize {
    let mut rest = text;
    while rest.starts_with(['&', '!']) {
        rest = rest
            .find(char::is_whitespace)
            .map_or("", |end| rest[end..].trim_start());
    }
    text.len() - rest.len()
}

/// How many bytes the text of a scalar takes at the beginning of `text`, which may reach further: to a comment behind it.
fn extent(text: &str, style: Style) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    match style {
        Style::Plain | Style::Block => return text.trim_end().len(),
        Style::Double => {
            while at < bytes.len() && bytes[at] != b'"' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
        }
        Style::Single => {
            while at < bytes.len() && (bytes[at] != b'\'' || bytes.get(at + 1) == Some(&b'\'')) {
                at += if bytes[at] == b'\'' { 2 } else { 1 };
            }
        }
    }
    (at + 1).min(bytes.len())
}

/// The key that a value is, as the JSON that Helm makes of it first.
fn name(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

fn put(entries: &mut Vec<Entry>, entry: Entry) {
    match entries.iter_mut().find(|held| held.key == entry.key) {
        Some(held) => *held = entry,
        None => entries.push(entry),
    }
}

fn put_all(entries: &mut Vec<Entry>, merged: Vec<Entry>) {
    for entry in merged {
        put(entries, entry);
    }
}

/// Puts what a `<<` names into a map: of a list of maps the first one that has a key counts.
fn merge(entries: &mut Vec<Entry>, node: Node) -> Result<(), ValuesError> {
    let place = node.source.place();
    let refused = || ValuesError::Malformed {
        place: place.clone(),
        reason: "`<<` merges maps".to_owned(),
    };
    match node.value {
        Value::Map(merged) => put_all(entries, merged),
        Value::List(maps) => {
            for map in maps.into_iter().rev() {
                let Value::Map(merged) = map.value else {
                    return Err(refused());
                };
                put_all(entries, merged);
            }
        }
        _ => return Err(refused()),
    }
    Ok(())
}

/// How many values a value is, itself included.
fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(nodes) => 1 + nodes.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
        _ => 1,
    }
}
