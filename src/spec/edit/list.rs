//! Edits of lists with one requirement on each line.

use std::path::Path;

use super::{Edited, Listed, SpecError, refused};
use crate::spec::env::{SpecKind, pip};

/// Replaces what is listed by `requirement`, or lists that last.
pub(super) fn put(text: &str, path: &Path, known: Option<&Listed>, requirement: &str) -> Result<Edited, SpecError> {
    let end = line_end(text);
    let Some(known) = known else {
        let mut text = text.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push_str(end);
        }
        text.push_str(requirement);
        text.push_str(end);
        return Ok(Edited {
            line: text.lines().count(),
            text,
            before: None,
            after: Some(requirement.to_owned()),
        });
    };
    let (first, last) = lines_of(text, path, known)?;
    let lines = text.split_inclusive('\n').collect::<Vec<_>>();
    let whole = lines[last].trim_end_matches(['\n', '\r']);
    let comment = comment(whole, path).map_or("", |at| {
        let before = whole[..at].trim_end();
        &whole[before.len()..]
    });
    let ending = &lines[last][whole.len()..];
    let mut edited = lines[..first].concat();
    edited.push_str(requirement);
    edited.push_str(comment);
    edited.push_str(ending);
    edited.push_str(&lines[last + 1..].concat());
    Ok(Edited {
        text: edited,
        line: first + 1,
        before: Some(known.text.clone()),
        after: Some(requirement.to_owned()),
    })
}

/// Takes the line out.
pub(super) fn take_out(text: &str, path: &Path, known: &Listed) -> Result<Edited, SpecError> {
    let (first, last) = lines_of(text, path, known)?;
    let lines = text.split_inclusive('\n').collect::<Vec<_>>();
    Ok(Edited {
        text: lines[..first].concat() + &lines[last + 1..].concat(),
        line: first + 1,
        before: Some(known.text.clone()),
        after: None,
    })
}

/// The first and the last line of what is listed, counted from 0: in a list for pip a backslash continues a line.
fn lines_of(text: &str, path: &Path, known: &Listed) -> Result<(usize, usize), SpecError> {
    let Some(line) = known.line else {
        let reason = format!("the line of {} is not known", known.text);
        return Err(refused(path, None, reason));
    };
    let (first, mut last) = (line - 1, line - 1);
    if SpecKind::of(path) != Some(SpecKind::Conda) {
        let continued = text.lines().skip(first).take_while(|line| pip::continues(line));
        last += continued.count();
    }
    Ok((first, last.min(text.lines().count() - 1)))
}

fn comment(line: &str, path: &Path) -> Option<usize> {
    match SpecKind::of(path) {
        Some(SpecKind::Conda) => line.find('#'),
        _ => pip::comment(line),
    }
}

fn line_end(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}
