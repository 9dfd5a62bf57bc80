//! Names that may have been meant.

use std::collections::BTreeSet;

use super::Environment;
use crate::spec::frozen::normalized;

/// How many names are worth telling.
const MOST: usize = 5;

/// How alike two names are at least, of 1.
const ALIKE: f64 = 0.8;

/// The names of packages that are like `name`, the likest first.
#[must_use]
pub fn near(environments: &[Environment], name: &str) -> Vec<String> {
    let wanted = normalized(name);
    let names = environments.iter().flat_map(|environment| &environment.packages);
    let names = names.map(|package| package.name.as_str()).collect::<BTreeSet<_>>();
    let likeness = |known: &str| {
        let known = normalized(known);
        let within = wanted.len() > 2 && (known.contains(&wanted) || (known.len() > 2 && wanted.contains(&known)));
        strsim::jaro_winkler(&known, &wanted).max(if within { ALIKE } else { 0.0 })
    };
    let mut alike = names
        .into_iter()
        .map(|known| (likeness(known), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect::<Vec<_>>();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    alike
        .into_iter()
        .take(MOST)
        .map(|(_, known)| known.to_owned())
        .collect()
}
