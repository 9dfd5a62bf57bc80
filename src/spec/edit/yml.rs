//! Edits of an `environment.yml`: items of `dependencies` and of its `pip` list, as blocks and in brackets.

use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{Edited, Listed, PackageKind, SpecError, refused};
use crate::spec::env::yml::without_stray_tabs;

/// A list of the document.
#[derive(Debug, Default)]
struct Listing {
    /// Whether it is in brackets.
    flow: bool,
    /// Where it begins.
    start: (usize, usize),
    items: Vec<Item>,
}

/// An item: its text where it is one, and its place by lines and columns, counted from 0.
#[derive(Debug)]
struct Item {
    text: Option<String>,
    line: usize,
    from: usize,
    to: usize,
}

type Events<'a> = [(Event<'a>, Span)];

/// Replaces what is listed by `requirement`, or adds that as the last item.
pub(super) fn put(
    text: &str,
    path: &Path,
    kind: PackageKind,
    known: Option<&Listed>,
    requirement: &str,
) -> Result<Edited, SpecError> {
    let Some(items) = items(text, path, kind)? else {
        let reason = format!("it has no list of {kind} packages to edit");
        return Err(refused(path, None, reason));
    };
    let mut lines = lines(text);
    let new = quoted(requirement, items.flow);
    let edited = |text: String, line: usize| Edited {
        text,
        line: line + 1,
        before: known.map(|known| known.text.clone()),
        after: Some(requirement.to_owned()),
    };
    if let Some(known) = known {
        let item = find(&items, path, known)?;
        replace(&mut lines[item.line], item.from, item.to, &new);
        return Ok(edited(lines.concat(), item.line));
    }
    let last = items.items.iter().rfind(|item| item.text.is_some());
    match (items.flow, last) {
        (true, Some(last)) => {
            replace(&mut lines[last.line], last.to, last.to, &format!(", {new}"));
            Ok(edited(lines.concat(), last.line))
        }
        (true, None) => {
            let (line, column) = items.start;
            let separator = if items.items.is_empty() { "" } else { ", " };
            replace(&mut lines[line], column + 1, column + 1, &format!("{new}{separator}"));
            Ok(edited(lines.concat(), line))
        }
        (false, _) => {
            let Some(beside) = last.or(items.items.first()) else {
                return Err(refused(path, None, "the list to edit holds no item".to_owned()));
            };
            let before = chars(&lines[beside.line], 0, beside.from);
            let at = beside.line + usize::from(last.is_some());
            let ending = if lines[beside.line].ends_with("\r\n") {
                "\r\n"
            } else {
                "\n"
            };
            if at > 0 && !lines[at - 1].ends_with('\n') {
                lines[at - 1].push_str(ending);
            }
            let dash = before.find('-').unwrap_or_default();
            lines.insert(at, format!("{}- {new}{ending}", &before[..dash]));
            Ok(edited(lines.concat(), at))
        }
    }
}

/// Takes the item out.
pub(super) fn take_out(text: &str, path: &Path, kind: PackageKind, known: &Listed) -> Result<Edited, SpecError> {
    let items = items(text, path, kind)?.unwrap_or_default();
    let item = find(&items, path, known)?;
    let mut lines = lines(text);
    if items.flow {
        let line = lines[item.line].clone();
        let (before, after) = (chars(&line, 0, item.from), chars(&line, item.to, usize::MAX));
        let (from, rest) = match (
            after.trim_start().strip_prefix(','),
            before.trim_end().strip_suffix(','),
        ) {
            (Some(rest), _) => (before.as_str(), rest.trim_start_matches(' ')),
            (None, Some(before)) => (before, after.as_str()),
            (None, None) => (before.as_str(), after.as_str()),
        };
        lines[item.line] = format!("{from}{rest}");
    } else {
        lines.remove(item.line);
    }
    Ok(Edited {
        text: lines.concat(),
        line: item.line + 1,
        before: Some(known.text.clone()),
        after: None,
    })
}

/// The item that lists it. A block's item must have its line for itself.
fn find<'a>(items: &'a Listing, path: &Path, known: &Listed) -> Result<&'a Item, SpecError> {
    let mut same = items
        .items
        .iter()
        .filter(|item| item.text.as_deref().map(str::trim) == Some(known.text.as_str()));
    same.next().ok_or_else(|| {
        let reason = format!(
            "`{}` is not written there by itself, but reached by an alias",
            known.text
        );
        refused(path, known.line, reason)
    })
}

