//! Expressions over tests, as nextest's filtersets are written: `env(cal) and not kind(notebooks)`.
//!
//! | predicate | names the tests |
//! |---|---|
//! | `env(cal)`, `env(#ca*)` | of this environment, or of those that a pattern matches |
//! | `kind(imports)` | of this kind: `imports`, `notebooks`, `test`, `server` |
//! | `test(numpy)`, `test(=cal::test)`, `test(#*.ipynb)`, `test(/^cal::/)` | whose ID holds the text, is it, matches the pattern, or the regular expression |
//! | `all()`, `none()` | |
//!
//! `not`, `!`; `and`, `&`; `or`, `|`, `+`; `-` (and not); and brackets. `and` binds closer than `or`.

mod parse;

use std::fmt;
use std::str::FromStr;

use globset::GlobMatcher;
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::reference::{TestId, TestKind};

pub use self::parse::ExpressionError;

/// An expression that names tests by their IDs alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression {
    text: String,
    root: Box<Node>,
}

/// What an expression is made of.
#[derive(Debug, Clone)]
enum Node {
    All,
    None,
    Predicate { text: String, on: On },
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
}

/// What a predicate looks at.
#[derive(Debug, Clone)]
enum On {
    Environment(Matcher),
    Kind(TestKind),
    Test(Matcher),
}

/// How a text is compared.
#[derive(Debug, Clone)]
enum Matcher {
    Is(String),
    Holds(String),
    Pattern(GlobMatcher),
    Regular(Regex),
}

impl Expression {
    /// Whether the expression names the test.
    #[must_use]
    pub fn names(&self, id: &TestId) -> bool {
        self.root.names(id)
    }

    /// The predicates that name none of `ids`: misspelt, most likely.
    #[must_use]
    pub fn idle(&self, ids: &[&TestId]) -> Vec<&str> {
        let mut idle = Vec::new();
        self.root.each(&mut |text, on| {
            if !ids.iter().any(|id| on.names(id)) {
                idle.push(text);
            }
        });
        idle
    }
}

impl Node {
    fn names(&self, id: &TestId) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Predicate { on, .. } => on.names(id),
            Self::Not(inner) => !inner.names(id),
            Self::And(one, other) => one.names(id) && other.names(id),
            Self::Or(one, other) => one.names(id) || other.names(id),
        }
    }

    fn each<'a>(&'a self, take: &mut impl FnMut(&'a str, &'a On)) {
        match self {
            Self::All | Self::None => {}
            Self::Predicate { text, on } => take(text, on),
            Self::Not(inner) => inner.each(take),
            Self::And(one, other) | Self::Or(one, other) => {
                one.each(take);
                other.each(take);
            }
        }
    }
}

impl On {
    fn names(&self, id: &TestId) -> bool {
        match self {
            Self::Environment(matcher) => matcher.matches(&id.owner),
            Self::Kind(kind) => id.kind == *kind,
            Self::Test(matcher) => matcher.matches(&id.to_string()),
        }
    }
}

impl Matcher {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Is(wanted) => text == wanted,
            Self::Holds(wanted) => text.contains(wanted),
            Self::Pattern(pattern) => pattern.is_match(text),
            Self::Regular(regex) => regex.is_match(text),
        }
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self {
            text: text.to_owned(),
            root: Box::new(parse::parse(text)?),
        })
    }
}

impl TryFrom<String> for Expression {
    type Error = ExpressionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.text
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 6] = [
        "cal::imports::numpy",
        "cal::notebooks::intro.ipynb",
        "cal::test",
        "sky::imports::numpy",
        "sky::notebooks::a (b).ipynb",
        "roman::server::lab",
    ];

    fn ids() -> Vec<TestId> {
        IDS.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn named(expression: &str) -> Vec<String> {
        let expression = expression.parse::<Expression>().unwrap();
        let ids = ids();
        let named = ids.iter().filter(|id| expression.names(id));
        named.map(ToString::to_string).collect()
    }

    #[test]
    fn an_expression_names_what_it_says() {
        let some = |numbers: &[usize]| numbers.iter().map(|&number| IDS[number].to_owned()).collect::<Vec<_>>();
        for (expression, expected) in [
            ("env(cal) and not kind(notebooks)", some(&[0, 2])),
            ("env(cal) & !kind(notebooks)", some(&[0, 2])),
            ("env(cal) - kind(notebooks)", some(&[0, 2])),
            ("env(sky) or env(cal) and kind(test)", some(&[2, 3, 4])),
            ("(env(sky) | env(cal)) and kind(imports)", some(&[0, 3])),
            ("kind(test) + kind(server)", some(&[2, 5])),
            ("env(#*l)", some(&[0, 1, 2])),
            ("test(numpy)", some(&[0, 3])),
            ("test(=cal::test)", some(&[2])),
            ("test(#*.ipynb)", some(&[1, 4])),
            ("test(/^(cal|sky)::imports/)", some(&[0, 3])),
            ("test(a \\(b\\))", some(&[4])),
            ("not all()", some(&[])),
            ("none() or  kind( server )", some(&[5])),
            ("not not env(roman)", some(&[5])),
        ] {
            assert_eq!(named(expression), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_told_by_its_place() {
        for (expression, said) in [
            ("", "at 1: expected a predicate such as env(cal)"),
            ("env(cal", "at 8: expected `)`"),
            ("env(cal) kind(test)", "at 10: expected `and`, `or` or the end"),
            ("env()", "at 5: expected a text"),
            ("envs(cal)", "at 1: `envs` is no predicate"),
            ("kind(notebook)", "at 6: `notebook` is no kind of test"),
            ("(env(cal)", "at 10: expected `)`"),
            ("env(cal) and", "at 13: expected a predicate"),
            ("test(/(/)", "at 6: "),
            ("all(x)", "at 5: expected `)`"),
        ] {
            let error = expression.parse::<Expression>().unwrap_err().to_string();
            assert!(error.starts_with(said), "{expression}: {error}");
        }
        let deep = format!("{}all(){}", "(".repeat(5000), ")".repeat(5000));
        assert!(deep.parse::<Expression>().unwrap_err().to_string().contains("nested"));
    }

    #[test]
    fn a_predicate_that_names_no_test_is_told() {
        let ids = ids();
        let ids = ids.iter().collect::<Vec<_>>();
        let expression = "env(cal) and not (env(cat) or test(nunpy))"
            .parse::<Expression>()
            .unwrap();
        assert_eq!(expression.idle(&ids), ["env(cat)", "test(nunpy)"]);
    }
}
