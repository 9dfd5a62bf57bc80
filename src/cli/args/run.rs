//! Options of what runs tests, the same on the host and in an image.

use std::num::NonZeroUsize;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};

use crate::event::Part;
use crate::quantity::{Limit, MemoryLimit};
use crate::reference::{EnvironmentName, TestKind};
use crate::suite::expression::Expression;
use crate::suite::options::RunOptions;
use crate::suite::selection::Selection;

/// Which tests to run.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectionArgs {
    /// Only the tests of this environment; may be given several times
    #[arg(long = "env", value_name = "NAME")]
    environments: Vec<EnvironmentName>,
    /// Only tests of this kind; may be given several times
    #[arg(long = "kind", value_name = "KIND", value_parser = kind())]
    kinds: Vec<TestKind>,
    /// Only tests that an expression names, e.g. `env(cal) and not kind(notebooks)`
    ///
    /// Predicates: `env(NAME)`, `kind(KIND)`, `test(TEXT)`, `all()`, `none()`; a text begins with `=` to be the whole, with `#` to be a
    /// pattern, or stands between slashes to be a regular expression. Operators: not, and, or, and brackets.
    #[arg(short = 'E', long = "filterset", value_name = "EXPRESSION")]
    expression: Option<Expression>,
    /// Only one of N parts that hold each test once, e.g. 1/4; the same parts on every machine
    #[arg(long, value_name = "I/N", value_parser = part, hide_short_help = true)]
    partition: Option<Part>,
}

/// How to run tests.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// How many tests run at a time
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// How much memory the tests that run at a time may be expected to take together, e.g. 8G or 80%
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    memory: Option<MemoryLimit>,
    /// Run also the tests of environments that passed before and that nothing has changed for
    #[arg(long, hide_short_help = true)]
    all_tests: bool,
    /// Begin no more tests once one has failed
    #[arg(long)]
    fail_fast: bool,
    /// Try a test that failed up to N times again; one that passes then is flaky. Wins over what environments say
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// Report tests that run longer, each time that this time has passed again [default: 60s]
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    slow: Option<Limit>,
    /// How long a cell may take: 90, 90s, 10m, 1h. What an environment or a notebook says of itself wins
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    cell_timeout: Option<Limit>,
    /// How long a notebook, import or script may take, likewise
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    notebook_timeout: Option<Limit>,
    /// How long the whole run may take
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    run_timeout: Option<Limit>,
    /// Start a kernel for each notebook, in place of forking one that has started already
    #[arg(long, hide_short_help = true)]
    cold: bool,
}

impl SelectionArgs {
    /// The one environment that is named, if any is.
    #[must_use]
    pub fn environment(&self) -> Option<&EnvironmentName> {
        self.environments.first()
    }

    /// The selection by these options and parts of IDs.
    #[must_use]
    pub fn selection(&self, filters: Vec<String>) -> Selection {
        Selection {
            filters,
            environments: self.environments.clone(),
            kinds: self.kinds.clone(),
            expression: self.expression.clone(),
            tests: None,
            part: self.partition,
        }
    }
}

impl RunArgs {
    /// Whether no test is carried from an earlier run.
    #[must_use]
    pub fn all_tests(&self) -> bool {
        self.all_tests
    }

    /// What these options say.
    #[must_use]
    pub fn options(&self) -> RunOptions {
        RunOptions {
            jobs: self.jobs,
            memory: self.memory,
            fail_fast: self.fail_fast,
            retries: self.retries,
            slow: self.slow,
            cell_timeout: self.cell_timeout,
            notebook_timeout: self.notebook_timeout,
            run_timeout: self.run_timeout,
            cold: self.cold,
        }
    }
}

/// The kinds of tests, by the words in their IDs.
fn kind() -> impl clap::builder::TypedValueParser<Value = TestKind> {
    let kinds = TestKind::ALL.map(|kind| PossibleValue::new(kind.word()).help(kind.about()));
    PossibleValuesParser::new(kinds).try_map(|word| word.parse::<TestKind>())
}

fn part(text: &str) -> Result<Part, String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|&number| number > 0);
    let part = text.split_once('/').and_then(|(index, of)| {
        Some(Part {
            index: number(index)?,
            of: number(of)?,
        })
    });
    part.filter(|part| part.index <= part.of)
        .ok_or_else(|| "expected I/N, such as 1/4 for the first of four parts".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_of_those_there_are() {
        assert_eq!(part("2/3"), Ok(Part { index: 2, of: 3 }));
        for text in ["", "1", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/2/3"] {
            assert!(part(text).is_err(), "{text:?} was accepted");
        }
    }
}
