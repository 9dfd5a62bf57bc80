//! `.dockerignore`, as Docker reads it: <https://docs.docker.com/build/concepts/context/#dockerignore-files> and the package
//! `patternmatcher` that its clients and BuildKit share. git's rules are others: here each pattern is relative to the root and
//! cleaned as a path, there are no alternatives in braces, and the last pattern that matches a path or a directory above it
//! decides.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use regex::Regex;

use super::ContextError;

/// The names of the file, the first of which counts that is there: one may belong to a Dockerfile alone.
const FILES: [&str; 3] = [
    "Dockerfile.custom.dockerignore",
    "Dockerfile.dockerignore",
    ".dockerignore",
];

/// What a context leaves out.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    expression: Regex,
    /// Whether what matches is brought back.
    exception: bool,
}

/// Which patterns match a directory, and whether they leave it out. What is below inherits it.
#[derive(Debug, Clone, Default)]
pub(super) struct Matched {
    by: Vec<bool>,
    pub(super) out: bool,
}

impl Ignore {
    /// Reads the file of the context at `root`, if there is one.
    pub(super) fn read(root: &Path) -> Result<Self, ContextError> {
        for name in FILES {
            let path = root.join(name);
            return match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => Err(ContextError { path, source }),
                Ok(bytes) => Self::parse(&String::from_utf8_lossy(&bytes)).map_err(|(line, pattern)| {
                    let message = format!("line {line}: Docker reads no pattern from `{pattern}`");
                    ContextError {
                        path,
                        source: io::Error::new(io::ErrorKind::InvalidData, message),
                    }
                }),
            };
        }
        Ok(Self::default())
    }

    /// The patterns of a file. The error is the line, counted from 1, and the pattern that is none.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut patterns = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, number) in text.lines().zip(1..) {
            let pattern = line.trim();
            if line.starts_with('#') || pattern.is_empty() {
                continue;
            }
            let refused = || (number, pattern.to_owned());
            let (exception, rest) = match pattern.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, pattern),
            };
            if rest.is_empty() {
                return Err(refused());
            }
            let cleaned = cleaned(rest);
            if !is_well_formed(&cleaned) {
                return Err(refused());
            }
            patterns.push(Pattern {
                expression: Regex::new(&expression(&cleaned)).map_err(|_| refused())?,
                exception,
            });
        }
        Ok(Self { patterns })
    }

    /// Whether anything is left out.
    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether something below a directory that is left out may be brought back.
    pub(super) fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.exception)
    }

    /// What the patterns say of the path, whose directory they said `parent` of.
    pub(super) fn of(&self, path: &Path, parent: &Matched) -> Matched {
        let parts = path.components().map(|part| part.as_os_str().to_string_lossy());
        let text = parts.collect::<Vec<_>>().join("/");
        let mut matched = Matched::default();
        for (index, pattern) in self.patterns.iter().enumerate() {
            let inherited = parent.by.get(index).copied().unwrap_or_default();
            // What is out needs no further pattern to leave it out, nor does what is in need one to bring it back.
            let asked = pattern.exception == matched.out;
            let by = inherited || asked && pattern.expression.is_match(&text);
            if by {
                matched.out = !pattern.exception;
            }
            matched.by.push(by);
        }
        matched
    }
}

/// The pattern as Go's `filepath.Clean` leaves it, without a slash at its beginning.
fn cleaned(pattern: &str) -> String {
    let mut parts = Vec::new();
    let rooted = pattern.starts_with('/');
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|&last| last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            other => parts.push(other),
        }
    }
    match (parts.is_empty(), rooted) {
        (true, true) => "/".to_owned(),
        (true, false) => ".".to_owned(),
        (false, _) => parts.join("/"),
    }
}

/// Whether Go's `filepath.Match` takes it for a pattern.
fn is_well_formed(pattern: &str) -> bool {
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.next().is_none() => return false,
            '[' => {
                if rest.peek() == Some(&'^') {
                    rest.next();
                }
                let mut ranges = 0;
                loop {
                    if ranges > 0 && rest.peek() == Some(&']') {
                        rest.next();
                        break;
                    }
                    if !takes_character(&mut rest) {
                        return false;
                    }
                    if rest.peek() == Some(&'-') {
                        rest.next();
                        if !takes_character(&mut rest) {
                            return false;
                        }
                    }
                    ranges += 1;
                }
            }
            _ => {}
        }
    }
    true
}

/// Takes one character of a class, escaped or not.
fn takes_character(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    match rest.next() {
        None | Some('-' | ']') => false,
        // A class that is not closed ends the pattern.
        Some('\\') => rest.next().is_some() && rest.peek().is_some(),
        Some(_) => rest.peek().is_some(),
    }
}

/// The regular expression that the pattern stands for, in the same steps as Docker makes it: its stars and question marks are
/// such in a class, too.
fn expression(pattern: &str) -> String {
    let is_plain = |text: &str| !text.contains(['*', '?', '[', ']', '\\']);
    let body = if is_plain(pattern) {
        regex::escape(pattern)
    } else if let Some(end) = pattern.strip_prefix("**").filter(|end| is_plain(end)) {
        match end.strip_prefix('/') {
            Some(name) => format!("(.*/)?{}", regex::escape(name)),
            None => format!(".*{}", regex::escape(end)),
        }
    } else if let Some(start) = pattern.strip_suffix("**").filter(|start| is_plain(start)) {
        format!("{}.*", regex::escape(start))
    } else {
        in_steps(pattern)
    };
    // A dot is any character, a line feed in a name too.
    format!("(?s)^{body}$")
}

fn in_steps(pattern: &str) -> String {
    let mut expression = String::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                expression.push_str(if rest.peek().is_none() { ".*" } else { "(.*/)?" });
            }
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '\\' => {
                expression.push('\\');
                expression.extend(rest.next());
            }
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => expression.extend(['\\', c]),
            other => expression.push(other),
        }
    }
    without_nesting(&expression)
}

/// The expression as Go reads it, for an engine to which an opening bracket in a class begins another class.
fn without_nesting(expression: &str) -> String {
    let mut text = String::new();
    let mut rest = expression.chars();
    let mut in_class = false;
    let mut first = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                text.push(c);
                text.extend(rest.next());
            }
            '[' if in_class => text.push_str("\\["),
            '[' => {
                in_class = true;
                first = true;
                text.push(c);
                continue;
            }
            ']' if in_class && !first => {
                in_class = false;
                text.push(c);
            }
            '^' if first => {
                text.push(c);
                continue;
            }
            '&' | '~' if in_class => text.extend(['\\', c]),
            other => text.push(other),
        }
        first = false;
    }
    text
}

/// The directory that holds a path.
pub(super) fn parent(path: &Path) -> PathBuf {
    let mut parts = path.components().collect::<Vec<Component<'_>>>();
    parts.pop();
    parts.into_iter().collect()
}

#[cfg(test)]
mod tests;