/// The list of this kind of packages.
fn items(text: &str, path: &Path, kind: PackageKind) -> Result<Option<Listing>, SpecError> {
    let text = without_stray_tabs(text);
    let mut events = Vec::new();
    let mut parser = Parser::new_from_str(&text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| SpecError::Malformed {
            path: path.to_owned(),
            line: Some(error.marker().line()),
            message: error.info().to_owned(),
        })?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        events.push((event, span));
    }
    let written = text.lines().collect::<Vec<_>>();
    let root = events
        .iter()
        .position(|(event, _)| matches!(event, Event::MappingStart(..)));
    let Some(dependencies) = root.and_then(|root| value(&events, root, "dependencies")) else {
        return Ok(None);
    };
    if !matches!(events[dependencies].0, Event::SequenceStart(..)) {
        return Ok(None);
    }
    let found = list(&events, dependencies, &written);
    if kind == PackageKind::Conda {
        return Ok(Some(found));
    }
    let mut at = dependencies + 1;
    while !matches!(events[at].0, Event::SequenceEnd) {
        if matches!(events[at].0, Event::MappingStart(..))
            && let Some(pip) = value(&events, at, "pip")
            && matches!(events[pip].0, Event::SequenceStart(..))
        {
            return Ok(Some(list(&events, pip, &written)));
        }
        at = behind(&events, at);
    }
    Ok(None)
}

/// Where the value of a key of the map at `map` begins.
fn value(events: &Events<'_>, map: usize, key: &str) -> Option<usize> {
    let mut at = map + 1;
    while !matches!(events.get(at)?.0, Event::MappingEnd) {
        let found = matches!(&events[at].0, Event::Scalar(text, ..) if text == key);
        let value = behind(events, at);
        if found {
            return Some(value);
        }
        at = behind(events, value);
    }
    None
}

/// What follows the node at `at`.
fn behind(events: &Events<'_>, mut at: usize) -> usize {
    let mut depth = 0_usize;
    loop {
        match events.get(at).map(|(event, _)| event) {
            Some(Event::SequenceStart(..) | Event::MappingStart(..)) => depth += 1,
            Some(Event::SequenceEnd | Event::MappingEnd) => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 || at >= events.len() {
            return at.min(events.len() - 1);
        }
    }
}

fn list(events: &Events<'_>, start: usize, lines: &[&str]) -> Listing {
    let (line, column) = place(&events[start].1);
    let mut items = Listing {
        flow: lines.get(line).and_then(|line| line.chars().nth(column)) == Some('['),
        start: (line, column),
        items: Vec::new(),
    };
    let mut at = start + 1;
    while !matches!(events[at].0, Event::SequenceEnd) {
        let (event, span) = &events[at];
        let (line, from) = place(span);
        let item = match event {
            Event::Scalar(text, style, ..) => {
                let end = span.end.line() - 1;
                let written = lines
                    .get(line)
                    .map(|line| chars(line, from, usize::MAX))
                    .unwrap_or_default();
                let to = from + extent(&written, text, *style);
                // What goes over several lines is left alone.
                let whole = *style == ScalarStyle::Plain && !text.contains('\n') || end == line;
                (whole && !text.is_empty()).then(|| Item {
                    text: Some(text.to_string()),
                    line,
                    from,
                    to,
                })
            }
            _ => Some(Item {
                text: None,
                line,
                from,
                to: from,
            }),
        };
        items.items.extend(item);
        at = behind(events, at);
    }
    items
}

/// How many characters of `written`, which begins with it, a scalar takes with its quotes.
fn extent(written: &str, text: &str, style: ScalarStyle) -> usize {
    let quote = match style {
        ScalarStyle::SingleQuoted => '\'',
        ScalarStyle::DoubleQuoted => '"',
        _ => return text.chars().count(),
    };
    let mut characters = written.chars().enumerate().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' && quote == '"' {
            characters.next();
        } else if character == quote {
            match characters.peek() {
                Some((_, next)) if quote == '\'' && *next == quote => characters.next(),
                _ => return at + 1,
            };
        }
    }
    written.chars().count()
}

fn place(span: &Span) -> (usize, usize) {
    (span.start.line() - 1, span.start.col())
}

/// The lines with their ends.
fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}

/// The characters of a line from the one to before the other.
fn chars(line: &str, from: usize, to: usize) -> String {
    line.chars().skip(from).take(to.saturating_sub(from)).collect()
}

fn replace(line: &mut String, from: usize, to: usize, new: &str) {
    *line = chars(line, 0, from) + new + &chars(line, to, usize::MAX);
}

/// The requirement as YAML reads it back as text.
fn quoted(requirement: &str, flow: bool) -> String {
    let special = |character: char| "#:{}&*!|%@`\"'".contains(character) || flow && ",[]".contains(character);
    let plain = !requirement.contains(special) && requirement.starts_with(|first: char| first.is_ascii_alphabetic());
    if plain {
        requirement.to_owned()
    } else {
        serde_json::Value::from(requirement).to_string()
    }
}
