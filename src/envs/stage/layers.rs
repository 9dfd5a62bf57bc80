//! A staged tree as several layers, so that a package that changes moves itself, and not the whole environment.
//!
//! Names and sizes of packages decide which lie together, and nothing else. The largest lie alone, in the order of their
//! sizes; the others lie in groups by the digests of their names, so that none moves when another comes or goes. Groups of
//! smaller packages lie above those of larger ones, for an engine unpacks all that lies above a changed layer once more. What
//! belongs to no package, or to several, lies in the last layer.

use std::cmp::Reverse;
use std::fs;
use std::path::Path;

use super::make_parents_alike;
use super::owners::Owners;
use crate::envs::error::{EnvsError, io_error};
use crate::envs::tree;
use crate::image;
use crate::reference::Digest;

/// Bytes from which on a package may lie alone.
const LARGE: u64 = 4 << 20;

/// Bytes from which on a package lies below the small ones.
const MEDIUM: u64 = 512 << 10;

/// Divides the tree `whole`, which is the last layer, into `layers` below `out`. The environment is at `prefix`, in that tree.
pub(super) fn divide(out: &Path, whole: &Path, prefix: &Path, layers: usize) -> Result<(), EnvsError> {
    let owners = Owners::read(prefix)?;
    let mut packages = owners.names.iter().map(|name| (name.as_str(), 0)).collect::<Vec<_>>();
    let entries = tree::walk(prefix)?;
    let mut moved = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.file_type().is_dir()) {
        let path = entry.path();
        let Some(owner) = path.strip_prefix(prefix).ok().and_then(|path| owners.of(path)) else {
            continue;
        };
        packages[owner].1 += fs::symlink_metadata(path).map_err(io_error(path))?.len();
        moved.push((path, owner));
    }
    let places = places(&packages, layers);
    for index in 0..layers {
        let layer = out.join(image::layer::numbered(index));
        fs::create_dir_all(&layer).map_err(io_error(&layer))?;
    }
    for (path, owner) in &moved {
        let layer = out.join(image::layer::numbered(places[*owner]));
        let below = path.strip_prefix(whole).unwrap_or(path);
        let place = layer.join(below);
        make_parents_alike(whole, &layer, below)?;
        fs::rename(path, &place).map_err(io_error(&place))?;
    }
    // A directory that was emptied is where its files are.
    for (path, _) in moved.iter().rev() {
        let emptied = path.ancestors().skip(1).take_while(|dir| *dir != prefix);
        // What is not empty cannot be removed, nor what is removed already.
        let _ = emptied.take_while(|dir| fs::remove_dir(dir).is_ok()).count();
    }
    Ok(())
}

/// The layer of each package, given as its name and bytes, below the last one.
pub(in crate::envs) fn places(packages: &[(&str, u64)], layers: usize) -> Vec<usize> {
    let alone = (layers - 1) / 2;
    let groups = layers - 1 - alone;
    let mut large = (0..packages.len())
        .filter(|&index| packages[index].1 >= LARGE)
        .collect::<Vec<_>>();
    large.sort_by_key(|&index| (Reverse(packages[index].1), packages[index].0));
    let mut places = packages
        .iter()
        .map(|&package| alone + group(package, groups))
        .collect::<Vec<_>>();
    for (place, index) in large.into_iter().take(alone).enumerate() {
        places[index] = place;
    }
    places
}

