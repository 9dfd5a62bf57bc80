//! Which of the tests that there are a run is asked for.
//!
//! A selection looks at a test's ID alone, so that a host and an agent, or several machines that share a run, come to
//! the same answer from the same files.

use serde::{Deserialize, Serialize};

use super::expression::Expression;
use crate::event::Part;
use crate::reference::{Digest, EnvironmentName, TestId, TestKind};

/// Which tests to run: those that meet every condition. Without conditions, all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Selection {
    /// Parts of IDs, of which an ID must hold one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// The environments, one of which must be the test's owner.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<EnvironmentName>,
    /// The kinds, one of which must be the test's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<TestKind>,
    /// An expression that must name the test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<Expression>,
    /// The tests themselves, one of which it must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<Vec<TestId>>,
    /// The part that it must belong to, of those that the selection is divided into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

impl Selection {
    /// The selection by parts of IDs alone.
    #[cfg(test)]
    #[must_use]
    pub fn of_filters(filters: Vec<String>) -> Self {
        Self {
            filters,
            ..Self::default()
        }
    }

    /// Whether it selects all tests.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it selects the test, whatever the part.
    #[must_use]
    pub fn names(&self, id: &TestId) -> bool {
        let held = |text: &str| self.filters.iter().any(|filter| text.contains(filter));
        (self.filters.is_empty() || held(&id.to_string()))
            && (self.environments.is_empty() || self.environments.iter().any(|name| name.as_str() == id.owner))
            && (self.kinds.is_empty() || self.kinds.contains(&id.kind))
            && self.expression.as_ref().is_none_or(|expression| expression.names(id))
            && self.tests.as_ref().is_none_or(|tests| tests.contains(id))
    }

    /// Whether it selects the test.
    #[must_use]
    pub fn selects(&self, id: &TestId) -> bool {
        self.part.is_none_or(|part| part.holds(id)) && self.names(id)
    }
}

impl Part {
    /// Whether the test belongs to this part. Each test belongs to exactly one, which its ID decides, so that parts
    /// that run on different machines agree whatever else they know.
    #[must_use]
    pub fn holds(self, id: &TestId) -> bool {
        let digest = Digest::of(id.to_string().as_bytes());
        // The first 12 of the hexadecimal digits always make a number.
        let number = u64::from_str_radix(digest.short(), 16).unwrap_or_default();
        number % u64::from(self.of.max(1)) + 1 == u64::from(self.index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(texts: &[&str]) -> Vec<TestId> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn selected(selection: &Selection) -> Vec<String> {
        let all = ids(&[
            "cal::imports::numpy",
            "cal::imports::scipy",
            "cal::notebooks::numpy.ipynb",
            "cal::test",
            "roman-cal::imports::numpy",
            "roman::server::lab",
        ]);
        let chosen = all.iter().filter(|id| selection.selects(id));
        chosen.map(ToString::to_string).collect()
    }

    #[test]
    fn a_test_must_meet_every_condition_and_one_word_of_each() {
        let selection = Selection {
            filters: vec!["numpy".to_owned(), "::test".to_owned()],
            environments: vec!["cal".parse().unwrap()],
            kinds: vec![TestKind::Import, TestKind::Script],
            ..Selection::default()
        };
        assert_eq!(selected(&selection), ["cal::imports::numpy", "cal::test"]);
        assert_eq!(selected(&Selection::default()).len(), 6);
        let named = Selection {
            tests: Some(ids(&["cal::test", "gone::test"])),
            ..Selection::default()
        };
        assert_eq!(selected(&named), ["cal::test"]);
        let none = Selection {
            tests: Some(Vec::new()),
            ..Selection::default()
        };
        assert_eq!(selected(&none), [""; 0]);
    }

    #[test]
    fn a_selection_reads_back_as_it_was_written() {
        let selection = Selection {
            filters: vec!["x y\n\"".to_owned()],
            environments: vec!["cal".parse().unwrap()],
            kinds: vec![TestKind::Notebook],
            expression: Some("env(cal) or kind(test)".parse().unwrap()),
            tests: Some(ids(&["a::notebooks::é.ipynb"])),
            part: Some(Part { index: 2, of: 3 }),
        };
        let text = serde_json::to_string(&selection).unwrap();
        assert_eq!(serde_json::from_str::<Selection>(&text).unwrap(), selection);
    }

    #[test]
    fn the_part_of_a_test_never_changes() {
        let part = |text: &str| {
            let id = text.parse().unwrap();
            (1..=4).find(|&index| Part { index, of: 4 }.holds(&id)).unwrap()
        };
        let known = ["cal::imports::numpy", "cal::notebooks::a b.ipynb", "roman::test"].map(part);
        assert_eq!(
            known,
            [3, 4, 3],
            "machines with different versions of floe would lose tests"
        );
    }

    proptest! {
        #[test]
        fn the_parts_of_a_selection_are_disjoint_and_together_the_whole(
            names in prop::collection::hash_set("[a-z0-9_.é ]{1,12}", 0..60),
            of in 1_u32..9,
        ) {
            for name in names {
                let id = TestId::import("cal", &name);
                let holders = (1..=of).filter(|&index| Part { index, of }.holds(&id)).count();
                prop_assert_eq!(holders, 1);
            }
        }
    }
}
