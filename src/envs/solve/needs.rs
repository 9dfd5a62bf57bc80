//! What solved pip packages need of each other.

use std::collections::BTreeMap;

use crate::spec::frozen::{PipPackage, normalized};

/// Tells what packages need: what is known of the same release, else by names alone, since uv says no more of it.
pub(super) fn tell(
    solved: &mut [PipPackage],
    known: &BTreeMap<String, PipPackage>,
    asked_by: &BTreeMap<String, Vec<String>>,
) {
    for package in solved {
        let name = normalized(&package.name);
        let known = known.get(&package.requirement).map(|known| &known.requires);
        package.requires = known
            .filter(|requires| !requires.is_empty())
            .cloned()
            .unwrap_or_else(|| {
                let needed = asked_by.iter().filter(|(_, askers)| askers.contains(&name));
                needed.map(|(needed, _)| needed.clone()).collect()
            });
    }
}

/// Tells what packages need of which nothing is told yet, as `base` tells it of the same releases.
pub(super) fn fill(packages: &mut [PipPackage], base: &[PipPackage]) {
    for package in packages.iter_mut().filter(|package| package.requires.is_empty()) {
        let same = base.iter().find(|of_base| of_base.requirement == package.requirement);
        package.requires = same.map(|of_base| of_base.requires.clone()).unwrap_or_default();
    }
}