/// The group of a package that lies with others of about its size, where there are groups enough for that.
fn group((name, bytes): (&str, u64), groups: usize) -> usize {
    let fifth = groups / 5;
    let (below, number) = match bytes {
        _ if fifth == 0 => (0, groups),
        LARGE.. => (0, 2 * fifth),
        MEDIUM.. => (2 * fifth, fifth),
        _ => (3 * fifth, groups - 3 * fifth),
    };
    let digest = Digest::of(name.as_bytes());
    let start = digest.short().get(..8).unwrap_or_default();
    below + usize::from_str_radix(start, 16).unwrap_or_default() % number
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    /// What each layer holds.
    fn held(packages: &BTreeMap<String, u64>, layers: usize) -> Vec<BTreeMap<String, u64>> {
        let given = packages
            .iter()
            .map(|(name, bytes)| (name.as_str(), *bytes))
            .collect::<Vec<_>>();
        let mut held = vec![BTreeMap::new(); layers];
        for ((name, bytes), place) in given.iter().zip(places(&given, layers)) {
            held[place].insert((*name).to_owned(), *bytes);
        }
        held
    }

    /// The layers of the second that the first does not have.
    fn new(before: &[BTreeMap<String, u64>], after: &[BTreeMap<String, u64>]) -> usize {
        let filled = after.iter().filter(|layer| !layer.is_empty());
        filled.filter(|layer| !before.contains(layer)).count()
    }

    fn packages() -> impl Strategy<Value = BTreeMap<String, u64>> {
        let bytes = prop_oneof![1..MEDIUM, MEDIUM..LARGE, LARGE..100 * LARGE];
        btree_map("[a-z]{1,8}", bytes, 1..120)
    }

    proptest! {
        /// The package's own layer, and the one that it, or the largest that no longer lies alone, goes to.
        #[test]
        fn one_package_that_comes_goes_or_changes_makes_at_most_three_layers_new(
            packages in packages(),
            place in any::<prop::sample::Index>(),
            bytes in prop::option::of(prop_oneof![1..LARGE, LARGE..100 * LARGE]),
            layers in 3..40_usize,
        ) {
            let name = (*place.get(&packages.keys().collect::<Vec<_>>())).clone();
            let mut other = packages.clone();
            match bytes {
                Some(bytes) => drop(other.insert(name, bytes)),
                None => drop(other.remove(&name)),
            }
            let (before, after) = (held(&packages, layers), held(&other, layers));
            prop_assert!(new(&before, &after) <= 3);
            prop_assert!(new(&after, &before) <= 3);
        }

        #[test]
        fn a_small_package_that_comes_goes_or_changes_makes_one_layer_new(
            packages in packages(),
            bytes in 1..MEDIUM,
            layers in 3..40_usize,
        ) {
            let mut other = packages.clone();
            let was_small = other.insert("changed".to_owned(), bytes).is_none_or(|bytes| bytes < MEDIUM);
            prop_assume!(was_small && packages != other);
            let (before, after) = (held(&packages, layers), held(&other, layers));
            prop_assert_eq!(new(&before, &after), 1);
            prop_assert!(new(&after, &before) <= 1);
        }

        #[test]
        fn small_packages_lie_above_all_others(packages in packages(), layers in 11..40_usize) {
            let held = held(&packages, layers);
            let is_small = |layer: &BTreeMap<_, u64>| layer.values().any(|&bytes| bytes < MEDIUM);
            let lowest = held.iter().position(is_small).unwrap_or(layers);
            let others = held[lowest..].iter().flat_map(BTreeMap::values).filter(|&&bytes| bytes >= MEDIUM);
            prop_assert_eq!(others.count(), 0);
        }

        #[test]
        fn each_package_lies_below_the_last_layer(packages in packages(), layers in 2..40_usize) {
            let held = held(&packages, layers);
            prop_assert!(held[layers - 1].is_empty());
            prop_assert_eq!(held.iter().map(BTreeMap::len).sum::<usize>(), packages.len());
        }
    }

    #[test]
    fn the_largest_lie_alone_the_largest_first() {
        let packages = [("small", 1), ("b", 2 * LARGE), ("a", 3 * LARGE), ("c", LARGE)];
        let places = places(&packages, 6);
        assert_eq!((places[2], places[1]), (0, 1));
        assert!(places[0] >= 2 && places[3] >= 2, "{places:?}");
    }
}
