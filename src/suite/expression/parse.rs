//! The grammar of expressions.

use globset::Glob;
use regex::Regex;

use super::{Matcher, Node, On};

/// Deeper than any person writes.
const DEEPEST: usize = 100;

/// A text that is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {at}: {reason}")]
pub struct ExpressionError {
    /// The character at fault, counted from 1.
    pub at: usize,
    /// What is wrong there.
    pub reason: String,
}

pub(super) fn parse(text: &str) -> Result<Node, ExpressionError> {
    let characters = text.chars().collect::<Vec<_>>();
    let mut parser = Parser {
        characters: &characters,
        at: 0,
        depth: 0,
    };
    let root = parser.either()?;
    parser.blanks();
    if parser.at < characters.len() {
        return parser.fails("expected `and`, `or` or the end");
    }
    Ok(root)
}

struct Parser<'a> {
    characters: &'a [char],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    /// Alternatives.
    fn either(&mut self) -> Result<Node, ExpressionError> {
        let mut node = self.both()?;
        while self.word("or") || self.sign('|') || self.sign('+') {
            node = Node::Or(Box::new(node), Box::new(self.both()?));
        }
        Ok(node)
    }

    /// What must hold together.
    fn both(&mut self) -> Result<Node, ExpressionError> {
        let mut node = self.single()?;
        loop {
            if self.word("and") || self.sign('&') {
                node = Node::And(Box::new(node), Box::new(self.single()?));
            } else if self.sign('-') {
                node = Node::And(Box::new(node), Box::new(Node::Not(Box::new(self.single()?))));
            } else {
                return Ok(node);
            }
        }
    }

    fn single(&mut self) -> Result<Node, ExpressionError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.fails("it is nested too deep");
        }
        let node = if self.word("not") || self.sign('!') {
            Node::Not(Box::new(self.single()?))
        } else if self.sign('(') {
            let inner = self.either()?;
            self.closes()?;
            inner
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn predicate(&mut self) -> Result<Node, ExpressionError> {
        self.blanks();
        let start = self.at;
        let name = self.name();
        if name.is_empty() {
            return self.fails("expected a predicate such as env(cal)");
        }
        let known = ["env", "kind", "test", "all", "none"];
        if !known.contains(&name.as_str()) {
            self.at = start;
            return self.fails(format!("`{name}` is no predicate; there are {}", known.join(", ")));
        }
        if !self.sign('(') {
            return self.fails("expected `(`");
        }
        if name == "all" || name == "none" {
            self.closes()?;
            return Ok(if name == "all" { Node::All } else { Node::None });
        }
        self.blanks();
        let place = self.at;
        let text = self.argument();
        if text.is_empty() {
            return self.fails("expected a text");
        }
        self.closes()?;
        let failed = |reason: String| ExpressionError { at: place + 1, reason };
        let on = match name.as_str() {
            "env" => On::Environment(matcher(&text, Matcher::Is).map_err(failed)?),
            "kind" => On::Kind(text.parse().map_err(|_| {
                failed(format!(
                    "`{text}` is no kind of test: expected imports, notebooks, test or server"
                ))
            })?),
            _ => On::Test(matcher(&text, Matcher::Holds).map_err(failed)?),
        };
        Ok(Node::Predicate {
            text: format!("{name}({text})"),
            on,
        })
    }

    /// The text up to the closing bracket; a backslash takes the next character as it is, and a regular expression goes up to
    /// its slash.
    fn argument(&mut self) -> String {
        let mut text = String::new();
        let regular = self.characters.get(self.at) == Some(&'/');
        while let Some(&character) = self.characters.get(self.at) {
            match character {
                '/' if regular && text.len() > 1 => {
                    self.at += 1;
                    text.push('/');
                    break;
                }
                ')' if !regular => break,
                '\\' if !regular => {
                    self.at += 1;
                    text.extend(self.characters.get(self.at));
                }
                _ => text.push(character),
            }
            self.at += 1;
        }
        text.trim().to_owned()
    }

    fn name(&mut self) -> String {
        let name = self.characters[self.at..]
            .iter()
            .take_while(|character| character.is_ascii_alphabetic());
        let name = name.collect::<String>();
        self.at += name.len();
        name
    }

    /// Whether a word of the grammar comes next, which is then passed.
    fn word(&mut self, word: &str) -> bool {
        self.blanks();
        let before = self.at;
        if self.name() == word {
            return true;
        }
        self.at = before;
        false
    }

    fn sign(&mut self, sign: char) -> bool {
        self.blanks();
        let found = self.characters.get(self.at) == Some(&sign);
        self.at += usize::from(found);
        found
    }

    fn closes(&mut self) -> Result<(), ExpressionError> {
        if self.sign(')') {
            return Ok(());
        }
        self.fails("expected `)`")
    }

    fn blanks(&mut self) {
        while self
            .characters
            .get(self.at)
            .is_some_and(|character| character.is_whitespace())
        {
            self.at += 1;
        }
    }

    fn fails<T>(&self, reason: impl Into<String>) -> Result<T, ExpressionError> {
        Err(ExpressionError {
            at: self.at + 1,
            reason: reason.into(),
        })
    }
}

/// How a text asks to be compared: `=x`, `~x`, `#pattern`, `/regular expression/`, else as the predicate does by itself.
fn matcher(text: &str, by_itself: impl Fn(String) -> Matcher) -> Result<Matcher, String> {
    if let Some(text) = text.strip_prefix('=') {
        return Ok(Matcher::Is(text.to_owned()));
    }
    if let Some(text) = text.strip_prefix('~') {
        return Ok(Matcher::Holds(text.to_owned()));
    }
    if let Some(pattern) = text.strip_prefix('#') {
        let glob = Glob::new(pattern).map_err(|error| error.kind().to_string())?;
        return Ok(Matcher::Pattern(glob.compile_matcher()));
    }
    if let Some(regex) = text.strip_prefix('/').and_then(|text| text.strip_suffix('/')) {
        let regex = Regex::new(regex).map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        })?;
        return Ok(Matcher::Regular(regex));
    }
    Ok(by_itself(text.to_owned()))
}
