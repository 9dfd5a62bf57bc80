//! The tests of an image as data: what there is to run, found in files or given by arguments.
//!
//! Carrying it out is the [`runner`]'s. Whatever a list names becomes a test of the plan, one that cannot run too: it
//! fails with its reason, and is never left out in silence.

pub mod definitions;
pub mod discover;
pub mod expression;
pub mod listing;
pub mod notebook;
pub mod options;
pub mod outputs;
pub mod pattern;
pub mod request;
pub mod runner;
pub mod selection;
pub mod settings;
pub mod untouched;
pub mod widgets;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use self::selection::Selection;
use self::settings::Settings;
use crate::event::Cause;
use crate::reference::{EnvironmentName, TestId};

/// The tests to run, in order, each ID once, and what their environments say of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TestPlan {
    tests: Vec<Test>,
    settings: BTreeMap<EnvironmentName, Settings>,
}

/// One test.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// The environment that it runs in.
    pub environment: EnvironmentName,
    /// What is tested.
    pub subject: Subject,
    /// Whether it runs, and how.
    pub mode: Mode,
}

/// What a test tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A module that is imported.
    Import {
        /// The module, e.g. `numpy.linalg`.
        module: String,
    },
    /// A notebook that is executed on the environment's kernel.
    Notebook {
        /// Its name: the path relative to the tests' directory, or the whole path.
        name: String,
        /// The file.
        path: PathBuf,
        /// The directory that is copied with it; the notebook is somewhere below.
        root: PathBuf,
    },
    /// An executable that must exit with 0.
    Script {
        /// The file.
        path: PathBuf,
    },
}

/// Whether a test runs, and how.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// Beside others.
    Parallel,
    /// While no other test of the run does.
    Alone,
    /// Not, on request.
    Skipped {
        /// Who asked for it.
        reason: String,
    },
    /// Not, because it cannot: it fails.
    Broken(Cause),
}

impl Test {
    /// The test's ID.
    #[must_use]
    pub fn id(&self) -> TestId {
        let environment = self.environment.as_str();
        match &self.subject {
            Subject::Import { module } => TestId::import(environment, module),
            Subject::Notebook { name, .. } => TestId::notebook(environment, name),
            Subject::Script { .. } => TestId::script(environment),
        }
    }
}

impl TestPlan {
    /// The plan of these tests. Of several with one ID the first is kept.
    #[must_use]
    pub fn new(tests: impl IntoIterator<Item = Test>) -> Self {
        let mut seen = HashSet::new();
        let tests = tests.into_iter().filter(|test| seen.insert(test.id())).collect();
        Self {
            tests,
            settings: BTreeMap::new(),
        }
    }

    /// The same tests, with what their environments say of them.
    #[must_use]
    pub fn with_settings(mut self, settings: BTreeMap<EnvironmentName, Settings>) -> Self {
        self.settings = settings;
        self
    }

    /// What an environment says of its tests, where it says anything.
    #[must_use]
    pub fn settings(&self, environment: &EnvironmentName) -> Option<&Settings> {
        self.settings.get(environment)
    }

    /// The imports of `modules` in `environment`.
    #[must_use]
    pub fn imports(environment: &EnvironmentName, modules: &[String]) -> Self {
        Self::new(modules.iter().map(|module| Test {
            environment: environment.clone(),
            subject: Subject::Import { module: module.clone() },
            mode: Mode::Parallel,
        }))
    }

    /// The notebooks that `arguments` name: paths or patterns relative to `directory`, with `!` before one that runs
    /// alone and `#` before one that is skipped.
    #[must_use]
    pub fn notebooks(environment: &EnvironmentName, arguments: &[String], directory: &Path) -> Self {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let entries = arguments.iter().map(|argument| listing::argument(argument)).collect();
        let mut tests = discover::listed_notebooks(environment, &directory, entries);
        for test in &mut tests {
            // Where the arguments were given says nothing of what belongs together.
            if let Subject::Notebook { path, root, .. } = &mut test.subject {
                *root = path.parent().unwrap_or(root).to_owned();
            }
        }
        Self::new(tests)
    }

    /// The tests, in order.
    #[must_use]
    pub fn tests(&self) -> &[Test] {
        &self.tests
    }

    /// The IDs of all tests, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<TestId> {
        self.tests.iter().map(Test::id).collect()
    }

    /// Whether all notebooks that the tests name lie below `directory`, so that nothing elsewhere makes a test of one, or
    /// none.
    #[must_use]
    pub fn stays_inside(&self, directory: &Path) -> bool {
        self.tests.iter().all(|test| match &test.subject {
            Subject::Notebook { path, .. } | Subject::Script { path } => path.starts_with(directory),
            Subject::Import { .. } => true,
        })
    }

    /// The tests of one environment.
    #[must_use]
    pub fn of_environment(&self, name: &EnvironmentName) -> Self {
        self.only(|test| test.environment == *name)
    }

    /// The tests that `selection` selects.
    #[must_use]
    pub fn select(&self, selection: &Selection) -> Self {
        self.only(|test| selection.selects(&test.id()))
    }

    fn only(&self, wanted: impl Fn(&Test) -> bool) -> Self {
        Self {
            tests: self.tests.iter().filter(|test| wanted(test)).cloned().collect(),
            settings: self.settings.clone(),
        }
    }
}

/// Splits the arguments of `test-imports [KERNEL] MODULE…`: the first is a kernel if an environment has that name and
/// modules follow it. Alone it is a module, since a call that tests nothing cannot be meant.
#[must_use]
pub fn split_kernel(
    arguments: &[String],
    is_environment: impl Fn(&EnvironmentName) -> bool,
) -> (Option<EnvironmentName>, &[String]) {
    if let [first, modules @ ..] = arguments
        && !modules.is_empty()
        && let Ok(name) = first.parse()
        && is_environment(&name)
    {
        return (Some(name), modules);
    }
    (None, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn modules_may_or_may_not_follow_a_kernel() {
        let exists = |name: &EnvironmentName| name.as_str() == "astropy";
        for (arguments, kernel, modules) in [
            ("astropy numpy scipy", Some("astropy"), "numpy scipy"),
            ("numpy astropy", None, "numpy astropy"),
            ("astropy", None, "astropy"),
        ] {
            let arguments = words(arguments);
            let (found, rest) = split_kernel(&arguments, exists);
            assert_eq!(found.as_ref().map(EnvironmentName::as_str), kernel);
            assert_eq!(rest, words(modules));
        }
    }

    #[test]
    fn the_tests_of_an_environment_are_not_those_of_one_with_a_longer_name() {
        let plan = TestPlan::new(["cal", "roman-cal"].into_iter().flat_map(|name| {
            let plan = TestPlan::imports(&name.parse().unwrap(), &words("numpy"));
            plan.tests().to_vec()
        }));
        let ids = plan.of_environment(&"cal".parse().unwrap()).ids();
        assert_eq!(ids, [TestId::import("cal", "numpy")]);
    }

    #[test]
    fn a_filter_is_a_part_of_an_id() {
        let plan = TestPlan::imports(&"cal".parse().unwrap(), &words("numpy scipy numpy"));
        assert_eq!(plan.tests().len(), 2);
        assert_eq!(plan.select(&Selection::default()).tests().len(), 2);
        let ids = plan.select(&Selection::of_filters(words("imports::sci nothing"))).ids();
        assert_eq!(ids, [TestId::import("cal", "scipy")]);
    }
}
